"""A provider's chart, read from the log: a restart changes no status by itself.

Source: health.md, section 5, "Restart".
"""

from __future__ import annotations

from typing import NamedTuple, cast

from msgspec.structs import replace

from events.alerts import AlertEvent
from events.audit import RefreshOutcome
from events.base import instant_at, millis_of
from events.decide.alerts import evolve
from events.decide.runs import NONE
from events.decide.runs import evolve as ran
from events.envelope import Recorded, opened
from events.health import (
    CheckCompleted,
    Evidence,
    Health,
    HealthCoverageLost,
    HealthCoverageRestored,
    HealthMaintenanceStarted,
    HealthStatusChanged,
    down,
)
from events.subjects import AUDIT, FACTS, check_subject, facts_of, outcome_subject
from services.health_monitor.chart import Chart
from services.health_monitor.maintenance import Window
from services.health_monitor.shared import believed, shared
from services.jetstream.connect import Client
from services.jetstream.read import last_message, pages

BELIEVED = ("succeeded", "quarantined")


class Recalled(NamedTuple):
    """A provider's chart; *owed* is a change that a crash kept from being told.

    *last* is the last cycle, None where there was none.
    """

    chart: Chart
    last: CheckCompleted | None
    owed: HealthStatusChanged | None


async def recall(nc: Client, provider: str, vantage: str) -> Recalled:
    """Read what the log has of *provider*'s health; raises what reading and decoding raise."""
    chart = Chart(provider, vantage)
    changed, lost = await _health(nc, chart)
    stored = await last_message(nc, AUDIT, check_subject(provider))
    last = None if stored is None else cast("CheckCompleted", opened(AUDIT, stored).event)
    async for page in pages(nc, FACTS, after=0, filter=facts_of("alert", provider)):
        for one in page:
            chart.alerts = evolve(chart.alerts, cast("AlertEvent", opened(FACTS, one).event))
        chart.seqs["alert"] = page[-1].seq
    await _runs(nc, chart)
    return recalled(chart, last, changed, lost)


def recalled(
    chart: Chart,
    last: CheckCompleted | None,
    changed: HealthStatusChanged | None,
    lost: HealthCoverageLost | None,
) -> Recalled:
    """Return *chart* with the health that the last cycle left, or else the last change.

    *lost* is word of a coverage that was not restored since.
    """
    owed = None
    newer = last is not None and (changed is None or last.at > changed.detected_at)
    if last is not None and (newer or _agree(last.state, changed)):
        chart.health = last.state
        chart.due = None if last.next_due is None else millis_of(last.next_due)
        if not _agree(last.state, changed):
            owed = _owed(last, changed)
    elif changed is not None:
        since = millis_of(changed.effective_at)
        is_down = down(changed.to, changed.cause)
        chart.health = Health(
            status=changed.to,
            cause=changed.cause,
            since=since,
            down_since=since if is_down else None,
        )
    chart.health = replace(
        chart.health,
        stale=lost is not None,
        lost=None if lost is None else lost.reason,
        lost_since=None if lost is None else millis_of(lost.since),
    )
    if changed is not None:
        chart.message = changed.evidence.message
    return Recalled(chart, last, owed)


async def _health(
    nc: Client, chart: Chart
) -> tuple[HealthStatusChanged | None, HealthCoverageLost | None]:
    """Read the facts of the provider's health; they are few, as only changes are written."""
    changed: HealthStatusChanged | None = None
    lost: HealthCoverageLost | None = None
    async for page in pages(nc, FACTS, after=0, filter=facts_of("health", chart.provider)):
        for stored in page:
            event = opened(FACTS, stored).event
            if isinstance(event, HealthStatusChanged):
                changed = event
                if event.from_ != event.to:
                    chart.entered = millis_of(event.effective_at)
            elif isinstance(event, HealthCoverageLost):
                lost = event
            elif isinstance(event, HealthCoverageRestored):
                lost = None
            elif isinstance(event, HealthMaintenanceStarted):
                begun, end = millis_of(event.at), millis_of(event.until)
                chart.window = Window(event.window_id, begun, end)
            else:
                chart.window = None
        chart.seqs["health"] = page[-1].seq
    return changed, lost


async def _runs(nc: Client, chart: Chart) -> None:
    """Read how the last refreshes ended, from the last one that was believed on."""
    found: list[Recorded] = []
    for kind in BELIEVED:
        stored = await last_message(nc, AUDIT, outcome_subject(chart.provider, kind))
        if stored is not None:
            found.append(opened(AUDIT, stored))
    found.sort(key=lambda one: one.seq)
    after = found[-1].seq if found else 0
    failed = outcome_subject(chart.provider, "failed")
    async for page in pages(nc, AUDIT, after=after, filter=failed):
        found += [opened(AUDIT, stored) for stored in page]
    chart.runs = NONE
    for one in found:
        hear(chart, cast("RefreshOutcome", one.event))


def hear(chart: Chart, outcome: RefreshOutcome) -> None:
    """Take note of how a refresh of the provider ended."""
    chart.runs = ran(chart.runs, outcome)
    chart.shared = shared(outcome) or chart.shared
    models = believed(outcome)
    if models is not None:
        chart.known = models


def _agree(health: Health, changed: HealthStatusChanged | None) -> bool:
    if changed is None:
        return health.status == "inactive"
    return (health.status, health.cause) == (changed.to, changed.cause)


def _owed(last: CheckCompleted, changed: HealthStatusChanged | None) -> HealthStatusChanged:
    """Return the change that the last cycle decided and that is not in the log."""
    began = None if changed is None or not down(changed.to, changed.cause) else changed
    since = instant_at(last.state.since)
    return HealthStatusChanged(
        at=last.at,
        provider=last.provider,
        vantage=last.vantage,
        from_="inactive" if changed is None else changed.to,
        to=last.state.status,
        previous_cause="unchecked" if changed is None else changed.cause,
        cause=last.state.cause,
        effective_at=since,
        detected_at=last.at,
        downtime_ms=None
        if began is None
        else max(0, last.state.since - millis_of(began.effective_at)),
        relapses=len(last.state.relapses),
        evidence=Evidence(
            cycle_ids=[last.cycle_id],
            class_=last.class_,
            status_code=last.status_code,
            error_rate=last.error_rate,
        ),
    )
