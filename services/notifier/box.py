"""What a destination wants, what it has been told, and what waits for it; when it is due. Pure.

Moments are milliseconds. Source: health.md, section 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from events.alerts import SEVERITIES, AlertEvent, Severity
from events.base import millis_of
from events.decide.alerts import Alert

FIRST_REMINDER = 4 * 3_600_000
LAST_REMINDER = 24 * 3_600_000
PATIENCE = 24 * 3_600_000
"""How long one change is tried, before it is given up."""
MOST = 1000
"""Changes that may wait: the box of a destination must fit one message of the server."""

What = Literal["opened", "updated", "resolved", "reminder"]


class Rules(NamedTuple):
    """What one destination wants: the least *severity*, which *providers* (empty: all), when.

    *least* milliseconds come together in one notice, *limit* notices go out in *span*; no limit
    is 0. *reminders*: whether what stays open is told again.
    """

    severity: Severity
    providers: frozenset[str] = frozenset()
    group: int = 30_000
    limit: int = 0
    span: int = 1
    reminders: bool = True


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell of one alert; *id* is that of the event, so that receivers know it again.

    *at* is when it began to wait, *duration_ms* how long the condition has held.
    """

    id: str
    what: What
    at: int
    event: AlertEvent
    duration_ms: int = 0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination knows of an open alert: *state* of its opening, and the next reminder."""

    state: Literal["waits", "sent", "lost"] = "waits"
    severity: Severity
    cause: str | None = None
    message: str = ""
    remind_at: int = 0
    pause: int = FIRST_REMINDER


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """One destination: the events up to *seq* are in it.

    *told* is by the alert's id; *sent* are the moments of the last notices; nothing is tried again
    before *not_before*, which *attempts* in a row have put off.
    """

    seq: int = 0
    told: dict[str, Told] = {}
    waiting: tuple[Change, ...] = ()
    sent: tuple[int, ...] = ()
    attempts: int = 0
    not_before: int = 0


Standing = Mapping[str, Alert]
"""What is open now, by the alert's id."""


class Given(NamedTuple):
    """A box, and what was given up in it."""

    box: Box
    lost: tuple[Change, ...] = ()


def due(box: Box, rules: Rules) -> int | None:
    """Return from when on what waits may be sent, None where nothing does."""
    if not box.waiting:
        return None
    ready = max(box.waiting[0].at + rules.group, box.not_before)
    if rules.limit and len(box.sent) >= rules.limit:
        ready = max(ready, box.sent[-rules.limit] + rules.span)
    return ready


def wakes(box: Box, rules: Rules, standing: Standing, now: int) -> int | None:
    """Return the next moment at which time alone changes something: `due`, reminders, silences."""
    moments = [due(box, rules)]
    for alert_id, alert in standing.items():
        if silent(alert, now) and alert.silenced_until is not None:
            moments.append(millis_of(alert.silenced_until))
        known = box.told.get(alert_id)
        if rules.reminders and known and reminds(known, alert, now):
            moments.append(known.remind_at)
    return min((one for one in moments if one is not None), default=None)


def reminds(known: Told, alert: Alert, now: int) -> bool:
    """Tell whether an open alert is told again some day."""
    return known.state == "sent" and not alert.acknowledged and not silent(alert, now)


def silent(alert: Alert, now: int) -> bool:
    """Tell whether somebody has silenced *alert*."""
    return alert.silenced_until is not None and millis_of(alert.silenced_until) > now


def wanted(rules: Rules, alert: Alert) -> bool:
    """Tell whether the destination wants to know; what is about all is everybody's."""
    if rules.providers and alert.provider not in {*rules.providers, "all"}:
        return False
    return SEVERITIES.index(alert.severity) >= SEVERITIES.index(rules.severity)
