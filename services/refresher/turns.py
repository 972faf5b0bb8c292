"""One run of a provider at a time, over all processes.

Each flies under the lease `call.<provider>`, which fences it: what it decided is appended as long
as that holds, and else never. Whoever gets a lease that another had reads anew what is known, and
tells how a run ended that a crash cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

from events.audit import Failure, RefreshFailed, RefreshOutcome
from services import clock as clocks
from services.jetstream.lease import Lease, Leases
from services.process import Host
from services.refresher.asking import Asking
from services.refresher.known import ENDED, interrupted, last_outcome
from services.refresher.refresh import Run, refresh
from services.refresher.watched import Watched

POLL = (0.3, 0.7)
PATIENCE = 10.0
RUN = "Modelog-Run"
FORCE = "Modelog-Force"


class Turns:
    """The way of a process's runs past those of other processes."""

    def __init__(self, host: Host, asking: Asking, leases: Leases) -> None:
        self._host = host
        self._asking = asking
        self._leases = leases
        self._releases: dict[str, asyncio.Task[None]] = {}

    async def fly(self, watched: Watched, run: Run) -> RefreshOutcome:
        """Wait for the turn of *run*, and run it to its outcome; raises what `refresh` raises."""
        lease = await self._turn(watched.name, run)
        try:
            if not lease.sole and not await self._sole(watched):
                async with watched.turn:
                    watched.forget()
                await self._tell(watched.name)
            watched.last_run = run.run_id
            return await refresh(self._host.under(lease), self._asking, watched, run)
        finally:  # who joins a run joins no lease that is given back
            self._releases[watched.name] = asyncio.create_task(lease.release())

    async def _sole(self, watched: Watched) -> bool:
        """Tell whether nobody has run the provider since: monitors take the same lease."""
        started = await last_outcome(self._host.nc, watched.name, ("started",))
        return started is not None and getattr(started.event, "run_id", "") == watched.last_run

    async def stop(self) -> None:
        """Wait until every lease is given back; called when nothing flies any more."""
        await asyncio.gather(*self._releases.values())

    @asynccontextmanager
    async def hold(self, provider: str) -> AsyncIterator[None]:
        """Let no process run *provider* within the block.

        A run that is on its way elsewhere gets `PATIENCE` seconds to end; after that its next
        append is refused, since what it knows is not the last any more.
        """
        lease: Lease | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                lease = await self._turn(provider, None)
        try:
            yield
        finally:
            if lease is not None:
                await lease.release()

    async def _turn(self, provider: str, run: Run | None) -> Lease:
        if (release := self._releases.get(provider)) is not None:
            await asyncio.wait([release])
        note = {} if run is None else {RUN: run.run_id, FORCE: str(int(run.force))}
        while (  # noqa: ASYNC110 - another process releases it, and says so to nobody
            lease := await self._leases.acquire(_key(provider), note=note)
        ) is None:
            await asyncio.sleep(clocks.uniform(*POLL))
        return lease

    async def elsewhere(self, provider: str) -> Run | None:
        """Return the run of *provider* that is on its way in another process, None where none is.

        Raises NoAnswer and ApiError.
        """
        entry = await self._leases.who(_key(provider))
        ours = entry.value == self._host.instance.encode()
        if entry.value is None or ours or RUN not in entry.headers:
            return None
        return Run(entry.headers[RUN], force=entry.headers.get(FORCE) == "1")

    async def landed(self, provider: str, run: Run) -> RefreshOutcome:
        """Wait for the outcome of a run that is on its way in another process."""
        flying = True
        while True:
            ended = await last_outcome(self._host.nc, provider, ENDED)
            outcome = None if ended is None else cast("RefreshOutcome", ended.event)
            if outcome is not None and outcome.run_id == run.run_id:
                return outcome
            if not flying:
                failure = Failure(class_="interrupted", message="its process told no outcome")
                now = self._host.clock.now()
                return RefreshFailed(at=now, provider=provider, run_id=run.run_id, error=failure)
            await asyncio.sleep(clocks.uniform(*POLL))
            other = await self.elsewhere(provider)
            flying = other is not None and other.run_id == run.run_id

    async def settle(self, provider: str) -> bool:
        """Tell how a run ended that a crash cut off; return whether there was one.

        A run whose lease is held yet is on its way, or its process is gone and the lease expires:
        that is waited for.
        """
        while await interrupted(self._host.nc, provider) is not None:
            lease = await self._leases.acquire(_key(provider))
            if lease is None:
                await asyncio.sleep(clocks.uniform(*POLL))
                continue
            try:
                return await self._tell(provider)
            finally:
                await lease.release()
        return False

    async def _tell(self, provider: str) -> bool:
        owed = await interrupted(self._host.nc, provider)
        if owed is not None:
            await self._host.record(owed, correlation_id=owed.run_id)
        return owed is not None


def _key(provider: str) -> str:
    return f"call.{provider}"
