"""What the process does for all watchers: secrets, leases, the log, and who is told nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from events.alerts import AlertEvent
from events.decide.conditions import Condition
from events.decide.fleet import Standing
from events.decide.providers import Settings
from events.health import CheckCompleted, HealthEvent, down
from services.clock import Pinned
from services.credentials import secrets_of
from services.health_monitor.fleet import vantage
from services.health_monitor.journal import Journal
from services.health_monitor.maintenance import window_at
from services.health_monitor.pace import Grid
from services.health_monitor.recall import Recalled, recall
from services.health_monitor.witness import Guard
from services.health_settings import Health
from services.jetstream.lease import Leases
from services.keys import Secret
from services.process import Host
from services.schedule import next_tick
from services.seats import Seats

KIND = "check"


class Office:
    """One process's office; see `watcher.Office`."""

    def __init__(  # noqa: PLR0913 - what a process has
        self,
        host: Host,
        pinned: Pinned,
        guard: Guard,
        *,
        journal: Journal,
        leases: Leases,
        seats: Seats,
        standing: Callable[[str], Standing | None],
    ) -> None:
        """Nothing is done yet."""
        self.vantage = vantage(host)
        self.guard = guard
        self._host = host
        self._pinned = pinned
        self._journal = journal
        self._leases = leases
        self._seats = seats
        self._standing = standing
        self._releases: dict[str, asyncio.Task[None]] = {}

    async def secrets(self, settings: Settings) -> dict[str, Secret]:
        """Read the secrets of a provider anew; raises KeyUnavailable."""
        return await secrets_of(settings)

    async def recall(self, provider: str) -> Recalled:
        """Read what the log has of a provider."""
        return await recall(self._host.nc, provider, self.vantage)

    @asynccontextmanager
    async def turn(self, provider: str) -> AsyncIterator[bool]:
        """Hold the call lease of a provider within the block; False where another has it."""
        if (release := self._releases.pop(provider, None)) is not None:
            await asyncio.wait([release])
        lease = await self._leases.acquire(f"call.{provider}")
        try:
            yield lease is not None
        finally:
            if lease is not None:  # nobody waits for it, and it expires by itself
                self._releases[provider] = asyncio.create_task(lease.release())

    async def closed(self) -> None:
        """Wait until every lease is given back."""
        await asyncio.gather(*self._releases.values())

    def put(self, event: CheckCompleted) -> asyncio.Future[None]:
        """Record a cycle, soon; the result tells when it is."""
        return self._journal.put(event)

    async def append(
        self,
        provider: str,
        events: Sequence[HealthEvent | AlertEvent],
        seqs: dict[str, int],
        cycle_id: str,
        behind: asyncio.Future[None] | None,
    ) -> None:
        """Append facts in one batch, once *behind* is recorded.

        Raises what `Log.append` raises, among it SequenceConflict and Fenced.
        """
        if behind is not None:
            await self._journal.flushed(behind)
        host = self._seats.under(self._host, provider) or self._host
        await self._journal.append(host, provider, events, seqs, cycle_id)

    def inhibits(self, condition: Condition, settings: Settings) -> bool:
        """Tell whether nobody is to be told of *condition* now."""
        if condition.kind in {"discovery", "retirement"}:
            return False
        health = Health.from_settings(settings)
        if self.guard.local or window_at(health.maintenance, self._pinned.now()) is not None:
            return True
        parents = [self._standing(name) for name in health.depends_on]
        return any(one is not None and down(one.status, one.cause) for one in parents)

    def grid(self, provider: str) -> Grid:
        """Return the provider's grid."""
        return partial(_tick, self._host.log.installation, provider)


def _tick(installation: str, provider: str, interval: int, after: int) -> int:
    return next_tick(installation, provider, KIND, interval, after)
