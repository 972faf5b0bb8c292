"""Who runs which provider's schedule: one instance each, and all instances about as many.

Every instance reads which instances live, and computes the same: the highest hash of instance and
provider says who should hold it. Who should takes its lease, who should not gives it up when idle;
so another instance takes its share, and those of one that died are taken by the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from typing import NamedTuple

from services import clock as clocks
from services.jetstream.api import ApiError, NoAnswer
from services.jetstream.buckets import Unanswered
from services.jetstream.lease import Lease, Leases
from services.jetstream.state import BEAT, alive, beat, rest
from services.logs import say
from services.process import Host

POLL = 3.0
"""Seconds between two looks at who lives and what is free."""
PATIENCE = 4
"""Looks after which a provider is tried that another should hold: it may not know of it."""


class Taken(NamedTuple):
    """A lease that this instance has just got; *early*: at the first look for it."""

    lease: Lease
    early: bool


class Seat:
    """The claim of this instance to one provider's schedule."""

    def __init__(self, provider: str, busy: Callable[[], bool]) -> None:
        self.provider = provider
        self.busy = busy
        self.lease: Lease | None = None
        self.looks = 0
        self._taken: asyncio.Queue[Taken] = asyncio.Queue()

    @property
    def held(self) -> Lease | None:
        """The lease, as long as it holds."""
        return self.lease if self.lease is not None and self.lease.holds else None

    async def taken(self) -> Taken:
        """Wait until this instance holds the provider, and return how it came to."""
        return await self._taken.get()

    def take(self, lease: Lease, *, early: bool) -> None:
        """Hold the provider from now on."""
        self.lease, self.looks = lease, 0
        self._taken.put_nowait(Taken(lease, early))


class Seats:
    """All claims of an instance to leases of one *kind*; they follow who lives until `stop`."""

    def __init__(self, leases: Leases, process: str, kind: str) -> None:
        self._leases = leases
        self._process = process
        self._kind = kind
        self._seats: dict[str, Seat] = {}
        self._wake = asyncio.Event()
        self._live: frozenset[str] = frozenset()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, ended: Callable[[asyncio.Task[None]], None]) -> None:
        """Begin, once; *ended* is told where a task of it does."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(work) for work in (self._beat(), self._follow())]
            for task in self._tasks:
                task.add_done_callback(ended)

    async def stop(self) -> None:
        """End: the leases were released by their seats' ends, and this instance lives no more."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            await rest(self._leases.nc, self._process, self._leases.holder)
        self._tasks = []

    @asynccontextmanager
    async def seat(self, provider: str, busy: Callable[[], bool]) -> AsyncIterator[Seat]:
        """Claim a provider within the block; *busy* says whether it cannot be given up now."""
        seat = self._seats[provider] = Seat(provider, busy)
        self._wake.set()
        try:
            yield seat
        finally:
            if self._seats.get(provider) is seat:
                del self._seats[provider]
            if seat.lease is not None:
                await seat.lease.release()

    def under(self, host: Host, provider: str) -> Host | None:
        """Return *host* under the lease of *provider*, None where this instance has it not."""
        seat = self._seats.get(provider)
        lease = None if seat is None else seat.held
        return None if lease is None else host.under(lease)

    async def _beat(self) -> None:
        while True:
            with suppress(Unanswered):
                await beat(self._leases.nc, self._process, self._leases.holder)
            await asyncio.sleep(BEAT * clocks.uniform(0.8, 1.0))

    async def _follow(self) -> None:
        while True:
            self._wake.clear()
            try:
                self._live = await alive(self._leases.nc, self._process)
                await asyncio.gather(*(self._see_to(seat) for seat in list(self._seats.values())))
            except (NoAnswer, ApiError) as error:
                say("no leases", level=logging.WARNING, error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL * clocks.uniform(0.8, 1.0)):
                    await self._wake.wait()

    async def _see_to(self, seat: Seat) -> None:
        """Take what this instance should hold, and give up what it should not."""
        mine = holder(seat.provider, self._live | {self._leases.holder}) == self._leases.holder
        if seat.held is not None:
            if not mine and not seat.busy():
                say("gives up", provider=seat.provider)
                await seat.held.release()
            return
        seat.looks += 1
        if not mine and seat.looks % PATIENCE:
            return
        early = seat.looks == 1
        lease = await self._leases.acquire(f"{self._kind}.{seat.provider}")
        if lease is None:
            return
        if self._seats.get(seat.provider) is not seat:  # it ended meanwhile
            await lease.release()
            return
        say("holds", provider=seat.provider, revision=lease.revision)
        seat.take(lease, early=early)


def holder(provider: str, instances: Collection[str]) -> str:
    """Return which of *instances* should hold *provider*: rendezvous hashing.

    When one comes or goes, no provider moves but to or from that one.
    """
    return max(instances, key=lambda one: blake2b(f"{one}|{provider}".encode()).digest())
