"""What is ordered: to check one provider or all, to acknowledge an alert, to silence it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from events.alerts import AlertEvent, AlertUpdated
from events.decide.alerts import Alerts, acknowledge, evolve, silence
from events.envelope import opened
from events.health import CheckCompleted
from events.requests import Accepted, Acknowledge, Changed, Check, Run, Silence
from events.subjects import FACTS
from services import clock as clocks
from services.broker import Accept, CommandRefused
from services.health_lists import moment
from services.health_monitor.journal import Journal
from services.health_monitor.watcher import Ticket, Watcher
from services.jetstream.append import SequenceConflict
from services.jetstream.read import pages
from services.leaves import BadValue
from services.logs import say
from services.process import Host

OFTEN = 5.0
"""Seconds between two checks of one provider that are ordered."""
RACES = 10
ALERTS = "log.alert.>"


class Orders:
    """Carries out what is ordered of the providers that have *watchers*."""

    def __init__(self, host: Host, journal: Journal, watchers: Mapping[str, Watcher]) -> None:
        """Nothing is ordered yet."""
        self._host = host
        self._journal = journal
        self._watchers = watchers
        self._ordered: dict[str, tuple[float, Ticket]] = {}

    async def check(self, request: Check, correlation_id: str, accept: Accept) -> Accepted:
        """Carry out the command `check`; raises CommandRefused for an unknown provider."""
        asked = {name: one for name, one in self._watchers.items() if one.off is None}
        if request.provider is not None:
            if request.provider not in asked:
                known = ", ".join(sorted(asked)) or "none"
                message = f"no provider {request.provider!r} that is checked; there are: {known}"
                raise CommandRefused("not_found", message)
            asked = {request.provider: asked[request.provider]}
        await accept()
        tickets = {name: self._order(one) for name, one in sorted(asked.items())}
        for ticket in tickets.values():
            ticket.ended.add_done_callback(_seen)
        outcomes = None
        if request.wait:
            ended = await asyncio.gather(*(asyncio.shield(one.ended) for one in tickets.values()))
            outcomes = [msgspec.to_builtins(one) for one in ended if one is not None]
        runs = [
            Run(provider=name, run_id=ticket.cycle_id, joined=ticket.joined)
            for name, ticket in tickets.items()
        ]
        return Accepted(accepted=True, correlation_id=correlation_id, runs=runs, outcomes=outcomes)

    def _order(self, watcher: Watcher) -> Ticket:
        """Begin a cycle, or join the one on its way, or the last one that was just ordered."""
        now = clocks.elapsed()
        before = self._ordered.get(watcher.name)
        if before is not None and now - before[0] < OFTEN:
            return before[1]._replace(joined=True)
        ticket = watcher.request("manual")
        self._ordered[watcher.name] = now, ticket
        return ticket

    async def acknowledge(self, request: Acknowledge, accept: Accept) -> Changed:
        """Carry out `alert.acknowledge`; raises CommandRefused where no such alert is open."""
        return await self._change(
            request.alert_id, accept, lambda alerts, at: acknowledge(alerts, request.alert_id, at)
        )

    async def silence(self, request: Silence, accept: Accept) -> Changed:
        """Carry out `alert.silence`; raises CommandRefused where no such alert is open."""
        until = request.until
        if until is not None:
            try:
                until = moment(until)
            except BadValue as error:
                raise CommandRefused("invalid", f"until: {error.told[0][1]}") from error
            if until <= self._host.clock.now():
                raise CommandRefused("invalid", f"until: {until} is past; name a later time")
        return await self._change(
            request.alert_id,
            accept,
            lambda alerts, at: silence(alerts, request.alert_id, until, at),
        )

    async def _change(
        self,
        alert_id: str,
        accept: Accept,
        decide: Callable[[Alerts, str], AlertUpdated | None],
    ) -> Changed:
        for _ in range(RACES):
            alerts, seqs = await self._open()
            event = decide(alerts, self._host.clock.now())
            if event is None:
                raise CommandRefused(
                    "not_found",
                    f"no open alert {alert_id!r}; `modelog alerts list` tells which are",
                )
            seq = {"alert": seqs[event.provider]}
            try:
                await self._journal.append(
                    self._host, event.provider, [event], seq, clocks.new_id()
                )
            except SequenceConflict:
                continue
            await accept()
            return Changed(accepted=True, seq=seq["alert"])
        raise CommandRefused("conflict", f"alert {alert_id} keeps changing; ask again")

    async def _open(self) -> tuple[Alerts, dict[str, int]]:
        alerts: Alerts = {}
        seqs: dict[str, int] = {}
        async for page in pages(self._host.nc, FACTS, after=0, filter=ALERTS):
            for stored in page:
                event = cast("AlertEvent", opened(FACTS, stored).event)
                alerts = evolve(alerts, event)
                seqs[event.provider] = stored.seq
        return alerts, seqs


def _seen(task: asyncio.Task[CheckCompleted | None]) -> None:
    """Take note of a failure that nobody waits for."""
    if not task.cancelled() and (error := task.exception()) is not None:
        say("failed", level=logging.ERROR, error=f"{type(error).__name__}: {error}")
