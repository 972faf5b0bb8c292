"""All providers that a process may check: each under its seat, and the fleet under one lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import cast

from events.audit import RefreshFailed, RefreshQuarantined, RefreshSucceeded
from events.base import millis_of
from events.codec import Event
from events.decide.fleet import ALL, Standing
from events.decide.providers import Registry, Settings
from events.decide.retiring import NOTHING, evolve
from events.envelope import opened
from events.health import CheckCompleted, HealthStatusChanged
from events.models import ModelAdded, ModelEvent, ModelRemoved, ModelUpdated
from events.subjects import FACTS, facts_of
from services import clock as clocks
from services.calls.call import Client, call
from services.calls.limits import Limits
from services.calls.tokens import Tokens
from services.clock import Pinned
from services.health_monitor.desk import Desk
from services.health_monitor.fleet import Fleet, statuses
from services.health_monitor.journal import Journal
from services.health_monitor.office import KIND, Office
from services.health_monitor.watcher import Watcher
from services.health_monitor.witness import Guard, Source
from services.jetstream.api import ApiError, NoAnswer
from services.jetstream.hear import hear
from services.jetstream.lease import Leases
from services.jetstream.read import pages
from services.logs import say
from services.process import Host
from services.providers import Request
from services.seats import POLL, Seats
from services.waits import Waits

TICK = 5.0
"""Seconds between two looks at what time alone ends."""
WITNESS = 5.0
PATIENCE = 1.0


class Monitor:
    """All providers that this process may check, and what it heard of the others."""

    def __init__(self, host: Host, http: Client, limits: Limits) -> None:
        """Nothing is watched yet."""
        self.watchers: dict[str, Watcher] = {}
        self.pinned = Pinned(host.clock)
        self.journal = Journal(host)
        self._host = host
        self._http = http
        self._standings: dict[str, Standing] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leases = Leases(host.nc, host.instance)
        self._seats = Seats(self._leases, host.name, KIND)
        source = Source(
            self._pull, self._spread, self._interval, self._barred, self._hosts, self._up
        )
        self._guard = Guard(host.clock, self.pinned, source)
        waits, tokens = Waits(host.clock, host.nc), Tokens(host.clock)
        self._desk = Desk(http, limits, host.clock, waits, tokens, self._guard.heard)
        self._office = Office(
            host,
            self.pinned,
            self._guard,
            journal=self.journal,
            leases=self._leases,
            seats=self._seats,
            standing=self._standings.get,
        )
        self._fleet = Fleet(
            host,
            self.pinned,
            self.journal,
            self._standings.values,
            self._guard,
        )
        self._own = [
            self.mind(asyncio.create_task(work))
            for work in (self.journal.run(), self._lead(), self._tick())
        ]

    def mind(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """Fail where *task* does, and return it."""
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._failed.done():
            self._failed.set_exception(error)

    async def forever(self) -> None:
        """Wait until a task fails, and raise what it raised."""
        await self._failed

    async def listen(self) -> None:
        """Hear what other processes store, and read what they stored before."""
        for subject in (
            "modelog.audit.refresh.>",
            "modelog.audit.check.>",
            "modelog.health.>",
            "modelog.model.>",
        ):
            await hear(self._host.nc, subject, self._heard)
        for event in (await statuses(self._host)).values():
            self._stand(event)

    def _heard(self, event: Event, _: Mapping[str, str]) -> None:
        watcher = self.watchers.get(getattr(event, "provider", ""))
        if isinstance(event, HealthStatusChanged):
            self._stand(event)
        elif watcher is None:
            return
        elif isinstance(event, RefreshSucceeded | RefreshFailed | RefreshQuarantined):
            watcher.heard(event)
        elif isinstance(event, CheckCompleted):
            if event.vantage != self._office.vantage:
                watcher.forget()
        elif isinstance(event, ModelAdded | ModelUpdated | ModelRemoved):
            chart = watcher.chart
            if chart is not None and chart.retiring is not None:
                chart.retiring = evolve(chart.retiring, event)

    def _stand(self, event: HealthStatusChanged) -> None:
        watcher = self.watchers.get(event.provider)
        enabled = watcher is not None and watcher.off is None
        self._standings[event.provider] = Standing(
            event.provider, event.to, event.cause, millis_of(event.effective_at), enabled
        )
        self._fleet.bell.set()

    async def follow(self, registry: Registry) -> None:
        """Watch exactly the providers of *registry*."""
        self._seats.start(self._ended)
        for name, watcher in list(self.watchers.items()):
            if registry.get(name) != watcher.settings:
                await self._let_go(name, removed=name not in registry)
        for name, settings in registry.items():
            if name not in self.watchers:
                self._watch(settings)
        for name, standing in list(self._standings.items()):
            watched = self.watchers.get(name)
            enabled = watched is not None and watched.off is None
            self._standings[name] = standing._replace(enabled=enabled)
        witnesses = {
            url for one in self.watchers.values() for url in one.health.witnesses if one.off is None
        }
        self._guard.witnesses = (lambda: self._anybody(witnesses)) if witnesses else None

    def _watch(self, settings: Settings) -> None:
        watcher = Watcher(settings, self._office, self._desk, self.pinned)
        self.watchers[settings.name] = watcher
        self._tasks[settings.name] = self.mind(asyncio.create_task(self._keep(watcher)))

    async def _keep(self, watcher: Watcher) -> None:
        """Check a provider whenever this process holds its seat."""
        async with self._seats.seat(watcher.name, lambda: watcher.flying) as seat:
            while True:
                taken = await seat.taken()
                work = asyncio.create_task(self._hold(watcher))
                over = asyncio.create_task(taken.lease.over.wait())
                try:
                    await asyncio.wait((work, over), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    over.cancel()
                    work.cancel()
                    await asyncio.wait((work,))
                if not work.cancelled():
                    work.result()  # raises: a watch has no other end

    async def _hold(self, watcher: Watcher) -> None:
        retiring = self.mind(asyncio.create_task(self._retiring(watcher)))
        try:
            await watcher.keep()
        finally:
            retiring.cancel()

    async def _retiring(self, watcher: Watcher) -> None:
        """Read what a provider's models say of their end; days matter here, not seconds."""
        found = NOTHING
        async for page in pages(
            self._host.nc, FACTS, after=0, filter=facts_of("model", watcher.name)
        ):
            for stored in page:
                found = evolve(found, cast("ModelEvent", opened(FACTS, stored).event))
        if watcher.chart is not None:
            watcher.chart.retiring = found

    async def _let_go(self, name: str, *, removed: bool) -> None:
        watcher = self.watchers.pop(name)
        held = self._seats.under(self._host, name) is not None
        task = self._tasks.pop(name)
        await watcher.stop()
        if removed and held:
            await watcher.remove()
        task.cancel()
        await asyncio.wait([task])

    async def _lead(self) -> None:
        """Tell what concerns all, whenever this process holds the lease of that."""
        while True:
            lease = None
            try:
                lease = await self._leases.acquire(f"{KIND}.{ALL}")
                if lease is not None:
                    await self._fleet.keep(lease)
            except (NoAnswer, ApiError) as error:
                say("no lease", level=logging.WARNING, error=str(error))
            finally:
                if lease is not None:
                    await lease.release()
            await asyncio.sleep(POLL * clocks.uniform(0.8, 1.0))

    async def _tick(self) -> None:
        while True:
            await self._host.clock.sleep(TICK)
            self._guard.tick()

    async def _anybody(self, urls: Collection[str]) -> bool:
        """Ask the witnesses whether they can be reached; one is enough."""
        asked = [
            call(
                self._http,
                Request(url),
                timeout=WITNESS,
                connect_timeout=WITNESS,
                max_bytes=65_536,
                secrets=(),
                clock=self._host.clock,
            )
            for url in urls
        ]
        return any(one.status is not None for one in await asyncio.gather(*asked))

    def _pull(self, hosts: Collection[str]) -> None:
        now = self.pinned.now()
        for watcher in self.watchers.values():
            if watcher.host in hosts:
                watcher.pull(now)

    def _spread(self, seconds: float) -> None:
        now = self.pinned.now()
        for watcher in self.watchers.values():
            watcher.pull(now + round(clocks.uniform(0, 1000 * seconds)))

    def _interval(self) -> int:
        on = [one.health.interval for one in self.watchers.values() if one.off is None]
        return round(1000 * max(on, default=60.0))

    def _barred(self) -> Collection[str]:
        now = self.pinned.now()
        waiting = [one for one in self.watchers.values() if one.barred(now)]
        return {one.host for one in waiting}

    def _hosts(self) -> Collection[str]:
        return {one.host for one in self.watchers.values() if one.off is None}

    def _up(self) -> Collection[str]:
        return {one.host for one in self.watchers.values() if one.up}

    async def stop(self) -> None:
        """End every task; cycles on their way amount to nothing."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*(one.stop() for one in self.watchers.values()))
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        for task in self._own:
            task.cancel()
        await asyncio.wait(self._own)
        await self.journal.flush()
        await asyncio.gather(self._office.closed(), self._seats.stop())
