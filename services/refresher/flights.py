"""One run of a provider at a time: who comes second joins the run that is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from events.audit import RefreshOutcome, RefreshReason
from services import clock
from services.refresher.refresh import Run

Fly = Callable[[Run], Awaitable[RefreshOutcome]]


class Ticket(NamedTuple):
    """A run that was asked for: which it is, whether it was on its way, and its end."""

    run: Run
    joined: bool
    ended: asyncio.Task[RefreshOutcome]


class Flights:
    """The runs of one provider; lives as long as the provider is watched."""

    def __init__(self, fly: Fly) -> None:
        self._fly = fly
        self._current: tuple[Run, asyncio.Task[RefreshOutcome]] | None = None
        self._next: tuple[Run, asyncio.Task[RefreshOutcome]] | None = None

    @property
    def running(self) -> bool:
        """Whether a run is on its way."""
        return self._current is not None and not self._current[1].done()

    def request(self, *, force: bool = False, reason: RefreshReason = "schedule") -> Ticket:
        """Start a run, or join the one on its way.

        A forced one joins a forced run; behind an unforced one it waits, and then runs once,
        however many asked for it.
        """
        for flight in (self._current, self._next):
            if flight is not None and not flight[1].done() and (flight[0].force or not force):
                return Ticket(flight[0], joined=True, ended=flight[1])
        run = Run(clock.new_id(), force=force, reason=reason)
        before = self._current[1] if self.running and self._current is not None else None
        task = asyncio.create_task(self._take_off(run, before))
        if before is None:
            self._current = run, task
        else:
            self._next = run, task
        return Ticket(run, joined=False, ended=task)

    async def _take_off(
        self, run: Run, before: asyncio.Task[RefreshOutcome] | None
    ) -> RefreshOutcome:
        if before is not None:
            await asyncio.wait([before])
            self._current, self._next = self._next, None
        return await self._fly(run)

    async def landed(self) -> None:
        """Wait until the run on its way has ended."""
        if self._current is not None:
            await asyncio.wait([self._current[1]])

    async def stop(self) -> None:
        """Cancel what is on its way and wait for its outcome."""
        tasks = [flight[1] for flight in (self._next, self._current) if flight is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
