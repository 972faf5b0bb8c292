"""The notifier at work: from the log into the boxes, and from the boxes out.

A box is written before anything of it is sent, and again when it was: after a crash a change may go
out twice, under the same id, and none is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from events.alerts import AlertOpened, AlertResolved, AlertUpdated
from events.codec import BrokenEvent, UnknownEvent
from events.decide.alerts import Alert, Alerts, evolve
from events.envelope import Recorded, Stored, opened
from events.subjects import FACTS
from services import clock as clocks
from services.jetstream.read import pages
from services.logs import say
from services.notifier.box import Box, Change, Given, due, wakes
from services.notifier.destinations import Destination
from services.notifier.notice import NotDelivered
from services.notifier.outbox import bounded, delivered, failed, look, take
from services.notifier.store import BOXES, POSITION, Store
from services.process import Host

ALERTS = "log.alert.>"
UNASKED = 30.0
"""Seconds after which the log is read without a bell: live messages can be lost."""
SHORTEST = 0.02
LAST_WORDS = 1.5
"""Seconds that deliveries have to end when the process is told to."""
BASE_DELAY = 5.0
MAX_DELAY = 900.0


class Position(msgspec.Struct, frozen=True):
    """The last sequence whose event is in every box that wants it."""

    seq: int


class Notifier:
    """Tells every one of *destinations* what they want to know, in the order of the log."""

    def __init__(
        self, host: Host, destinations: Mapping[str, Destination], bell: asyncio.Event
    ) -> None:
        """Nothing is read yet."""
        self._host = host
        self._destinations = destinations
        self._bell = bell
        self._store = Store(host.nc)
        self._seq = 0
        self._alerts: Alerts = {}
        self._boxes: dict[str, Box] = {}
        self._saved: dict[str, object] = {}
        self._under_way: dict[str, asyncio.Task[NotDelivered | None]] = {}
        self._sending: dict[str, tuple[Change, ...]] = {}

    async def start(self) -> None:
        """Find out what was told, and what is open.

        Where there is no position it is the end of the log, and what is open there is told.
        """
        await self._store.forget(set(self._destinations))
        for name in self._destinations:
            self._boxes[name] = await self._store.load(BOXES + name, Box) or Box()
        position = await self._store.load(POSITION, Position)
        self._saved = dict(self._boxes)
        until = None if position is None else position.seq
        async for page in pages(self._host.nc, FACTS, after=0, filter=ALERTS, until=until):
            for stored in page:
                self._fold(stored)
            self._seq = page[-1].seq
        self._seq = self._seq if until is None else until
        await self._keep()

    async def run(self) -> None:
        """Carry alerts until cancelled; what is on its way then has a moment to arrive.

        Raises Another, NoAnswer and ApiError.
        """
        try:
            while True:
                self._bell.clear()
                await self._read()
                self._look()
                await self._keep()
                self._send()
                await self._wait()
                await self._arrive()
        except asyncio.CancelledError:
            if self._under_way:
                await asyncio.wait(self._under_way.values(), timeout=LAST_WORDS)
            await self._arrive()
            raise
        finally:
            for task in self._under_way.values():
                task.cancel()

    async def _read(self) -> None:
        """Put what is new in the log into the boxes."""
        async for page in pages(self._host.nc, FACTS, after=self._seq, filter=ALERTS):
            for stored in page:
                recorded = self._fold(stored)
                if recorded is not None:
                    self._take(recorded)
            self._seq = page[-1].seq
            await self._keep()

    def _fold(self, stored: Stored) -> Recorded | None:
        """Return what was stored where we understand it, and pass over what we do not."""
        try:
            recorded = opened(FACTS, stored)
        except (UnknownEvent, BrokenEvent) as error:
            say("passed over", level=logging.WARNING, seq=stored.seq, error=str(error))
            return None
        if not isinstance(recorded.event, AlertOpened | AlertUpdated | AlertResolved):
            return None
        self._alerts = evolve(self._alerts, recorded.event)
        return recorded

    def _take(self, recorded: Recorded) -> None:
        event = recorded.event
        if not isinstance(event, AlertOpened | AlertUpdated | AlertResolved):
            return
        alert = self._alerts.get(event.fingerprint)
        for name, destination in self._destinations.items():
            self._boxes[name] = take(
                self._boxes[name],
                destination.rules,
                event,
                id=recorded.id,
                seq=recorded.seq,
                standing=alert if alert is not None and alert.resolved_at is None else None,
                now=self._now(),
            )

    def _look(self) -> None:
        standing, now = self._standing(), self._now()
        for name, destination in self._destinations.items():
            box = look(self._boxes[name], destination.rules, standing, now)
            self._put(name, bounded(box), "too many wait")

    def _standing(self) -> dict[str, Alert]:
        return {one.alert_id: one for one in self._alerts.values() if one.resolved_at is None}

    def _put(self, name: str, given: Given, why: str) -> None:
        self._boxes[name] = given.box
        for one in given.lost:
            say(
                "given up",
                level=logging.ERROR,
                destination=self._destinations[name].name,
                alert=one.event.alert_id,
                change=one.what,
                error=why,
            )

    async def _keep(self) -> None:
        """Write what has changed, the boxes first: an event that is in them is taken once."""
        for name, box in self._boxes.items():
            if self._saved.get(name) is not box:
                await self._store.save(BOXES + name, box)
                self._saved[name] = box
        if self._saved.get(POSITION) != self._seq:
            await self._store.save(POSITION, Position(self._seq))
            self._saved[POSITION] = self._seq

    def _send(self) -> None:
        """Begin to deliver what is due, one delivery a destination."""
        now = self._now()
        for name, destination in self._destinations.items():
            moment = due(self._boxes[name], destination.rules)
            if name in self._under_way or moment is None or moment > now:
                continue
            waiting = self._boxes[name].waiting
            changes = waiting[:1] if destination.single else waiting
            self._sending[name] = changes
            self._under_way[name] = asyncio.create_task(_attempt(destination, changes))

    async def _wait(self) -> None:
        """Wait for a bell, a delivery that ended, or the next moment at which something is due."""
        standing, now = self._standing(), self._now()
        moments = [
            wakes(self._boxes[name], one.rules, standing, now)
            for name, one in self._destinations.items()
            if name not in self._under_way
        ]
        first = min((one for one in moments if one is not None), default=None)
        seconds = UNASKED
        if first is not None:
            seconds = min(UNASKED, self._host.clock.real_seconds((first - now) / 1000))
        rung = asyncio.create_task(self._bell.wait())
        try:
            await asyncio.wait(
                [rung, *self._under_way.values()],
                timeout=max(SHORTEST, seconds),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            rung.cancel()

    async def _arrive(self) -> None:
        """Note how deliveries ended."""
        for name, task in list(self._under_way.items()):
            if not task.done():
                continue
            del self._under_way[name]
            self._note(name, self._sending.pop(name), task.result())
        await self._keep()

    def _note(self, name: str, changes: Sequence[Change], failure: NotDelivered | None) -> None:
        destination, box, now = self._destinations[name], self._boxes[name], self._now()
        told: dict[str, Any] = {"destination": destination.name, "changes": len(changes)}
        if failure is None:
            say("told", **told, attempts=box.attempts + 1)
            self._boxes[name] = delivered(box, destination.rules, changes, now)
            return
        most = min(MAX_DELAY, BASE_DELAY * 2 ** min(box.attempts, 20))
        wait = clocks.uniform(most / 2, most)
        say("not told", level=logging.WARNING, **told, again_in=wait, error=str(failure))
        self._put(name, failed(box, now, wait=round(wait * 1000)), str(failure))

    def _now(self) -> int:
        return round(self._host.clock.unix() * 1000)


async def _attempt(destination: Destination, changes: Sequence[Change]) -> NotDelivered | None:
    try:
        await destination.send(changes)
    except NotDelivered as error:
        return error
    return None
