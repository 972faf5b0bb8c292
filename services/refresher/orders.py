"""What is ordered: to refresh one provider, or all of them, which is a discovery."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from events.audit import DiscoveryCompleted, DiscoveryStarted, RefreshOutcome
from events.requests import Accepted, Refresh
from events.requests import Run as RunReply
from services.broker import Accept, CommandRefused
from services.logs import say
from services.process import Host
from services.refresher.flights import Flights, Ticket
from services.refresher.turns import Turns


class Orders:
    """Carries out what is ordered of the providers that have *flights*; *ended* hears of each run.

    Whichever process receives an order runs the providers, on whoever's schedule they are.
    """

    def __init__(
        self,
        host: Host,
        flights: Mapping[str, Flights],
        turns: Turns,
        ended: Callable[[asyncio.Task[RefreshOutcome]], None],
    ) -> None:
        self._host = host
        self._flights = flights
        self._turns = turns
        self._ended = ended

    async def refresh(self, request: Refresh, correlation_id: str, accept: Accept) -> Accepted:
        """Carry out the command `refresh`; raises CommandRefused for an unknown provider."""
        if request.provider is not None and request.provider not in self._flights:
            known = ", ".join(sorted(self._flights)) or "none"
            message = f"no enabled provider {request.provider!r}; there are: {known}"
            raise CommandRefused("not_found", message)
        await accept()
        names = list(self._flights) if request.provider is None else [request.provider]
        asked = await asyncio.gather(*(self._ask(name, force=request.force) for name in names))
        tickets = dict(zip(names, asked, strict=True))
        if request.provider is None:
            whole = asyncio.create_task(self._discover(tickets, correlation_id))
        else:
            whole = asyncio.create_task(_outcomes(tickets))
        whole.add_done_callback(_seen)
        for ticket in tickets.values():
            ticket.ended.add_done_callback(self._ended)
        runs = [
            RunReply(provider=name, run_id=ticket.run.run_id, joined=ticket.joined)
            for name, ticket in sorted(tickets.items())
        ]
        outcomes = None
        if request.wait:
            outcomes = [msgspec.to_builtins(one) for one in await asyncio.shield(whole)]
        return Accepted(accepted=True, correlation_id=correlation_id, runs=runs, outcomes=outcomes)

    async def _ask(self, name: str, *, force: bool) -> Ticket:
        """Start a run, or join the one on its way, here or in another process."""
        flights = self._flights[name]
        other = None if flights.running else await self._turns.elsewhere(name)
        if other is None or (force and not other.force):
            return flights.request(force=force, reason="command")
        ended = asyncio.create_task(self._turns.landed(name, other))
        return Ticket(other, joined=True, ended=ended)

    async def _discover(
        self, tickets: dict[str, Ticket], correlation_id: str
    ) -> list[RefreshOutcome]:
        """Run over all providers, and tell the audit trail how it began and ended."""
        clock, loop = self._host.clock, asyncio.get_running_loop()
        began = loop.time()
        started = DiscoveryStarted(at=clock.now(), run_id=correlation_id, providers=len(tickets))
        await self._host.record(started, correlation_id=correlation_id)
        outcomes = await _outcomes(tickets)
        completed = DiscoveryCompleted(
            at=clock.now(),
            run_id=correlation_id,
            providers=len(tickets),
            models=sum(outcome.models for outcome in outcomes),
            errors=sum(outcome.error is not None for outcome in outcomes),
            duration_ms=round((loop.time() - began) * 1000),
        )
        await self._host.record(completed, correlation_id=correlation_id)
        return outcomes


async def _outcomes(tickets: dict[str, Ticket]) -> list[RefreshOutcome]:
    """Wait for the end of every run, in the order of the providers."""
    ended = [ticket.ended for _, ticket in sorted(tickets.items())]
    return await asyncio.gather(*(asyncio.shield(task) for task in ended))


def _seen(task: asyncio.Task[list[RefreshOutcome]]) -> None:
    """Take note of a failure that nobody waits for: the run's own task has told it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        say("failed", level=logging.ERROR, error=f"{type(error).__name__}: {error}")
