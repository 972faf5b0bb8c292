"""One provider watched: its cycles on their grid, and what each leads to in the log."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import NamedTuple

from events.audit import RefreshOutcome
from events.base import millis_of
from events.decide.health import Off, Rules, suspect
from events.decide.providers import Settings
from events.decide.verdict import Judged, judge
from events.health import CheckCompleted, blocked, down
from services import clock as clocks
from services.calls.origin import host_of
from services.health_monitor.chart import Chart
from services.health_monitor.cycle import Cycles, Ended
from services.health_monitor.desk import Desk, Office
from services.health_monitor.diary import Diary
from services.health_monitor.maintenance import window_at
from services.health_monitor.pace import Pace, next_start
from services.health_monitor.recall import hear
from services.health_monitor.record import Source, completed, counted, unknown
from services.health_monitor.rules import rules_of
from services.health_monitor.shared import Shared
from services.health_settings import Health as HealthSettings
from services.jetstream.api import NoAnswer
from services.jetstream.append import Unacknowledged
from services.keys import KeyUnavailable, Secret
from services.logs import say
from services.waits import fingerprint

RACES = 5
RESTING = 3600.0
"""Seconds between two looks at a provider that is not checked: its alerts go on."""


class Ticket(NamedTuple):
    """A cycle that was asked for: its id, whether it was on its way, and its end."""

    cycle_id: str
    joined: bool
    ended: asyncio.Task[CheckCompleted | None]


class Watcher:
    """The watch over one provider, as long as its settings stay; *off* says why it is not asked."""

    def __init__(
        self, settings: Settings, office: Office, desk: Desk, pinned: clocks.Pinned
    ) -> None:
        """Nothing is asked yet."""
        self.settings = settings
        self.health = HealthSettings.from_settings(settings)
        self.off: Off | None = None
        if not settings.enabled:
            self.off = "disabled"
        elif not self.health.enabled:
            self.off = "unchecked"
        self.start = 0
        self._office = office
        self._desk = desk
        self._pinned = pinned
        self._rules: Rules = rules_of(self.health)
        self._pace = Pace.of(self.health)
        self._cycles = Cycles(settings, self.health, desk)
        self._pulled = asyncio.Event()
        self._flying: Ticket | None = None
        self._credential = ""
        self._diary = Diary(
            settings, office, pinned, critical=self.health.critical, read=self._recalled
        )

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.settings.name

    @property
    def chart(self) -> Chart | None:
        """What is known of the provider; None where the log has to be read."""
        return self._diary.chart

    @property
    def host(self) -> str:
        """The host that is asked."""
        return host_of(self.settings.base_url)

    @property
    def up(self) -> bool:
        """Whether it is checked, and nothing in the log says that it is down."""
        health = None if self.chart is None else self.chart.health
        return self.off is None and health is not None and not down(health.status, health.cause)

    @property
    def flying(self) -> bool:
        """Whether a cycle is on its way."""
        return self._flying is not None and not self._flying.ended.done()

    async def keep(self) -> None:
        """Check the provider on its grid, until cancelled; ends otherwise only by an error.

        Without the log and its leases nobody is called, and the time is unknown.
        """
        anew = True
        while True:
            try:
                await self._diary.known(anew=anew)
                await self._until_due()
                await asyncio.shield(self.request("check").ended)
            except (NoAnswer, Unacknowledged) as error:
                say("no log", level=logging.WARNING, provider=self.name, error=str(error))
                await self._desk.clock.sleep(self.health.confirm_interval)
                anew = True
            else:
                anew = False

    def request(self, source: Source) -> Ticket:
        """Begin a cycle, or join the one that is on its way."""
        if self._flying is not None and not self._flying.ended.done():
            return self._flying._replace(joined=True)
        cycle_id = clocks.new_id()
        task = asyncio.create_task(self._cycle(cycle_id, source))
        self._flying = Ticket(cycle_id, joined=False, ended=task)
        return self._flying

    async def stop(self) -> None:
        """Cancel the cycle that is on its way: it amounts to nothing."""
        if self._flying is not None:
            self._flying.ended.cancel()
            await asyncio.wait([self._flying.ended])

    def pull(self, at: int) -> None:
        """Begin the next cycle at *at*, where it was to begin later."""
        if at < self.start and self.off is None:
            self.start = at
            self._pulled.set()

    def barred(self, now: int) -> bool:
        """Tell whether the provider asked not to be called at *now*."""
        last = None if self._diary.last is None else self._diary.last.not_before
        return last is not None and millis_of(last) > now

    def forget(self) -> None:
        """Another instance has checked the provider: what the log says is to be read anew."""
        if not self.flying:
            self._diary.chart = None

    def heard(self, outcome: RefreshOutcome) -> None:
        """Take note of a refresh; one that failed pulls the next cycle forward."""
        if self.chart is None:
            return
        hear(self.chart, outcome)
        self._cycles.listing.known = self.chart.known
        shared = self.chart.shared
        if shared is not None and shared.group == "FAIL" and millis_of(outcome.at) >= shared.at:
            last = self._diary.last
            began = 0 if last is None else millis_of(last.started_at)
            self.pull(max(self._pinned.now(), began + self._pace.confirm))

    async def _until_due(self) -> None:
        """Wait for the start of the next cycle; a credential that changed ends a blocked wait."""
        while (left := self.start - self._pinned.now()) > 0:
            self._pulled.clear()
            slice_ = min(left, self._pace.interval) if self._blocked else left
            with suppress(TimeoutError):
                async with asyncio.timeout(self._desk.clock.real_seconds(slice_ / 1000)):
                    await self._pulled.wait()
            if self._blocked and await self._another_credential():
                return

    @property
    def _blocked(self) -> bool:
        known = self.chart
        return known is not None and blocked(known.health.status, known.health.cause)

    async def _another_credential(self) -> bool:
        try:
            secrets = await self._office.secrets(self.settings)
        except KeyUnavailable:
            return False
        return fingerprint(self.name, secrets) != self._credential

    def _recalled(self, chart: Chart) -> None:
        """Go on from what the log has: what the list should hold, and when the next cycle is."""
        listing = self._cycles.listing
        listing.known, listing.worked = chart.known, chart.known is not None
        now = self._pinned.now()
        last, health = self._diary.last, chart.health
        if last is not None and health.last_at is not None:
            reached = last.status_code is not None or health.f.count == 0
            self._office.guard.recalled(self.host, health.last_at, reached)
        longest = max(self._pace.interval, self._pace.blocked)  # a clock that was set back
        self.start = now if chart.due is None else min(chart.due, now + longest)

    async def remove(self) -> None:
        """Say that the provider is watched no more, and resolve its alerts."""
        await self._diary.end()

    async def _cycle(self, cycle_id: str, source: Source) -> CheckCompleted | None:
        """Run one cycle to its end in the log; None where the provider is not asked."""
        chart = await self._diary.known()
        started = self._pinned.now()
        off = self.off
        secrets: dict[str, Secret] = {}
        if off is None:
            try:
                secrets = await self._office.secrets(self.settings)
            except KeyUnavailable:
                off = "unconfigured"
        if off is not None:
            await self._rest(chart, off, cycle_id)
            return None
        self._credential = fingerprint(self.name, secrets)
        if source == "check" and (left := await self._left()) > 0:
            self.start = started + left
            chart.put_off(self.start)
            return None
        facts = chart.switch(None, started)
        facts += chart.age(self._rules, started, "silent")
        ended = await self._cycles.run(
            secrets,
            now=started,
            current=self._current,
            turn=lambda: self._office.turn(self.name),
            urgent=suspect(chart.health),
        )
        judged = await self._judged(ended, started)
        now = self._pinned.now()
        cycle = counted(cycle_id, started, now, judged, ended)
        facts += chart.count(cycle, self._rules, now)
        if judged.verdict == "UNKNOWN":
            facts += chart.age(self._rules, now, unknown(judged))
        facts += chart.maintain(window_at(self.health.maintenance, now), now)
        chart.answers(ended.results, now)
        chart.certificate = ended.certificate or chart.certificate
        left = await self._left()
        self.start = next_start(
            chart.health,
            self._pace,
            started=started,
            now=now + left,
            local=self._office.guard.local,
            grid=self._office.grid(self.name),
        )
        if judged.verdict != "UNKNOWN":
            chart.due = self.start
        event = completed(
            chart,
            cycle,
            ended,
            source=source,
            not_before=now + left if left else None,
            next_due=self.start,
        )
        self._diary.last = event
        done = self._office.put(event)
        await self._diary.tell(facts, cycle_id, done)
        return event

    def _current(self) -> Shared | None:
        shared = None if self.chart is None else self.chart.shared
        if shared is None or not shared.stands(self._pinned.now(), self.health.interval):
            return None
        return shared

    async def _left(self) -> int:
        """Return for how many milliseconds the provider does not want to be asked."""
        left = await self._desk.waits.left(self.name, self._credential)
        return 0 if left is None else round(1000 * left.seconds)

    async def _judged(self, ended: Ended, started: int) -> Judged:
        judged = judge(ended.results, self.health.unhealthy_threshold)
        if judged.verdict != "FAIL" or not ended.transport:
            return judged
        if await self._office.guard.judge(self.host, started) == "FAIL":
            return judged
        return judged._replace(verdict="UNKNOWN", cause="local", class_="local")

    async def _rest(self, chart: Chart, off: Off, cycle_id: str) -> None:
        """Do without checks: say why, and let the alerts that do not need them go on."""
        now = self._pinned.now()
        facts = chart.switch(off, now)
        wait = self.health.interval if off == "unconfigured" else RESTING
        self.start, chart.due = now + round(1000 * wait), None
        await self._diary.tell(facts, cycle_id, gone=off)
