"""What one destination is still to be told, and what it has been: a state machine. Pure.

A resolve goes out only behind its opening, nothing of a silenced alert but that, and what waits
when an opening is given up is forgotten with it. Moments are milliseconds. Source: health.md,
section 10.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from events.alerts import AlertEvent, AlertOpened, AlertResolved, AlertUpdated
from events.base import millis_of
from events.decide.alerts import Alert, said
from services.notifier.box import (
    FIRST_REMINDER,
    LAST_REMINDER,
    MOST,
    PATIENCE,
    Box,
    Change,
    Given,
    Rules,
    Standing,
    Told,
    What,
    reminds,
    silent,
    wanted,
)


def take(  # noqa: PLR0913 - what happened, where it stands, when, and to whom
    box: Box,
    rules: Rules,
    event: AlertEvent,
    *,
    id: str,
    seq: int,
    standing: Alert | None,
    now: int,
) -> Box:
    """Return *box* after one more event of the log; *standing* is its alert, None if it is over.

    One that it has already changes nothing.
    """
    if seq <= box.seq:
        return box
    box = replace(box, seq=seq)
    match event:
        case AlertResolved():
            return _over(box, Change(id=id, what="resolved", at=now, event=event))
        case AlertOpened():
            pass
        case AlertUpdated(change="acknowledged"):
            box = _unsaid(box, event.alert_id, ("reminder",))
        case AlertUpdated(change="silenced") if standing is not None and silent(standing, now):
            box = _hushed(box, event.alert_id)
        case AlertUpdated():
            pass
        case _:
            assert_never(event)
    if standing is None:
        return box
    return _considered(box, rules, standing, event, id=id, now=now)


def look(box: Box, rules: Rules, standing: Standing, now: int) -> Box:
    """Return *box* as the time alone makes it: silences that ended, reminders, what it missed.

    What is open, wanted, and was never told waits from now on; of what is known there and not open
    any more, without a resolve that waits, nothing is left.
    """
    for alert_id, alert in standing.items():
        box = _considered(box, rules, alert, None, id="", now=now)
        if rules.reminders:
            box = _reminded(box, alert_id, alert, now)
    gone = {key for key in box.told if key not in standing}
    if gone:
        box = replace(box, told={key: one for key, one in box.told.items() if key not in gone})
    return box


def delivered(box: Box, rules: Rules, changes: Iterable[Change], now: int) -> Box:
    """Return *box* after *changes* of it went out."""
    changes = tuple(changes)
    done = {(one.id, one.what) for one in changes}
    told = dict(box.told)
    for one in changes:
        known = told.get(one.event.alert_id)
        if one.what == "opened" and known is not None and known.state == "waits":
            told[one.event.alert_id] = replace(
                known, state="sent", remind_at=now + FIRST_REMINDER, pause=FIRST_REMINDER
            )
    return replace(
        box,
        told=told,
        waiting=tuple(one for one in box.waiting if (one.id, one.what) not in done),
        sent=(*(at for at in box.sent if at > now - rules.span), now) if rules.limit else (),
        attempts=0,
        not_before=0,
    )


def failed(box: Box, now: int, *, wait: int) -> Given:
    """Return *box* after an attempt failed, to be tried again in *wait*; and what is given up."""
    box = replace(box, attempts=box.attempts + 1, not_before=now + wait)
    return _given_up(box, [one for one in box.waiting if one.at <= now - PATIENCE])


def bounded(box: Box) -> Given:
    """Return *box* without what is too much for it: the oldest changes are given up."""
    return _given_up(box, box.waiting[: max(0, len(box.waiting) - MOST)])


def _given_up(box: Box, lost: Iterable[Change]) -> Given:
    """Forget *lost*, and what waits behind an opening among them."""
    lost = tuple(lost)
    if not lost:
        return Given(box)
    told = dict(box.told)
    unopened = {one.event.alert_id for one in lost if one.what == "opened"}
    for alert_id in unopened & set(told):
        told[alert_id] = replace(told[alert_id], state="lost")
    gone = {(one.id, one.what) for one in lost}
    kept: list[Change] = []
    for one in box.waiting:
        if (one.id, one.what) in gone:
            continue
        if one.what == "opened":  # reopened behind the one that is lost
            unopened.discard(one.event.alert_id)
            if one.event.alert_id in told:
                told[one.event.alert_id] = replace(told[one.event.alert_id], state="waits")
        elif one.event.alert_id in unopened:
            continue
        kept.append(one)
    return Given(replace(box, told=told, waiting=tuple(kept)), lost)


def _considered(  # noqa: PLR0913 - see take()
    box: Box, rules: Rules, alert: Alert, event: AlertEvent | None, *, id: str, now: int
) -> Box:
    """Let the opening of *alert* wait, or what is new of it, where the destination wants it."""
    if silent(alert, now):
        return box
    known = box.told.get(alert.alert_id)
    if known is None:
        if not wanted(rules, alert):
            return box
        what: What = "opened"
        known = Told(severity=alert.severity)
    elif (known.severity, known.cause) != (alert.severity, alert.cause):
        what = "updated"
    else:
        return box
    known = replace(known, severity=alert.severity, cause=alert.cause, message=alert.message)
    box = replace(box, told={**box.told, alert.alert_id: known})
    if known.state == "lost":
        return box
    change = Change(
        id=id or f"{alert.alert_id}.{what}.{now}",
        what=what,
        at=now,
        event=_opening(alert) if event is None or what == "opened" else event,
        duration_ms=max(0, now - millis_of(alert.since)),
    )
    return replace(box, waiting=(*box.waiting, change))


def _reminded(box: Box, alert_id: str, alert: Alert, now: int) -> Box:
    known = box.told.get(alert_id)
    if known is None or not reminds(known, alert, now) or now < known.remind_at:
        return box
    pause = min(2 * known.pause, LAST_REMINDER)
    known = replace(known, remind_at=now + pause, pause=pause)
    box = _unsaid(box, alert_id, ("reminder",))
    reminder = Change(
        id=f"{alert_id}.reminder.{now}",
        what="reminder",
        at=now,
        event=_opening(alert),
        duration_ms=max(0, now - millis_of(alert.since)),
    )
    told = {**box.told, alert_id: known}
    return replace(box, told=told, waiting=(*box.waiting, reminder))


def _over(box: Box, change: Change) -> Box:
    """Let the resolve wait if its opening went out, or is on its way."""
    alert_id = change.event.alert_id
    known = box.told.get(alert_id)
    box = _unsaid(box, alert_id, ("reminder",))
    box = replace(box, told={key: one for key, one in box.told.items() if key != alert_id})
    if known is None or known.state == "lost":
        return box
    assert isinstance(change.event, AlertResolved)  # noqa: S101 - for the type checker
    change = replace(change, duration_ms=change.event.duration_ms)
    return replace(box, waiting=(*box.waiting, change))


def _hushed(box: Box, alert_id: str) -> Box:
    """Take back the opening of an alert that is silent from now on, if it was not yet said.

    Of an earlier time in which it was open, both ends are told.
    """
    known = box.told.get(alert_id)
    if known is None or known.state != "waits":
        return _unsaid(box, alert_id, ("reminder",))
    mine = [place for place, one in enumerate(box.waiting) if one.event.alert_id == alert_id]
    ends = [place for place in mine if box.waiting[place].what == "resolved"]
    unsaid = {place for place in mine if not ends or place > ends[-1]}
    return replace(
        box,
        told={key: one for key, one in box.told.items() if key != alert_id},
        waiting=tuple(one for place, one in enumerate(box.waiting) if place not in unsaid),
    )


def _unsaid(box: Box, alert_id: str, kinds: tuple[What, ...]) -> Box:
    kept = [one for one in box.waiting if one.event.alert_id != alert_id or one.what not in kinds]
    return box if len(kept) == len(box.waiting) else replace(box, waiting=tuple(kept))


def _opening(alert: Alert) -> AlertOpened:
    """Return the opening of *alert* as it stands now."""
    return AlertOpened(at=alert.opened_at, **said(alert))
