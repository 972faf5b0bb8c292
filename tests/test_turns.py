"""One run at a time over all processes, each fenced by its lease; instances follow one registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from events.audit import RefreshFailed, RefreshStarted
from services import clock as clocks
from services.clock import new_id
from services.demo import faults
from services.demo.exchange import Answer, Asked
from services.demo.simulator import Simulator
from services.jetstream.lease import Lease, Leases
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from services.process import Host
from services.refresher import fence
from services.refresher.fence import concluded
from services.refresher.known import interrupted
from services.refresher.refresh import Run, refresh
from services.refresher.turns import Turns
from services.refresher.watched import Watched
from tests.support.clock import ManualClock
from tests.support.processes import spawned
from tests.support.refreshing import Bench, acme, configuration, eventually, facts, row, told

pytestmark = pytest.mark.nats


class Hands:
    """A clock that stands beside the real one, and can be moved on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return clocks.elapsed() + self.ahead


class Other:
    """Another refresher process over the provider of a bench."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.host = Host("refresher", bench.host.config, bench.clock, bench.host.nc, bench.host.log)
        self.host.instance = name
        self.hands = Hands()
        self.leases = Leases(bench.host.nc, name, process="", now=self.hands)
        self.turns = Turns(self.host, bench.asking, self.leases)
        self.watched = Watched(bench.settings)

    async def run(self, *, force: bool = False) -> Any:  # noqa: ANN401 - an outcome of any kind
        return await self.turns.fly(self.watched, Run(new_id(), force=force))

    async def lease(self, key: str = "call.acme") -> Lease:
        lease = await self.leases.acquire(key)
        assert lease is not None
        return lease


@asynccontextmanager
async def _two(
    nc: Client, folder: Path, *models: str, **refresh: object
) -> AsyncIterator[tuple[Bench, Any, Other, Other]]:
    async with acme(nc, folder, models, **refresh) as (bench, site, _):
        one, two = Other(bench, "one"), Other(bench, "two")
        yield bench, site, one, two
        await asyncio.gather(one.turns.stop(), two.turns.stop())


async def test_runs_of_two_processes_follow_each_other(nc: Client, tmp_path: Path) -> None:
    async with _two(nc, tmp_path, "a") as (bench, site, one, two):
        site.faults.always(faults.delay(0.2))
        outcomes = await asyncio.gather(one.run(), two.run(), one.run())
        events = told(await bench.audit())

    assert events == ["started", "succeeded"] * 3
    assert sorted(outcome.added for outcome in outcomes) == [0, 0, 1]


async def test_who_runs_after_another_reads_what_it_wrote(nc: Client, tmp_path: Path) -> None:
    """Above all how often a model was missing, which no refused append tells."""
    policy = {"removal_hold": "0", "removal_scans": 3}
    rest = [f"a{number}" for number in range(20)]
    async with _two(nc, tmp_path, *rest, "b", **policy) as (bench, site, one, two):
        assert isinstance(bench.clock, ManualClock)
        await one.run()
        site.models = [row(name) for name in rest]
        for process in (one, two):
            bench.clock.advance(hours=1)
            await process.run()
        before = told(await bench.facts())
        bench.clock.advance(hours=1)
        await one.run()

        assert before[-1] == "missing b"
        assert told(await bench.facts())[-1] == "removed b"


async def test_a_run_on_its_way_elsewhere_is_seen_and_can_be_joined(
    nc: Client, tmp_path: Path
) -> None:
    async with _two(nc, tmp_path, "a") as (_, site, one, two):
        site.faults.next(faults.delay(0.5))
        running = asyncio.create_task(one.run(force=True))
        seen: list[Run] = []

        async def on_its_way() -> bool:
            found = await two.turns.elsewhere("acme")
            seen.extend([] if found is None else [found])
            return found is not None

        await eventually(on_its_way)
        joined = await two.turns.landed("acme", seen[0])
        outcome = await running
        await one.turns.stop()

        assert seen[0].force
        assert joined == outcome
        assert await two.turns.elsewhere("acme") is None
        assert len(site.requests) == 1


async def test_whoever_waits_for_a_run_that_dies_is_told(nc: Client, tmp_path: Path) -> None:
    async with _two(nc, tmp_path, "a") as (_, _, one, two):
        run = Run(new_id())
        lease = await one.leases.acquire("call.acme", note={"Modelog-Run": run.run_id})
        assert lease is not None
        waiting = asyncio.create_task(two.turns.landed("acme", run))
        await lease.release()
        outcome = await waiting

    assert isinstance(outcome, RefreshFailed)
    assert outcome.error is not None
    assert (outcome.run_id, outcome.error.class_) == (run.run_id, "interrupted")


@pytest.mark.parametrize("when", ["asked", "appending"])
async def test_a_run_whose_lease_is_over_appends_nothing(
    when: str, nc: Client, tmp_path: Path
) -> None:
    """Whether the lease tells it at once, or it asks the lease before it appends."""
    async with _two(nc, tmp_path, "a") as (bench, site, one, _):
        lease = await one.lease()

        def fault(_: Asked, answer: Answer) -> Answer:
            one.hands.ahead = 60.0
            if when == "asked":
                lease.over.set()
            return answer

        site.faults.next(fault)
        outcome = await refresh(one.host.under(lease), bench.asking, one.watched, Run(new_id()))
        await lease.release()

        assert outcome.error is not None
        assert outcome.error.class_ == "interrupted"
        assert await bench.facts() == []
        assert told(await bench.audit()) == ["started", "failed"]


async def test_the_late_outcome_of_a_run_is_the_one_that_was_told_for_it(
    nc: Client, tmp_path: Path
) -> None:
    """A process slept; another has told that its run was interrupted; then it wakes up."""
    async with _two(nc, tmp_path, "a") as (bench, site, one, two):
        lease = await one.lease()
        woke = asyncio.Event()
        site.faults.next(faults.delay(0.5))
        flying = asyncio.create_task(
            refresh(one.host.under(lease), bench.asking, one.watched, Run(new_id()))
        )

        async def began() -> bool:
            return len(await bench.audit("started")) == 1

        await eventually(began)
        owed = await interrupted(nc, "acme")
        assert owed is not None
        await two.host.record(owed, correlation_id=owed.run_id)
        woke.set()
        late = await flying
        await lease.release()

        assert late.error is None
        assert told(await bench.audit()) == ["started", "failed"]
        assert await concluded(nc, "acme", late.run_id)
        assert not await concluded(nc, "acme", new_id())


async def test_past_the_window_an_outcome_is_looked_for_first(
    nc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.refresher.refresh.LATE", -1.0)
    async with _two(nc, tmp_path, "a") as (bench, _, one, _):
        first = await one.run()
        again = await refresh(one.host, bench.asking, one.watched, Run(first.run_id))

        assert again.run_id == first.run_id
        assert told(await bench.audit()) == ["started", "succeeded", "started"]


async def test_what_another_runs_is_not_told_to_be_interrupted(nc: Client, tmp_path: Path) -> None:
    async with _two(nc, tmp_path, "a") as (bench, site, one, two):
        site.faults.next(faults.delay(0.5))
        running = asyncio.create_task(one.run())

        async def began() -> bool:
            return len(await bench.audit("started")) == 1

        await eventually(began)
        told_by_two = await two.turns.settle("acme")
        outcome = await running

        assert not told_by_two
        assert outcome.error is None
        assert told(await bench.audit()) == ["started", "succeeded"]


async def test_a_run_cut_off_elsewhere_is_told_once(nc: Client, tmp_path: Path) -> None:
    async with _two(nc, tmp_path, "a") as (bench, _, one, two):
        cut = RefreshStarted(at=bench.clock.now(), provider="acme", run_id=new_id())
        await one.host.record(cut)
        settled = await asyncio.gather(one.turns.settle("acme"), two.turns.settle("acme"))
        await two.run()

        assert True in settled
        assert told(await bench.audit()) == ["started", "failed", "started", "succeeded"]


@pytest.mark.process
async def test_what_one_registers_another_may_refresh(
    nats_server: Server, nc: Client, tmp_path: Path
) -> None:
    """Whoever of two receives the command, both know of it, one asks it, and both let it go."""
    await ensure(nc, audit_max_age=None, monitor_url=None)
    async with Simulator() as simulator:
        (tmp_path / "modelog.toml").write_text(configuration(interval="1h"))
        env = {"MODELOG_NATS_URL": nats_server.url}
        names = [f"made{number}" for number in range(20)]  # one of two gets all: once in 500,000
        sites = [simulator.provider(name, dialect="openrouter") for name in names]
        async with (
            spawned(tmp_path, "run", "refresher", env=env) as one,
            spawned(tmp_path, "run", "refresher", env=env) as two,
        ):
            await asyncio.gather(one.line(" ready "), two.line(" ready "))
            for site in sites:
                site.models = [{"id": "a"}]
                given = {"name": site.name, "dialect": site.dialect, "base_url": site.base_url}
                reply = await nc.request(
                    "rpc.modelog.command.provider.register", msgspec.json.encode(given), timeout=10
                )
                assert msgspec.json.decode(reply.data)["accepted"] is True

            async def listed() -> bool:
                lines = [line for line in [*one.lines, *two.lines] if "refreshed" in line]
                return len(lines) == len(names)

            await eventually(listed)

            assert told(await facts(nc)).count("added a") == len(names)
            assert all(len(site.requests) == 1 for site in sites)
            for process in (one, two):
                assert any("holds" in line for line in process.lines)


def test_an_outcome_is_looked_for_well_within_the_window() -> None:
    assert fence.LATE <= 600 / 2


async def test_nobody_runs_a_provider_while_it_is_held(nc: Client, tmp_path: Path) -> None:
    async with _two(nc, tmp_path, "a") as (bench, _, one, two):
        async with one.turns.hold("acme"):
            running = asyncio.create_task(two.run())
            await asyncio.wait([running], timeout=1.0)
            assert await bench.audit() == []
            assert await one.turns.elsewhere("acme") is None
        outcome = await running

    assert outcome.error is None


async def test_a_run_cut_off_whose_lease_is_not_over_yet_is_told_when_it_is(
    nc: Client, tmp_path: Path
) -> None:
    """The two leases of a process that died do not end at the same moment."""
    async with _two(nc, tmp_path, "a") as (bench, _, one, two):
        await one.host.record(
            RefreshStarted(at=bench.clock.now(), provider="acme", run_id=new_id())
        )
        left = await one.lease()
        settling = asyncio.create_task(two.turns.settle("acme"))
        await asyncio.wait([settling], timeout=1.0)
        assert not settling.done()
        await left.release()

        assert await settling
        assert told(await bench.audit()) == ["started", "failed"]
