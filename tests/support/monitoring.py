"""A health monitor over simulated providers and a real log, on a clock that runs fast."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

from events.alerts import AlertEvent
from events.decide.providers import Registry
from events.health import CheckCompleted, HealthEvent, HealthStatusChanged
from events.subjects import AUDIT, FACTS
from services.calls.call import client
from services.calls.limits import Limits
from services.clock import Clock
from services.config import load
from services.demo.simulator import Simulator, Site
from services.health_monitor.monitor import Monitor
from services.health_monitor.orders import Orders
from services.jetstream.append import Log
from services.jetstream.connect import Client
from services.jetstream.setup import ensure
from services.process import Host
from tests.support.refreshing import configuration, eventually, recorded, table

Event = TypeVar("Event")
SPEED = 20.0
"""Seconds of the monitor's clock in one of ours: ten of an interval are half a second."""


def fast(speed: float = SPEED) -> Clock:
    """Return a clock that is right now, and runs *speed* times as fast."""
    now = time.time()
    return Clock(origin=now, speed=speed, start=now)


class Watched:
    """The monitors of a test, and what they wrote."""

    def __init__(self, nc: Client, folder: Path, clock: Clock) -> None:
        self.nc = nc
        self.clock = clock
        self.registry: Registry = {}
        self._folder = folder

    def register(self, *sites: Site, settings: Mapping[str, object] | None = None) -> None:
        """Let the monitors that start from now on watch *sites*, each with *settings*."""
        tables = [table(site, **(settings or {})) for site in sites]
        path = self._folder / "modelog.toml"
        path.write_text(configuration(*tables) + '\n[health]\ninterval = "10s"\n')
        self.config = load(path, environ={}, cwd=self._folder)
        self.registry = {one.name: one for one in self.config.providers}

    @asynccontextmanager
    async def monitor(self, instance: str = "one") -> AsyncIterator[tuple[Monitor, Orders]]:
        """Run a monitor within the block; what fails in it fails the test."""
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(client(fresh=True))
            log = await Log.open(self.nc)
            host = Host("health-monitor", self.config, self.clock, self.nc, log)
            host.instance = instance
            monitor = Monitor(host, http, Limits(16, clock=self.clock))
            stack.push_async_callback(monitor.stop)
            await monitor.listen()
            await monitor.follow(self.registry)
            yield monitor, Orders(host, monitor.journal, monitor.watchers)

    async def checks(self, provider: str = "*") -> list[CheckCompleted]:
        """Return every cycle that was recorded, in order."""
        return cast("list[CheckCompleted]", await self._of(AUDIT, f"audit.check.{provider}.>"))

    async def health(self, provider: str = "*") -> list[HealthEvent]:
        """Return the facts of health, in order."""
        return cast("list[HealthEvent]", await self._of(FACTS, f"log.health.{provider}.>"))

    async def statuses(self, provider: str) -> list[tuple[str, str | None]]:
        """Return the statuses that a provider came to, with their causes."""
        return [
            (event.to, event.cause)
            for event in await self.health(provider)
            if isinstance(event, HealthStatusChanged)
        ]

    async def alerts(self, provider: str = "*") -> list[AlertEvent]:
        """Return what was told people, in order."""
        return cast("list[AlertEvent]", await self._of(FACTS, f"log.alert.{provider}.>"))

    async def _of(self, stream: str, filter: str) -> list[object]:
        return [one.event for one in await recorded(self.nc, stream, filter)]

    async def becomes(self, provider: str, status: str, cause: str | None = None) -> None:
        """Wait until the last status of *provider* is that."""

        async def look() -> bool:
            return (await self.statuses(provider))[-1:] == [(status, cause)]

        await eventually(look, 20)

    async def checked(self, provider: str, times: int) -> list[CheckCompleted]:
        """Wait until *provider* was checked so many times, and return all cycles."""

        async def look() -> bool:
            return len(await self.checks(provider)) >= times

        await eventually(look, 20)
        return await self.checks(provider)


async def until_true(look: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until *look* says so."""
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.01)


@asynccontextmanager
async def watched(
    nc: Client, folder: Path, *, count: int = 1, speed: float = SPEED
) -> AsyncIterator[tuple[Watched, list[Site]]]:
    """A fresh log, and *count* providers `p0`, `p1`, … on hosts of their own, with ten models."""
    await ensure(nc, audit_max_age=None, monitor_url=None)
    async with Simulator() as simulator:
        sites = [simulator.provider(f"p{n}", host=f"127.0.0.{n + 2}") for n in range(count)]
        for site in sites:
            site.models = [f"m{n}" for n in range(10)]
        made = Watched(nc, folder, fast(speed))
        made.register(*sites)
        yield made, sites
