"""One provider's schedule, kept as long as this process holds its seat."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from datetime import datetime

from events.audit import RefreshReason
from services.process import Host
from services.refresher.asking import Asking
from services.refresher.flights import Flights
from services.refresher.known import last_outcome
from services.refresher.turns import Turns
from services.refresher.vitals import Vitals
from services.refresher.watched import Watched
from services.schedule import next_tick, ticks
from services.seats import Seats, Taken

KIND = "refresh"
LOOK = 60.0
"""Seconds after which a provider that asked to wait is looked at again: its key may be another."""


class Keeping:
    """What all the schedules of a process share."""

    def __init__(
        self, host: Host, asking: Asking, seats: Seats, turns: Turns, vitals: Vitals
    ) -> None:
        self._host = host
        self._asking = asking
        self._seats = seats
        self._turns = turns
        self._vitals = vitals

    async def keep(self, watched: Watched, flights: Flights) -> None:
        """Refresh one provider at each of its ticks, whenever this process holds its seat.

        Ends only by an error of ours.
        """
        async with self._seats.seat(watched.name, lambda: flights.running) as seat:
            while True:
                taken = await seat.taken()
                schedule = asyncio.create_task(self._schedule(watched, flights, taken))
                recovery = asyncio.create_task(self._recovery(watched, flights))
                over = asyncio.create_task(taken.lease.over.wait())
                try:
                    await asyncio.wait(
                        (schedule, recovery, over), return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    over.cancel()
                    schedule.cancel()
                    recovery.cancel()
                    await asyncio.wait((schedule, recovery))
                for task in (schedule, recovery):
                    if not task.cancelled():
                        task.result()  # raises: neither has another end

    async def _schedule(self, watched: Watched, flights: Flights, taken: Taken) -> None:
        due = taken.early or taken.lease.sole
        due = due or await self._turns.settle(watched.name) or await self._overdue(watched)
        grid = ticks(
            self._host.clock,
            installation=self._host.log.installation,
            provider=watched.name,
            kind=KIND,
            interval=watched.schedule.interval,
            at_once=due,
        )
        doubtful = True
        async for _ in grid:
            gate = self._vitals.gate(watched.name)
            reason: RefreshReason = "schedule"
            if gate == "blocked" and await self._asking.another_credential(watched):
                gate, reason = "run", "credential"
            if gate in {"down", "blocked"}:
                self._vitals.skip(watched.name, gate)
                continue
            async with self._vitals.panic if gate == "panic" else nullcontext():
                if doubtful:
                    await self._wait(watched)
                outcome = await asyncio.shield(flights.request(reason=reason).ended)
            doubtful = outcome.error is not None

    async def _recovery(self, watched: Watched, flights: Flights) -> None:
        """Refresh a provider soon after it can be used again, whatever its schedule says."""
        while True:
            await self._vitals.recovered(watched.name)
            await asyncio.shield(flights.request(reason="recovery").ended)

    async def _overdue(self, watched: Watched) -> bool:
        """Tell whether a tick has passed since the last run began."""
        last = await last_outcome(self._host.nc, watched.name, ("started",))
        if last is None:
            return True
        began = round(datetime.fromisoformat(last.event.at).timestamp() * 1000)
        interval = round(watched.schedule.interval * 1000)
        due = next_tick(self._host.log.installation, watched.name, KIND, interval, began)
        return due <= self._host.clock.unix() * 1000

    async def _wait(self, watched: Watched) -> None:
        """Wait as long as the provider does not want to be asked."""
        while (left := await self._asking.left(watched)) > 0:
            await self._host.clock.sleep(min(left, LOOK))
