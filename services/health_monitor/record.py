"""A cycle that has ended, as it is counted and as it is recorded. No I/O."""

from __future__ import annotations

from typing import Literal

from events.base import instant_at
from events.decide.health import Cycle, suspect
from events.decide.verdict import Judged
from events.health import CheckCompleted, LostReason
from services.health_monitor.chart import Chart
from services.health_monitor.cycle import Ended

Source = Literal["check", "manual"]


def counted(cycle_id: str, started: int, now: int, judged: Judged, ended: Ended) -> Cycle:
    """Return a cycle as the health is stepped by it."""
    return Cycle(
        cycle_id=cycle_id,
        started=started,
        ended=now,
        verdict=judged.verdict,
        cause=judged.cause,
        class_=judged.class_,
        status_code=judged.status_code,
        error_rate=judged.error_rate,
        wait=round(1000 * ended.wait),
        message=judged.message,
    )


def completed(  # noqa: PLR0913 - what a cycle has come to
    chart: Chart,
    cycle: Cycle,
    ended: Ended,
    *,
    source: Source,
    not_before: int | None,
    next_due: int,
) -> CheckCompleted:
    """Return the record of a cycle, with the state that it left in *chart*."""
    health = chart.health
    return CheckCompleted(
        at=instant_at(cycle.ended),
        provider=chart.provider,
        vantage=chart.vantage,
        cycle_id=cycle.cycle_id,
        source="refresh" if ended.from_refresh else source,
        started_at=instant_at(cycle.started),
        duration_ms=cycle.ended - cycle.started,
        verdict=cycle.verdict,
        cause=cycle.cause,
        class_=cycle.class_,
        status_code=cycle.status_code,
        latency_ms=ended.latency_ms,
        error_rate=round(cycle.error_rate, 4),
        checks=ended.results,
        list_=ended.listed,
        state=health,
        suspect=suspect(health),
        flapping=health.flapping,
        not_before=None if not_before is None else instant_at(not_before),
        next_due=instant_at(next_due),
    )


def unknown(judged: Judged) -> LostReason:
    """Return why a cycle whose verdict is UNKNOWN says nothing."""
    return "local_network" if judged.class_ == "local" else "check_invalid"
