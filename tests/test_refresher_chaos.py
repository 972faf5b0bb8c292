"""A refresher killed at random moments, many times: the facts are those of one that never was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from events.audit import RefreshStarted
from events.codec import encode
from events.decide.known import NOTHING, fold
from events.subjects import FACTS
from services.clock import uniform
from services.demo.simulator import Simulator, Site
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from services.refresher.known import replay
from tests.support.nats import Servers, connected
from tests.support.processes import spawned
from tests.support.refreshing import acme, audit, configuration, facts, recorded, row, table, told

pytestmark = [pytest.mark.nats, pytest.mark.process, pytest.mark.chaos, pytest.mark.timeout(240)]

ROUNDS = 20


def listing(number: int, size: int = 900) -> list[dict[str, Any]]:
    """The list in one round: some models come, some go, some change."""
    first = number * 7
    return [
        row(
            f"m{n:05}",
            context_length=1000 + (n * 31 + number) % 3,
            supported_parameters=["tools"] if (n + number) % 5 else ["tools", "reasoning"],
        )
        for n in range(first, first + size)
    ]


async def killed_at_random(folder: Path, url: str, site: Site, rounds: int) -> int:
    """Kill a refresher in every round; return how often it had begun to ask."""
    begun = 0
    for number in range(rounds):
        site.models = listing(number)
        before = len(site.requests)
        env = {"MODELOG_NATS_URL": url}
        async with spawned(folder, "run", "refresher", env=env) as process:
            if number % 4:  # else while it starts
                await process.line(" ready ")
            await asyncio.sleep(uniform(0, 0.5))
            await process.kill()
        begun += len(site.requests) > before
    return begun


async def finished(folder: Path, url: str) -> None:
    """Let a last refresher run once, and stop it."""
    async with spawned(folder, "run", "refresher", env={"MODELOG_NATS_URL": url}) as process:
        await process.line("refreshed")
        assert await process.stop() == 0


async def test_kills_at_random_moments_lose_and_double_nothing(
    nats_server: Server, nc: Client, tmp_path: Path
) -> None:
    await ensure(nc, audit_max_age=None, monitor_url=None)
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect="openrouter")
        (tmp_path / "modelog.toml").write_text(
            configuration(table(site), removal_hold="0", removal_scans=1)
        )
        begun = await killed_at_random(tmp_path, nats_server.url, site, ROUNDS)
        await finished(tmp_path, nats_server.url)
        stored = await recorded(nc, FACTS, "log.>")
        models = await facts(nc, "acme")
        known = (await replay(nc, "acme")).known
        runs = await audit(nc, "audit.refresh.acme.*")

    assert begun > ROUNDS / 4
    assert [one.seq for one in stored] == list(range(1, len(stored) + 1))
    assert len({one.id for one in stored}) == len(stored)
    assert sum(told([one.event]) == ["registered"] for one in stored) == 1
    # each is the next step of the one before it, so none is there twice, and none is missing
    assert fold(NOTHING, models).models.keys() == known.models.keys()
    assert sorted(known.models) == [one["id"] for one in listing(ROUNDS - 1)]
    alternates(told(models))
    starts = [one.run_id for one in runs if isinstance(one, RefreshStarted)]
    ends = [getattr(one, "run_id", "") for one in runs if not isinstance(one, RefreshStarted)]
    assert starts == ends


def alternates(said: list[str]) -> None:
    """Make sure that no model is added twice without a removal, nor a capability gained twice."""
    there: set[str] = set()
    for one in said:
        verb, _, what = one.partition(" ")
        if verb in {"added", "gained"}:
            assert what not in there
            there.add(what)
        elif verb in {"removed", "lost"}:
            assert what in there
            there.remove(what)


async def test_facts_after_kills_are_those_of_a_run_that_was_never_cut_off(
    nats_server: Server, nc: Client, tmp_path: Path
) -> None:
    """The same list in every round: whoever dies, the batches that follow are the rest of it."""
    await ensure(nc, audit_max_age=None, monitor_url=None)
    models = [row(f"m{n:05}", supported_parameters=["tools"]) for n in range(6000)]
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect="openrouter")
        site.models = models
        (tmp_path / "modelog.toml").write_text(configuration(table(site)))
        for _ in range(20):
            env = {"MODELOG_NATS_URL": nats_server.url}
            async with spawned(tmp_path, "run", "refresher", env=env) as process:
                await process.line(" ready ")
                await asyncio.sleep(uniform(0, 0.4))
                await process.kill()
            if len(await facts(nc, "acme")) == 2 * len(models):
                break
        await finished(tmp_path, nats_server.url)
        found = told(await facts(nc, "acme"))

    assert found == [
        one for n in range(6000) for one in (f"added m{n:05}", f"gained m{n:05} tools")
    ]


async def test_a_server_killed_while_a_refresher_works_loses_and_doubles_nothing(
    servers: Servers, tmp_path: Path
) -> None:
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect="openrouter")
        site.models = listing(0)
        (tmp_path / "modelog.toml").write_text(
            configuration(
                table(site), removal_hold="0", removal_scans=1, interval="1s", timeout="500ms"
            )
        )
        env = {"MODELOG_NATS_URL": servers.url}
        async with spawned(tmp_path, "run", "refresher", env=env) as process:
            await process.line("refreshed")
            for number in range(1, 13):
                site.models = listing(number)
                await asyncio.sleep(uniform(0.1, 1.2))
                await servers.restart()
            site.models = last = listing(13)
            count = len([one for one in process.lines if "refreshed" in one])
            await process.line("refreshed", count=count + 2)
            assert await process.stop() == 0
        async with connected(servers.url) as nc:
            stored = await recorded(nc, FACTS, "log.>")
            models = await facts(nc, "acme")
            runs = await audit(nc, "audit.refresh.acme.*")

    assert process.text.count(" ready ") == 1
    assert [one.seq for one in stored] == list(range(1, len(stored) + 1))
    alternates(told(models))
    assert sorted(fold(NOTHING, models).models) == [one["id"] for one in last]
    starts = [one.run_id for one in runs if isinstance(one, RefreshStarted)]
    ends = [getattr(one, "run_id", "") for one in runs if not isinstance(one, RefreshStarted)]
    assert starts == ends


async def test_random_crash_points_within_a_process_change_no_fact(
    nc: Client, tmp_path: Path
) -> None:
    """The same life twice, one of them with a crash in most rounds; the facts are the same."""
    points = [
        "before started", "after started", "before batch 1", "after batch 1", "before outcome",
        "after outcome",
    ]  # fmt: skip
    async with acme(nc, tmp_path, [], removal_hold="0", removal_scans=1) as (bench, site, clock):
        for number in range(30):
            site.models = listing(number, 40)
            point = points[int(uniform(0, len(points)))]
            while uniform(0, 1) < 0.6:
                try:
                    await bench.crash(point)
                except AssertionError:
                    break  # there was nothing to append
                clock.advance(seconds=1)
            await bench.run()
            clock.advance(hours=1)
            known = await bench.known()

            assert sorted(known.models) == [one["id"] for one in listing(number, 40)]

        found = [encode(one) for one in await bench.facts()]

        assert len(found) == len(set(found))
        alternates(told(await bench.facts()))
