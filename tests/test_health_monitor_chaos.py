"""Health monitors as processes: shared calls, kills, sleeps; on a clock that runs fast."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from events.alerts import AlertOpened, AlertResolved
from events.health import HealthStatusChanged
from services.clock import VARIABLE
from services.demo import faults
from services.demo.simulator import Simulator, Site
from services.jetstream.connect import Client
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from tests.support.monitoring import Watched, fast
from tests.support.nats import connected
from tests.support.processes import Process, spawned
from tests.support.refreshing import configuration, eventually, table

pytestmark = [
    pytest.mark.nats,
    pytest.mark.process,
    pytest.mark.chaos,
    pytest.mark.asyncio,
    pytest.mark.timeout(120),
]

INTERVAL = 10.0
"""Seconds between two cycles, on the processes' clock."""
TAKEOVER = 30.0


class System(Watched):
    """A refresher and monitors over simulated providers, each a process."""

    def __init__(self, nc: Client, folder: Path, url: str, sites: list[Site], speed: float) -> None:
        super().__init__(nc, folder, fast(speed))
        self.sites = sites
        self.speed = speed
        self._url = url
        self._cwd = folder
        tables = [table(site) for site in sites]
        text = configuration(*tables, interval="30s")
        (folder / "modelog.toml").write_text(f'{text}\n[health]\ninterval = "{INTERVAL:g}s"\n')

    @asynccontextmanager
    async def run(self, name: str) -> AsyncIterator[Process]:
        """Run a process of this name within the block."""
        clock = self.clock
        env = {
            "MODELOG_NATS_URL": self._url,
            VARIABLE: f"{clock.origin},{clock.speed},{clock.start}",
        }
        async with spawned(self._cwd, "run", name, env=env) as process:
            await process.line(" ready ")
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    process.send(signal.SIGCONT)


@asynccontextmanager
async def system(
    server: Server, folder: Path, *, count: int, speed: float = 10.0
) -> AsyncIterator[System]:
    """A fresh log and *count* providers, and a refresher that runs."""
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator())
        sites = [simulator.provider(f"p{n}", host=f"127.0.0.{n + 2}") for n in range(count)]
        for site in sites:
            site.models = [f"m{n}" for n in range(10)]
        nc = await stack.enter_async_context(connected(server.url))
        await ensure(nc, audit_max_age=None, monitor_url=None)
        made = System(nc, folder, server.url, sites, speed)
        await stack.enter_async_context(made.run("refresher"))
        yield made


async def test_monitor_and_refresher_share_the_calls(nats_server: Server, tmp_path: Path) -> None:
    """In the quiet case both together send 1.1 requests per interval and provider at most."""
    async with system(nats_server, tmp_path, count=3) as made, made.run("health-monitor"):
        for site in made.sites:
            await made.becomes(site.name, "active")
        began = time.monotonic()
        before = [len(site.requests) for site in made.sites]
        await asyncio.sleep(30)  # three hundred seconds of theirs
        intervals = (time.monotonic() - began) * made.speed / INTERVAL
        sent = [len(site.requests) - count for site, count in zip(made.sites, before, strict=True)]

        assert sum(sent) / len(sent) <= 1.1 * intervals
        assert min(sent) >= 0.8 * intervals


async def test_a_monitor_that_is_killed_is_replaced_and_no_status_changes(
    nats_server: Server, tmp_path: Path
) -> None:
    """There are so many providers that chance gives some to each: but once in 4,000."""
    async with system(nats_server, tmp_path, count=12) as made:
        async with made.run("health-monitor"), made.run("health-monitor") as second:
            for site in made.sites:
                await made.becomes(site.name, "active")
            await second.line(" holds ", seconds=40)
            await second.kill()
            counts = {site.name: len(await made.checks(site.name)) for site in made.sites}

            async def taken_over() -> bool:
                now = {site.name: len(await made.checks(site.name)) for site in made.sites}
                return all(now[name] >= counts[name] + 2 for name in counts)

            await eventually(taken_over, TAKEOVER)

        for site in made.sites:
            assert await made.statuses(site.name) == [("active", None)]


async def test_a_kill_in_every_phase_of_an_outage_tells_it_once(
    nats_server: Server, tmp_path: Path
) -> None:
    async with system(nats_server, tmp_path, count=1, speed=20) as made:
        (site,) = made.sites
        async with made.run("health-monitor"):
            await made.becomes("p0", "active")
        site.faults.always(faults.status(500))
        for _ in range(6):
            async with made.run("health-monitor") as process:
                await process.line(" holds ", seconds=40)
                await asyncio.sleep(0.7)  # a cycle or two of theirs, killed wherever it is
                await process.kill()
        async with made.run("health-monitor"):
            await made.becomes("p0", "error", "outage")
            site.faults.clear()
            await made.becomes("p0", "active")

        changes = [e for e in await made.health("p0") if isinstance(e, HealthStatusChanged)]
        assert [(e.from_, e.to) for e in changes] == [
            ("inactive", "active"),
            ("active", "error"),
            ("error", "active"),
        ]
        opened = [e.kind for e in await made.alerts("p0") if isinstance(e, AlertOpened)]
        # refreshes may fail three times before a monitor lives long enough to see the outage
        assert [kind for kind in opened if kind != "discovery"] == ["status_change", "recovery"]


async def test_a_kill_while_our_own_network_is_down_blames_no_provider(
    nats_server: Server, tmp_path: Path
) -> None:
    async with system(nats_server, tmp_path, count=5, speed=20) as made:
        async with made.run("health-monitor") as process:
            for site in made.sites:
                await made.becomes(site.name, "active")
            for site in made.sites:
                site.refuse()

            async def told() -> bool:
                return bool(await made.alerts("all"))

            await eventually(told, 20)
            await process.kill()
        before = {site.name: len(await made.checks(site.name)) for site in made.sites}
        async with made.run("health-monitor"):

            async def goes_on() -> bool:
                now = {site.name: len(await made.checks(site.name)) for site in made.sites}
                return all(now[name] >= before[name] + 4 for name in now)

            await eventually(goes_on, TAKEOVER + 10)
            for site in made.sites:
                site.accept()

            async def over() -> bool:
                return isinstance((await made.alerts("all"))[-1], AlertResolved)

            await eventually(over, TAKEOVER)

        for site in made.sites:
            assert await made.statuses(site.name) == [("active", None)]
            told_of = await made.alerts(site.name)
            assert [one.kind for one in told_of if one.kind != "discovery"] == []


async def test_a_monitor_that_slept_tells_nothing_stale(
    nats_server: Server, tmp_path: Path
) -> None:
    """Stopped for longer than its lease, it wakes up while another has its providers."""
    async with system(nats_server, tmp_path, count=3) as made:
        async with made.run("health-monitor") as first:
            for site in made.sites:
                await made.becomes(site.name, "active")
            first.send(signal.SIGSTOP)
            async with made.run("health-monitor") as second:
                await second.line(" holds ", count=3, seconds=TAKEOVER + 10)
                before = len(await made.checks())
                first.send(signal.SIGCONT)

                async def goes_on() -> bool:
                    return len(await made.checks()) >= before + 12

                await eventually(goes_on, 30)

        for site in made.sites:
            assert await made.statuses(site.name) == [("active", None)]
        assert await made.alerts() == []
