"""A projector killed at random moments: the catalogue is a fresh fold of the log, row by row."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from nats.aio.client import Client

from events.codec import FactEvent
from events.models import CapabilityGained, ModelAdded, ModelRemoved
from events.record import ModelRecord
from events.subjects import FACTS
from projections import Catalogue
from services.clock import uniform
from services.jetstream.append import Log
from services.jetstream.read import info
from services.jetstream.server import Server
from services.projector.replay import replay
from tests.support.catalogues import facts_alone, rows
from tests.support.logs import sealed, tell
from tests.support.nats import Servers, connected, until
from tests.support.processes import spawned
from tests.support.refreshing import configuration

pytestmark = [pytest.mark.nats, pytest.mark.process, pytest.mark.chaos, pytest.mark.timeout(240)]

AT = "2026-01-01T00:00:00.000Z"
ROUNDS = 20


def batch(number: int, size: int) -> list[FactEvent]:
    """Some models that come, and those of the batch before them that go."""
    events: list[FactEvent] = []
    for n in range(size):
        record = ModelRecord(id=f"{number}-{n}", name="n", capabilities={"chat": True})
        events += [
            ModelAdded(at=AT, provider="acme", model=record),
            CapabilityGained(at=AT, provider="acme", model_id=record.id, capability="chat"),
        ]
        if number and n % 2:
            gone = ModelRecord(id=f"{number - 1}-{n}", name="n", capabilities={"chat": True})
            events.append(
                ModelRemoved(
                    at=AT,
                    provider="acme",
                    model_id=gone.id,
                    missing_since=AT,
                    scans=3,
                    reason="delisted",
                    model=gone,
                )
            )
    return events


async def writing(nc: Client, stop: asyncio.Event) -> int:
    """Append batch after batch until told to stop; return the last sequence."""
    log = await Log.open(nc)
    expected, last, number = await log.last("model", "acme"), 0, 0
    while not stop.is_set():
        sent = sealed(batch(number, 200))
        done = await log.append(sent, family="model", provider="acme", expected=expected)
        expected, last, number = done.expected, done.last, number + 1
        await asyncio.sleep(0.05)
    return last


async def equal_to_a_fresh_fold(nc: Client, folder: Path, url: str) -> None:
    """Let a last projector catch up, and compare every row."""
    link = folder / ".modelog" / "catalogue.db"
    env = {"MODELOG_NATS_URL": url}
    async with spawned(folder, "run", "projector", env=env) as process:
        await process.line(" ready ")
        last = (await info(nc, FACTS)).last_seq
        with Catalogue.open(link) as catalogue:
            await until(lambda: catalogue.seq() >= last, 30)
        assert await process.stop() == 0
    fresh = folder / "fresh.db"
    await replay(nc, fresh, 1 << 40, lambda _done, _total: None)

    assert facts_alone(rows(link)) == facts_alone(rows(fresh))


async def test_kills_at_random_moments_leave_a_catalogue_that_is_the_log(
    nats_server: Server, nc: Client, tmp_path: Path
) -> None:
    await tell(nc)
    (tmp_path / "modelog.toml").write_text(configuration())
    stop = asyncio.Event()
    writer = asyncio.create_task(writing(nc, stop))
    seqs: list[int] = []
    link = tmp_path / ".modelog" / "catalogue.db"
    for number in range(ROUNDS):
        env = {"MODELOG_NATS_URL": nats_server.url}
        async with spawned(tmp_path, "run", "projector", env=env) as process:
            if number % 2:  # else while it starts, or catches up
                await process.line(" ready ")
            await asyncio.sleep(uniform(0, 0.7))
            await process.kill()
        if link.exists():
            with Catalogue.open(link) as catalogue:
                seqs.append(catalogue.seq())
    stop.set()
    last = await writer
    await equal_to_a_fresh_fold(nc, tmp_path, nats_server.url)

    assert seqs == sorted(seqs)
    assert len(set(seqs)) > ROUNDS / 4
    assert last > 2000


async def test_a_server_killed_under_a_projector_loses_it_nothing(
    servers: Servers, tmp_path: Path
) -> None:
    (tmp_path / "modelog.toml").write_text(configuration())
    async with connected(servers.url) as nc:
        await tell(nc)
        stop = asyncio.Event()
        writer = asyncio.create_task(writing(nc, stop))
        env = {"MODELOG_NATS_URL": servers.url}
        async with spawned(tmp_path, "run", "projector", env=env) as process:
            await process.line(" ready ")
            for _ in range(10):
                await asyncio.sleep(uniform(0.2, 1.2))
                await servers.restart()
            stop.set()
            last = await writer
            with Catalogue.open(tmp_path / ".modelog" / "catalogue.db") as catalogue:
                await until(lambda: catalogue.seq() >= last, 30)
            assert await process.stop() == 0
        await equal_to_a_fresh_fold(nc, tmp_path, servers.url)

    assert process.text.count(" ready ") == 1
