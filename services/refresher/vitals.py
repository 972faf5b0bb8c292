"""What the health monitors say of the providers: read from the log, then heard live."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress

from events.codec import Event
from events.envelope import opened
from events.health import (
    HealthCoverageLost,
    HealthCoverageRestored,
    HealthStatusChanged,
    usable,
)
from events.subjects import FACTS
from services import clock as clocks
from services.jetstream.api import ApiError, NoAnswer
from services.jetstream.hear import hear
from services.jetstream.read import pages
from services.jetstream.state import alive
from services.logs import say
from services.process import Host
from services.refresher.gate import Gate, Vital, gate, panicking

MONITOR = "health-monitor"
LOOK = 5.0
"""Seconds between two looks at whether a monitor is alive."""
SOON = 5.0
"""Seconds over which those that recover are asked again."""
AT_ONCE = 2
"""Providers that run at once in a panic, of those that are said to be down."""


class Vitals:
    """The statuses of all providers; follows them until the process ends."""

    def __init__(self, host: Host) -> None:
        """Nothing is known yet: everything runs."""
        self.panic = asyncio.Semaphore(AT_ONCE)
        self.enabled: Collection[str] = ()
        self.skipped: dict[tuple[str, str], int] = {}
        self._host = host
        self._vitals: dict[str, Vital] = {}
        self._alive = False
        self._recovered: dict[str, asyncio.Event] = {}

    async def listen(self) -> None:
        """Read what was said before, and hear what is said from now on."""
        await hear(self._host.nc, "modelog.health.>", self._heard)
        heard, self._vitals = self._vitals, {}
        async for page in pages(self._host.nc, FACTS, after=0, filter="log.health.>"):
            for stored in page:
                self._take(opened(FACTS, stored).event)
        self._vitals |= heard

    async def follow(self) -> None:
        """Look now and then whether a monitor is alive, until cancelled."""
        while True:
            with suppress(NoAnswer):
                try:
                    self._alive = bool(await alive(self._host.nc, MONITOR))
                except ApiError as error:
                    say("no heartbeats", level=logging.WARNING, error=str(error))
            await asyncio.sleep(LOOK)

    def gate(self, provider: str) -> Gate:
        """Return whether a scheduled refresh of *provider* runs, and else why not."""
        panic = panicking(self._vitals.get(name) for name in self.enabled)
        return gate(self._vitals.get(provider), alive=self._alive, panic=panic)

    def skip(self, provider: str, reason: Gate) -> None:
        """Count a refresh that does not run; say so the first time in a row."""
        key = provider, reason
        if key not in self.skipped:
            say("skips", provider=provider, reason=reason)
        self.skipped[key] = self.skipped.get(key, 0) + 1

    async def recovered(self, provider: str) -> None:
        """Wait until *provider* can be used again, and some seconds more, so that not all come."""
        event = self._recovered.setdefault(provider, asyncio.Event())
        event.clear()
        await event.wait()
        for key in [key for key in self.skipped if key[0] == provider]:
            del self.skipped[key]
        await self._host.clock.sleep(clocks.uniform(0, SOON))

    def _heard(self, event: Event, _: Mapping[str, str]) -> None:
        recovery = self._take(event)
        if recovery is not None and recovery in self._recovered:
            self._recovered[recovery].set()

    def _take(self, event: Event) -> str | None:
        """Take note of a fact of health; return the provider that it makes usable again."""
        match event:
            case HealthStatusChanged(provider=provider):
                before = self._vitals.get(provider)
                stale = before is not None and before.stale
                self._vitals[provider] = Vital(event.to, event.cause, stale)
                return provider if event.from_ == "error" and usable(event.to) else None
            case HealthCoverageLost(provider=provider) | HealthCoverageRestored(provider=provider):
                before = self._vitals.get(provider)
                if before is not None:
                    stale = isinstance(event, HealthCoverageLost)
                    self._vitals[provider] = before._replace(stale=stale)
            case _:
                pass
        return None
