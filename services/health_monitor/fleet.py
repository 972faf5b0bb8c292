"""What concerns all providers together: alerts of provider `all`, told by one instance.

More than half of them down, and our own network down. The holder of the lease `check.all` tells.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import cast

from events.alerts import AlertEvent
from events.decide.alerts import Alerts, decide, evolve
from events.decide.fleet import ALL, Standing, fleet
from events.envelope import opened
from events.health import HealthStatusChanged
from events.subjects import FACTS, facts_of
from services import clock as clocks
from services.clock import Pinned
from services.health_monitor.chart import standing
from services.health_monitor.journal import Journal
from services.health_monitor.witness import Guard
from services.jetstream.append import Fenced, SequenceConflict
from services.jetstream.lease import Lease
from services.jetstream.read import pages
from services.logs import say
from services.process import Host

LOOK = 10.0
"""Seconds between two looks where nothing rings."""


class Fleet:
    """The alerts of the whole fleet; *standings* says how every provider stands.

    An alert that our own network is down stays as long as *guard* cannot tell that it is over.
    """

    def __init__(
        self,
        host: Host,
        pinned: Pinned,
        journal: Journal,
        standings: Callable[[], Iterable[Standing]],
        guard: Guard,
    ) -> None:
        """Nothing is read yet."""
        self._host = host
        self._pinned = pinned
        self._journal = journal
        self._standings = standings
        self._guard = guard
        self.bell = asyncio.Event()

    async def keep(self, lease: Lease) -> None:
        """Tell what concerns all, as long as *lease* holds."""
        host = self._host.under(lease)
        while lease.holds:
            try:
                await self._follow(host, lease)
            except SequenceConflict:
                say("read anew", provider=ALL)
            except Fenced as error:
                say("no lease", level=logging.WARNING, error=str(error))
                return

    async def _follow(self, host: Host, lease: Lease) -> None:
        alerts, seq = await self._read()
        seqs = {"alert": seq}
        while lease.holds:
            cycle_id = clocks.new_id()
            wanted = fleet(list(self._standings()), self._guard.since)
            if self._guard.since is None and self._guard.unsure:
                wanted += standing(alerts, {"local"})
            told = decide(
                alerts,
                wanted,
                self._pinned.now(),
                inhibited=lambda _: False,
                mint=lambda position: clocks.derived_id(cycle_id, position),  # noqa: B023 - called at once
                vantage=vantage(host),
            )
            if told:
                await self._journal.append(host, ALL, told, seqs, cycle_id)
                for event in told:
                    alerts = evolve(alerts, event)
            with suppress(TimeoutError):
                async with asyncio.timeout(host.clock.real_seconds(LOOK)):
                    await self.bell.wait()
            self.bell.clear()

    async def _read(self) -> tuple[Alerts, int]:
        alerts: Alerts = {}
        seq = 0
        async for page in pages(self._host.nc, FACTS, after=0, filter=facts_of("alert", ALL)):
            for stored in page:
                alerts = evolve(alerts, cast("AlertEvent", opened(FACTS, stored).event))
            seq = page[-1].seq
        return alerts, seq


async def statuses(host: Host) -> dict[str, HealthStatusChanged]:
    """Return the last change of status of every provider that had one."""
    found: dict[str, HealthStatusChanged] = {}
    async for page in pages(host.nc, FACTS, after=0, filter="log.health.*.status_changed"):
        for stored in page:
            event = cast("HealthStatusChanged", opened(FACTS, stored).event)
            found[event.provider] = event
    return found


def vantage(host: Host) -> str:
    """Return which installation and instance sees."""
    return f"{host.log.installation[:8]}/{host.instance}"
