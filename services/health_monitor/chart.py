"""One provider's health as it stands, and what follows from what is seen next. No I/O.

It is the fold of the provider's events: `recall` makes it from the log, and every process that does
so gets the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import cast

from msgspec.structs import replace

from events.alerts import AlertEvent, CauseGroup
from events.base import instant_at, millis_of
from events.decide import alerts as alerting
from events.decide.alerts import Alerts
from events.decide.conditions import Condition, Seen, Unanswered, conditions
from events.decide.health import Cycle, Off, Rules, Step, step, switch, tick
from events.decide.retiring import Retiring, soon
from events.decide.runs import NONE, Runs
from events.health import (
    CheckResult,
    Health,
    HealthEvent,
    HealthMaintenanceEnded,
    HealthMaintenanceStarted,
    HealthStatusChanged,
    LostReason,
    usable,
)
from services.health_monitor.maintenance import Window
from services.health_monitor.shared import Shared

Mint = Callable[[str], str]
"""An id for a position within one cycle, the same whoever mints it."""


class Chart:
    """What is known of one provider; *due* is when its next cycle was to begin, in milliseconds.

    *seqs* are the last sequences of its families, *known* how many models its last accepted list
    had, *retiring* what its models' life cycles say (None: not read yet), *certificate* when its
    certificate ends, *window* the maintenance that is told of.
    """

    def __init__(self, provider: str, vantage: str) -> None:
        """Nothing is known yet."""
        self.provider = provider
        self.vantage = vantage
        self.health = Health()
        self.due: int | None = None
        self.alerts: Alerts = {}
        self.seqs = {"health": 0, "alert": 0}
        self.runs: Runs = NONE
        self.shared: Shared | None = None
        self.known: int | None = None
        self.retiring: Retiring | None = None
        self.certificate: str | None = None
        self.unanswered: dict[str, Unanswered] = {}
        self.window: Window | None = None
        self.message = ""
        self.entered: int | None = None

    def count(self, cycle: Cycle, rules: Rules, now: int) -> list[HealthEvent]:
        """Step the health by a cycle that has ended."""
        done = step(
            self.provider, self.health, cycle, rules, due=self.due, now=now, vantage=self.vantage
        )
        return self._stepped(done)

    def age(self, rules: Rules, now: int, reason: LostReason) -> list[HealthEvent]:
        """Let time pass: what was not counted for too long is stale."""
        return self._stepped(
            tick(
                self.provider,
                self.health,
                rules,
                due=self.due,
                now=now,
                reason=reason,
                vantage=self.vantage,
            )
        )

    def put_off(self, start: int) -> None:
        """Take note that the provider wants no call before *start*: until then nothing is due."""
        if self.due is not None:
            self.due = max(self.due, start)
        if self.health.due is not None:
            self.health = replace(self.health, due=max(self.health.due, start))

    def switch(self, cause: Off | None, now: int) -> list[HealthEvent]:
        """Take note that checks are off, and why; None: that they are on."""
        return self._stepped(switch(self.provider, self.health, cause, now, self.vantage))

    def _stepped(self, done: Step) -> list[HealthEvent]:
        self.health = done.health
        for event in done.events:
            if isinstance(event, HealthStatusChanged):
                self.message = event.evidence.message
                if event.from_ != event.to:
                    self.entered = millis_of(event.effective_at)
        return done.events

    def maintain(self, window: Window | None, now: int) -> list[HealthEvent]:
        """Tell where a window of maintenance begins or ends."""
        if window == self.window:
            return []
        told: list[HealthEvent] = []
        at, name = instant_at(now), self.provider
        if self.window is not None:
            until = instant_at(min(now, self.window.end))
            told.append(
                HealthMaintenanceEnded(
                    at=at,
                    provider=name,
                    vantage=self.vantage,
                    window_id=self.window.id,
                    until=until,
                )
            )
        if window is not None:
            until = instant_at(window.end)
            told.append(
                HealthMaintenanceStarted(
                    at=at, provider=name, vantage=self.vantage, window_id=window.id, until=until
                )
            )
        self.window = window
        return told

    def answers(self, results: Sequence[CheckResult], now: int) -> None:
        """Count how often in a row each check had no answer that says anything."""
        for one in results:
            if one.verdict == "UNKNOWN":
                continue
            silent = one.verdict == "NEUTRAL" or (one.verdict == "BLOCKED" and not one.critical)
            before = self.unanswered.pop(one.name, None)
            if silent:
                since = instant_at(now) if before is None else before.since
                times = 1 if before is None else before.times + 1
                self.unanswered[one.name] = Unanswered(
                    one.name, times, since, one.class_, one.message
                )

    def alert(  # noqa: PLR0913 - all that bears on it
        self,
        told: Sequence[HealthEvent],
        now: int,
        mint: Mint,
        *,
        critical: bool,
        inhibited: Callable[[Condition], bool],
        gone: str | None = None,
    ) -> list[AlertEvent]:
        """Return what is to be told people, after *told*: opened, updated, resolved."""
        seen = Seen(
            provider=self.provider,
            status=self.health.status,
            cause=self.health.cause,
            since=self.health.since,
            message=self.message,
            critical=critical,
            flapping=self.health.flapping,
            turns=self.health.turns,
            failed_runs=self.runs.failures,
            quarantined=self.runs.quarantined,
            certificate_ends=self.certificate,
            unanswered=tuple(self.unanswered.values()),
            retirements=() if self.retiring is None else soon(self.retiring, now),
            gone=gone,
            entered=self.entered,
        )
        wanted = [*conditions(seen, now), *self._kept(gone)]
        found = alerting.decide(
            self.alerts,
            wanted,
            now,
            inhibited=inhibited,
            mint=mint,
            reason=gone or "recovered",
            vantage=self.vantage,
        )
        for event in told:
            if (
                isinstance(event, HealthStatusChanged)
                and event.from_ == "error"
                and usable(event.to)
            ):
                found += alerting.recovered(event, mint, self.vantage, inhibited=inhibited)
        return found

    def _kept(self, gone: str | None) -> list[Condition]:
        """Return the open alerts of which nothing is known since this process began."""
        groups: set[str] = set()
        if self.certificate is None and gone is None:
            groups.add("certificate")
        if self.retiring is None and gone not in {"removed", "disabled"}:
            groups.add("retirement")
        return standing(self.alerts, groups)

    def told(self, events: Collection[AlertEvent]) -> None:
        """Take note of alerts that are in the log now."""
        for event in events:
            self.alerts = alerting.evolve(self.alerts, event)


def standing(alerts: Alerts, groups: Collection[str]) -> list[Condition]:
    """Return the open alerts of *groups*, as conditions that hold still."""
    return [
        Condition(
            provider=one.provider,
            kind=one.kind,
            group=cast("CauseGroup", fingerprint.rpartition("|")[2]),
            cause=one.cause,
            severity=one.severity,
            message=one.message,
            since=one.since,
            model_id=one.model_id,
        )
        for fingerprint, one in alerts.items()
        if one.resolved_at is None and fingerprint.rpartition("|")[2] in groups
    ]
