"""What people should be told of, as things stand now. Pure.

Alerts follow levels, not edges: what holds is wanted, whoever saw it begin, so a restart or a lost
message changes nothing. Source: health.md, section 10. Moments are milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from events.alerts import AlertKind, CauseGroup, Severity
from events.base import Instant, instant_at, millis_of
from events.decide.retiring import Retirement, days_left
from events.decide.runs import Failures, Quarantined
from events.health import Status, down

HELD = 120_000
"""How long a provider is degraded before anybody is told."""
THROTTLED = 1_800_000
"""From when on being throttled is worth more than a note."""
FAILED_RUNS = 3
UNANSWERED = 3
DAY = 86_400_000
Steps = tuple[tuple[int, Severity], ...]
STEPS: Steps = ((1, "high"), (7, "medium"), (30, "low"))
CERTIFICATE: Steps = ((2, "high"), (7, "medium"), (21, "low"))
"""Days that are left, and how bad that is."""

WORDS = {
    "credential": "refuses the key",
    "quota": "has no credit left for us",
    "endpoint_gone": "has withdrawn the endpoint",
    "config": "cannot be asked as it is configured",
    "throttled": "is throttling us",
    "overloaded": "is overloaded",
    "partial": "answers in part",
    "slow": "is slow",
    "error_rate": "fails now and then",
    "flapping": "flaps",
}


class Unanswered(NamedTuple):
    """A check that had no answer which says anything, so many times in a row."""

    name: str
    times: int
    since: Instant
    class_: str
    message: str


class Seen(NamedTuple):
    """What is known of one provider now; see `Condition` for what follows from it.

    *since* is when its status or cause last changed, *entered* when its status did (None: then,
    too). *gone* is why it is not checked: ``removed`` or ``disabled``, then nothing is wanted, or
    ``unchecked`` or ``unconfigured``, then only what needs no checks.
    """

    provider: str
    status: Status
    cause: str | None
    since: int
    message: str = ""
    critical: bool = False
    flapping: bool = False
    turns: int = 0
    failed_runs: Failures | None = None
    quarantined: Quarantined | None = None
    certificate_ends: Instant | None = None
    unanswered: tuple[Unanswered, ...] = ()
    retirements: tuple[Retirement, ...] = ()
    gone: str | None = None
    entered: int | None = None

    @property
    def began(self) -> int:
        """When the status, whatever its causes, began."""
        return self.since if self.entered is None else self.entered


class Condition(NamedTuple):
    """Something of which an alert should be open.

    *waits*: not yet, or not now, by a rule of its own; one that is open stays.
    """

    provider: str
    kind: AlertKind
    group: CauseGroup
    cause: str | None
    severity: Severity
    message: str
    since: Instant
    model_id: str | None = None
    waits: bool = False

    @property
    def fingerprint(self) -> str:
        """What makes two conditions the same: at most one alert is open for each."""
        return "|".join([self.provider, self.model_id or "", self.kind, self.group])


def conditions(seen: Seen, now: int) -> list[Condition]:
    """Return what people should be told of a provider."""
    if seen.gone in {"removed", "disabled"}:
        return []
    unchecked = [*_discovery(seen), *_retirements(seen, now)]
    if seen.gone is not None:
        return unchecked
    return [
        *_error(seen),
        *_degraded(seen, now),
        *_certificate(seen, now),
        *_checks(seen),
        *unchecked,
    ]


def _error(seen: Seen) -> Iterator[Condition]:
    if seen.status != "error":
        return
    is_down = down(seen.status, seen.cause)
    critical = is_down and seen.critical
    why = f": {seen.message}" if seen.message else ""
    if is_down:
        what = f"is down since {_clock(seen.since)}"
    else:
        what = WORDS.get(seen.cause or "", "cannot be used")
    yield Condition(
        seen.provider,
        "critical_failure" if critical else "status_change",
        "outage" if is_down else "account",
        seen.cause,
        "critical" if critical else "high",
        f"{seen.provider} {what}{why}",
        instant_at(seen.since),
        waits=seen.flapping and not critical,
    )


def _degraded(seen: Seen, now: int) -> Iterator[Condition]:
    held = now - seen.began
    recovered = seen.status == "active" and held >= HELD
    severity: Severity = "medium"
    cause = seen.cause
    if seen.flapping and seen.status != "inactive" and not recovered:
        cause, what = "flapping", WORDS["flapping"]
        if seen.turns > 1:
            what += f": {seen.turns} changes of status"
    elif seen.status == "degraded":
        what = f"{WORDS.get(seen.cause or '', 'is degraded')} since {_clock(seen.began)}"
        if seen.cause == "throttled" and now - seen.since < THROTTLED:
            severity = "low"
    else:
        return
    yield Condition(
        seen.provider,
        "degradation",
        "degradation",
        cause,
        severity,
        f"{seen.provider} {what}",
        instant_at(seen.began),
        waits=cause != "flapping" and held < HELD,
    )


def _certificate(seen: Seen, now: int) -> Iterator[Condition]:
    if seen.certificate_ends is None:
        return
    days = (millis_of(seen.certificate_ends) - now) / DAY
    severity = _severity(CERTIFICATE, days)
    if severity is None:
        return
    since = instant_at(millis_of(seen.certificate_ends) - CERTIFICATE[-1][0] * DAY)
    message = f"the certificate of {seen.provider} ends on {seen.certificate_ends[:10]}"
    yield Condition(
        seen.provider, "degradation", "certificate", "certificate", severity, message, since
    )


def _checks(seen: Seen) -> Iterator[Condition]:
    long = [one for one in seen.unanswered if one.times >= UNANSWERED]
    silent = long or seen.unanswered
    if not silent:
        return
    names = ", ".join(f"{one.name} ({one.class_})" for one in silent)
    message = f"checks of {seen.provider} say nothing: {names}"
    since = min(one.since for one in silent)
    yield Condition(
        seen.provider,
        "degradation",
        "check",
        silent[0].class_,
        "low",
        message,
        since,
        waits=not long,
    )


def _severity(steps: Steps, days: float) -> Severity | None:
    for limit, severity in steps:
        if days <= limit:
            return severity
    return None


def _discovery(seen: Seen) -> Iterator[Condition]:
    runs, quarantined = seen.failed_runs, seen.quarantined
    if runs is not None and runs.times >= FAILED_RUNS:
        why = f": {runs.message}" if runs.message else ""
        # what failed before a recovery says nothing: the next run is seconds away
        over = runs.last_at < instant_at(seen.began)
        message = f"{runs.times} refreshes of {seen.provider} failed in a row ({runs.class_}){why}"
        yield Condition(
            seen.provider,
            "discovery",
            "run",
            runs.class_,
            "medium",
            message,
            runs.since,
            waits=over or seen.status == "error",
        )
    if quarantined is not None:
        empty = quarantined.models == 0
        what = "is empty" if empty else f"has shrunk to {quarantined.models} models"
        yield Condition(
            seen.provider,
            "discovery",
            "list",
            "empty" if empty else "shrunk",
            "high" if empty else "medium",
            f"the list of {seen.provider} {what} and is not believed yet",
            quarantined.since,
        )


def _retirements(seen: Seen, now: int) -> Iterator[Condition]:
    for one in seen.retirements:
        days = days_left(one.retires_on, now)
        severity = None if days is None else _severity(STEPS, days)
        if days is None or severity is None:
            continue
        verb = "retires" if days > 0 else "was to retire"
        instead = f"; {one.replacement} replaces it" if one.replacement else ""
        yield Condition(
            seen.provider,
            "retirement",
            "retirement",
            None,
            severity,
            f"{one.model_id} of {seen.provider} {verb} on {one.retires_on}{instead}",
            instant_at(millis_of(f"{one.retires_on}T00:00:00.000Z") - 30 * DAY),
            one.model_id,
        )


def _clock(moment: int) -> str:
    return f"{instant_at(moment)[:16].replace('T', ' ')} UTC"
