"""The life of alerts: what is open against what should be, one event for each difference. Pure.

Source: health.md, section 10. Moments are milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, assert_never

from msgspec.structs import replace

from events.alerts import (
    AlertChange,
    AlertEvent,
    AlertKind,
    AlertOpened,
    AlertResolved,
    AlertUpdated,
    Severity,
)
from events.base import Instant, instant_at, millis_of
from events.decide.conditions import Condition
from events.health import HealthStatusChanged, blocked

REOPENED = 900_000
"""Milliseconds after its resolve within which the same condition is the same alert."""

Mint = Callable[[str], str]
"""An id for a text, the same whenever it is asked for the same."""


class Alert(NamedTuple):
    """An alert as its events leave it; *resolved_at* null: it is open."""

    alert_id: str
    fingerprint: str
    provider: str
    kind: AlertKind
    model_id: str | None
    cause: str | None
    severity: Severity
    message: str
    since: Instant
    opened_at: Instant
    resolved_at: Instant | None = None
    acknowledged: bool = False
    silenced_until: Instant | None = None


Alerts = Mapping[str, Alert]
"""By fingerprint: what is open, silenced, or resolved so lately that it may open again."""


def evolve(alerts: Alerts, event: AlertEvent) -> Alerts:
    """Return *alerts* after one more event; the mapping given stays as it is."""
    oldest = millis_of(event.at) - REOPENED
    kept = {
        key: one
        for key, one in alerts.items()
        if one.resolved_at is None or millis_of(one.resolved_at) >= oldest or _silent(one, event.at)
    }
    before = kept.get(event.fingerprint)
    match event:
        case AlertOpened():
            kept[event.fingerprint] = Alert(
                event.alert_id,
                event.fingerprint,
                event.provider,
                event.kind,
                event.model_id,
                event.cause,
                event.severity,
                event.message,
                event.since,
                event.at,
            )
        case AlertUpdated() if before is not None:
            kept[event.fingerprint] = _updated(before, event)
        case AlertResolved() if before is not None:
            kept[event.fingerprint] = before._replace(resolved_at=event.at)
        case _:
            pass
    return kept


def _updated(before: Alert, event: AlertUpdated) -> Alert:
    match event.change:
        case "acknowledged":
            return before._replace(acknowledged=True)
        case "silenced":
            return before._replace(silenced_until=event.until)
        case "reopened":
            before = before._replace(resolved_at=None, acknowledged=False)
        case "severity" | "cause":
            pass
        case _:
            assert_never(event.change)
    return before._replace(cause=event.cause, severity=event.severity, message=event.message)


def decide(  # noqa: PLR0913 - all that bears on it
    alerts: Alerts,
    wanted: Sequence[Condition],
    now: int,
    *,
    inhibited: Callable[[Condition], bool],
    mint: Mint,
    reason: str = "recovered",
    vantage: str = "",
) -> list[AlertEvent]:
    """Return what makes the open alerts those that are *wanted*.

    What waits, is silenced or *inhibited* does not open; nothing keeps one from being resolved.
    *reason* says why those are over that are wanted no more.
    """
    at = instant_at(now)
    by_fingerprint = {one.fingerprint: one for one in wanted}
    told: list[AlertEvent] = []
    for fingerprint, alert in alerts.items():
        if alert.resolved_at is None and fingerprint not in by_fingerprint:
            told.append(_resolved(alert, at, reason, vantage))
    for fingerprint, condition in by_fingerprint.items():
        before = alerts.get(fingerprint)
        if before is not None and before.resolved_at is None:
            told += _changed(before, condition, at, vantage)
        elif not (
            condition.waits or (before is not None and _silent(before, at)) or inhibited(condition)
        ):
            told.append(_opened(before, condition, now, mint, vantage))
    return told


def _silent(alert: Alert, at: Instant) -> bool:
    return alert.silenced_until is not None and alert.silenced_until > at


def _opened(
    before: Alert | None, condition: Condition, now: int, mint: Mint, vantage: str
) -> AlertEvent:
    at = instant_at(now)
    ended = before and before.resolved_at
    if before and ended and now - millis_of(ended) <= REOPENED:
        return _update(before, condition, at, "reopened", vantage)
    return AlertOpened(
        at=at,
        provider=condition.provider,
        alert_id=mint(condition.fingerprint),
        fingerprint=condition.fingerprint,
        kind=condition.kind,
        model_id=condition.model_id,
        cause=condition.cause,
        severity=condition.severity,
        message=condition.message,
        since=condition.since,
        vantage=vantage,
    )


def _changed(before: Alert, condition: Condition, at: Instant, vantage: str) -> list[AlertEvent]:
    """Return one update: a change of severity says it all, else one of cause."""
    if before.severity != condition.severity:
        return [_update(before, condition, at, "severity", vantage)]
    if before.cause != condition.cause:
        return [_update(before, condition, at, "cause", vantage)]
    return []


def said(alert: Alert) -> dict[str, Any]:
    """Return what every event of *alert* says of it, as it stands."""
    return {
        "provider": alert.provider,
        "alert_id": alert.alert_id,
        "fingerprint": alert.fingerprint,
        "kind": alert.kind,
        "model_id": alert.model_id,
        "cause": alert.cause,
        "severity": alert.severity,
        "message": alert.message,
        "since": alert.since,
    }


def _update(
    before: Alert, condition: Condition, at: Instant, change: AlertChange, vantage: str
) -> AlertUpdated:
    alert = before._replace(
        cause=condition.cause, severity=condition.severity, message=condition.message
    )
    return AlertUpdated(at=at, change=change, vantage=vantage, **said(alert))


def _resolved(alert: Alert, at: Instant, reason: str, vantage: str) -> AlertResolved:
    held = max(0, millis_of(at) - millis_of(alert.since))
    return AlertResolved(at=at, reason=reason, duration_ms=held, vantage=vantage, **said(alert))


def recovered(
    changed: HealthStatusChanged,
    mint: Mint,
    vantage: str = "",
    *,
    inhibited: Callable[[Condition], bool] = lambda _: False,
) -> list[AlertEvent]:
    """Return the alert that a provider can be used again: opened and resolved at once.

    Nothing where it is *inhibited*.
    """
    downtime = "" if changed.downtime_ms is None else f" after {_span(changed.downtime_ms)}"
    condition = Condition(
        changed.provider,
        "recovery",
        "account" if blocked(changed.from_, changed.previous_cause) else "outage",
        changed.previous_cause,
        "low",
        f"{changed.provider} can be used again{downtime}",
        changed.effective_at,
    )
    if inhibited(condition):
        return []
    opened = _opened(None, condition, millis_of(changed.at), mint, vantage)
    alert = evolve({}, opened)[condition.fingerprint]
    resolved = _resolved(alert, changed.at, "recovered", vantage)
    return [opened, replace(resolved, duration_ms=changed.downtime_ms or 0)]


def acknowledge(alerts: Alerts, alert_id: str, at: Instant, actor: str = "") -> AlertUpdated | None:
    """Return that somebody has seen to an alert; None where no such alert is open."""
    return _by_hand(alerts, alert_id, at, "acknowledged", actor)


def silence(
    alerts: Alerts, alert_id: str, until: Instant | None, at: Instant, actor: str = ""
) -> AlertUpdated | None:
    """Return that nobody is told of an alert *until* then; None where no such alert is open."""
    return _by_hand(alerts, alert_id, at, "silenced", actor, until=until)


def _by_hand(  # noqa: PLR0913 - what somebody does to an alert
    alerts: Alerts,
    alert_id: str,
    at: Instant,
    change: AlertChange,
    actor: str,
    *,
    until: Instant | None = None,
) -> AlertUpdated | None:
    alert = next((one for one in alerts.values() if one.alert_id == alert_id), None)
    if alert is None or alert.resolved_at is not None:
        return None
    return AlertUpdated(at=at, change=change, until=until, actor=actor, **said(alert))


def _span(millis: int) -> str:
    """Spell a span as people say it: ``45 s``, ``12 min``, ``3 h 05 min``."""
    seconds = round(millis / 1000)
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 2:  # noqa: PLR2004 - a minute and a half is told in seconds
        return f"{seconds} s"
    return f"{minutes} min" if not hours else f"{hours} h {minutes % 60:02} min"
