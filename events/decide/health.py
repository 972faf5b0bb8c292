"""A provider's health after one more cycle: gap, count, decide. Pure: no clock, no chance.

Source: health.md, section 5. Moments are milliseconds.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec.structs import replace

from events.base import instant_at
from events.decide.counting import (
    Cycle,
    Rules,
    count,
    fresh,
    late,
    missed,
    rates,
    relapses,
    throttled,
)
from events.decide.status import Becomes, decide, modal
from events.health import (
    Evidence,
    Health,
    HealthCoverageLost,
    HealthCoverageRestored,
    HealthEvent,
    HealthStatusChanged,
    LostReason,
    down,
)

__all__ = [
    "Cycle",
    "Off",
    "Rules",
    "Step",
    "relapses",
    "step",
    "suspect",
    "switch",
    "throttled",
    "tick",
]

Off = Literal["disabled", "removed", "unconfigured", "unchecked"]
"""Why a provider is not checked."""
ENTRIES = 20
"""Relapses that are remembered, at most: far fewer than that reach any cap."""


class Step(NamedTuple):
    """What is known after a step, and what it tells."""

    health: Health
    events: list[HealthEvent]


def step(  # noqa: PLR0913 - all that bears on it
    provider: str,
    health: Health,
    seen: Cycle,
    rules: Rules,
    *,
    due: int | None,
    now: int,
    vantage: str = "",
) -> Step:
    """Return what a cycle that has ended makes of *health*.

    *due* is the start that was planned for it; None: not known, so nothing was missed. What is
    switched off, and what was counted already, stays as it is. An UNKNOWN cycle only leaves word of
    what was due, for it counts as little as none at all.
    """
    if _off(health) or late(health, seen, rules):
        return Step(health, [])
    due = due if health.due is None else health.due
    if seen.verdict == "UNKNOWN":
        return Step(replace(health, due=due), [])
    told: list[HealthEvent] = []
    if missed(health, rules, due=due, now=now):
        if due is not None and health.last_at is not None and due < seen.started:
            health, told = _lost(provider, health, "silent", due, now, vantage)
        health = fresh(health)
    health, known = _restored(provider, health, seen.started, now, vantage)
    counted = replace(count(health, seen, rules), due=None)
    counted = replace(
        counted,
        relapses=tuple(at for at in counted.relapses if now - at <= rules.relapse_window),
    )
    becomes = decide(counted, seen, rules, now)
    evidence = _evidence(counted, seen, becomes)
    changed = _changed(provider, counted, becomes, evidence, now, vantage)
    return Step(changed.health, [*told, *known, *changed.events])


def tick(  # noqa: PLR0913 - all that bears on it
    provider: str,
    health: Health,
    rules: Rules,
    *,
    due: int | None,
    now: int,
    reason: LostReason,
    vantage: str = "",
) -> Step:
    """Return *health* as time passes: stale, and told once, where what was *due* did not count."""
    due = due if health.due is None else health.due
    if _off(health) or due is None or not missed(health, rules, due=due, now=now):
        return Step(health, [])
    return Step(*_lost(provider, health, reason, min(due, now), now, vantage))


def switch(provider: str, health: Health, cause: Off | None, now: int, vantage: str = "") -> Step:
    """Return *health* with checks off because of *cause*, or, where that is None, on (rule 1)."""
    if cause is None and not _off(health):
        return Step(health, [])
    becomes = Becomes("inactive", cause or "unchecked", now)
    health, told = _restored(provider, health, now, now, vantage)
    health = replace(fresh(health), last_at=None, due=None)
    changed = _changed(provider, health, becomes, Evidence(), now, vantage)
    return Step(changed.health, [*told, *changed.events])


def suspect(health: Health) -> bool:
    """Tell whether something speaks against a status that is no error, but not yet enough."""
    return health.status != "error" and (health.f.count > 0 or health.b.count > 0)


def _off(health: Health) -> bool:
    return health.status == "inactive" and health.cause != "unchecked"


def _evidence(health: Health, seen: Cycle, becomes: Becomes | None) -> Evidence:
    window = rates(health)
    error = becomes is not None and becomes.status == "error"
    cycle_ids = [cycle_id for *_, cycle_id in health.streak] if error else [seen.cycle_id]
    return Evidence(
        cycle_ids=cycle_ids,
        class_=modal(health, seen)[0] if error else seen.class_,
        status_code=seen.status_code,
        failures=window.failures,
        error_rate=round(window.errors, 4),
        samples=window.samples,
        message=seen.message,
    )


def _changed(  # noqa: PLR0913, PLR0917 - all that bears on it
    provider: str,
    health: Health,
    becomes: Becomes | None,
    evidence: Evidence,
    now: int,
    vantage: str,
) -> Step:
    """Return *health* as it *becomes*, and the change where status or cause is another one.

    It begins within what is its own: not before the change before it, not after it was decided.
    """
    if becomes is None or (health.status, health.cause) == becomes[:2]:
        return Step(health, [])
    detected = max(now, health.since)
    at = max(health.since, min(becomes.at, detected))
    falls = down(becomes.status, becomes.cause)
    was, began = down(health.status, health.cause), health.down_since
    entries = health.relapses
    if falls and not was:
        entries = (*entries, now)[-ENTRIES:]
    changed = HealthStatusChanged(
        at=instant_at(detected),
        provider=provider,
        vantage=vantage,
        from_=health.status,
        to=becomes.status,
        previous_cause=health.cause,
        cause=becomes.cause,
        effective_at=instant_at(at),
        detected_at=instant_at(detected),
        downtime_ms=None if began is None or falls else at - began,
        relapses=len(entries),
        evidence=evidence,
    )
    health = replace(
        health,
        status=becomes.status,
        cause=becomes.cause,
        since=at,
        relapses=entries,
        turns=health.turns + health.flapping,
        down_since=(at if began is None else began) if falls else None,
        **becomes.forgets,
    )
    return Step(health, [changed])


def _lost(  # noqa: PLR0913, PLR0917 - all that bears on it
    provider: str, health: Health, reason: LostReason, since: int, now: int, vantage: str
) -> tuple[Health, list[HealthEvent]]:
    """Return *health* as stale since *since*, told where it was not yet."""
    if health.stale:
        return health, []
    lost = HealthCoverageLost(
        at=instant_at(now),
        provider=provider,
        vantage=vantage,
        since=instant_at(since),
        reason=reason,
    )
    return replace(health, stale=True, lost=reason, lost_since=since), [lost]


def _restored(
    provider: str, health: Health, until: int, now: int, vantage: str
) -> tuple[Health, list[HealthEvent]]:
    """Return *health* as known again from *until* on, told where it was stale."""
    if health.lost is None or health.lost_since is None:
        return health, []
    restored = HealthCoverageRestored(
        at=instant_at(now),
        provider=provider,
        vantage=vantage,
        since=instant_at(health.lost_since),
        reason=health.lost,
        until=instant_at(max(health.lost_since, until)),
    )
    return replace(health, stale=False, lost=None, lost_since=None), [restored]
