"""Rebuilds beside live traffic, with readers that never stop, and killed in the middle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client

from projections import Catalogue
from projections.generations import serving
from services.clock import uniform
from services.jetstream.append import Log
from tests.support.catalogues import facts_alone, rows
from tests.support.logs import sealed
from tests.support.nats import until
from tests.support.processes import Process
from tests.support.projected import Projected, added, append

pytestmark = [pytest.mark.nats, pytest.mark.process, pytest.mark.chaos, pytest.mark.timeout(240)]

SUBJECT = "rpc.modelog.command.rebuild"
REBUILDS = 4
KILLS = 8


async def filled(projected: Projected, batches: int) -> None:
    for number in range(batches):
        ids = (f"{number}-{n:03}" for n in range(1000))
        await append(projected.nc, added(*ids, provider="old"), "old")


async def writing(nc: Client, stop: asyncio.Event) -> int:
    """Append batch after batch until told to stop; return the last sequence."""
    log, number, last = await Log.open(nc), 0, 0
    expected = await log.last("model", "live")
    while not stop.is_set():
        sent = sealed(added(*(f"{number}-{n}" for n in range(50)), provider="live"))
        done = await log.append(sent, family="model", provider="live", expected=expected)
        expected, last, number = done.expected, done.last, number + 1
        await asyncio.sleep(0.02)
    return last


async def reading(link: Path, stop: asyncio.Event) -> tuple[int, int]:
    """Read without a pause: whole batches, and no step back; return questions and generations."""
    questions, newest, seen = 0, 0, set[Path | None]()
    with Catalogue.open(link) as catalogue:
        while not stop.is_set():
            count = catalogue.query("SELECT count(*) FROM models WHERE provider = 'live'")
            found = count.rows[0][0]
            assert found % 50 == 0
            assert found >= newest, "a reader went back in time"
            newest, questions = found, questions + 1
            seen.add(serving(link))
            await asyncio.sleep(0.002)
    return questions, len(seen)


async def test_readers_see_neither_gap_nor_step_back_through_rebuilds_under_load(
    projected: Projected,
) -> None:
    await filled(projected, 8)
    stop = asyncio.Event()
    async with projected.projector() as process:
        writer = asyncio.create_task(writing(projected.nc, stop))
        readers = [asyncio.create_task(reading(projected.link, stop)) for _ in range(2)]
        for number in range(REBUILDS):
            reply = await projected.nc.request(SUBJECT, b"{}", 5)
            assert msgspec.json.decode(reply.data)["generation"] == number + 2
            await process.line("serves", f"generation={number + 2}", seconds=60)
        stop.set()
        last = await writer
        counted = [await reader for reader in readers]
        await projected.reached(last)
        assert await process.stop() == 0
    fresh = await projected.fresh()

    assert facts_alone(rows(projected.link)) == facts_alone(rows(fresh))
    for questions, generations in counted:
        assert questions > 100
        assert generations >= REBUILDS
    assert process.text.count(" ready ") == 1


async def interrupted(projected: Projected, process: Process) -> Path | None:
    """Order a rebuild, and kill the projector somewhere in it; return who serves then."""
    await projected.nc.request(SUBJECT, b"{}", 5)
    await asyncio.sleep(uniform(0, 1.0))
    await process.kill()
    return serving(projected.link)


async def test_a_rebuild_killed_anywhere_leaves_one_whole_generation_in_service(
    projected: Projected,
) -> None:
    await filled(projected, 8)
    kept = 0
    for number in range(KILLS):
        async with projected.projector() as process:
            await append(projected.nc, added(f"round-{number}"))
            before = serving(projected.link)
            after = await interrupted(projected, process)
            kept += before == after
        with Catalogue.open(projected.link) as catalogue:
            assert len(catalogue.by_provider("old")) == 8000
    async with projected.projector() as process:
        with Catalogue.open(projected.link) as catalogue:
            await until(lambda: catalogue.get("acme", f"round-{KILLS - 1}") is not None)
        files = [path.name for path in projected.generations()]
        assert await process.stop() == 0
    fresh = await projected.fresh()

    assert kept, "no kill fell into a rebuild"
    assert len(files) == 1
    assert facts_alone(rows(projected.link)) == facts_alone(rows(fresh))
