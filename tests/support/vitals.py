"""A catalogue of providers that are well and ill in many ways, and of what was told of them."""

from __future__ import annotations

from datetime import timedelta

from events.alerts import AlertKind, AlertOpened, AlertResolved, AlertUpdated, Severity
from events.audit import AuditEvent
from events.base import later
from events.codec import FactEvent
from events.health import (
    CheckCompleted,
    CheckResult,
    HealthCoverageLost,
    HealthStatusChanged,
    Status,
    Verdict,
)
from tests.support.logs import registered

BEGIN = "2026-03-01T00:00:00.000Z"
END = "2026-03-31T00:00:00.000Z"


def turned(
    provider: str, at: str, to: Status, cause: str | None = None, *, was: Status = "inactive"
) -> HealthStatusChanged:
    return HealthStatusChanged(
        at=at, provider=provider, from_=was, to=to, cause=cause, effective_at=at, detected_at=at
    )


def cycle(
    provider: str, at: str, verdict: Verdict = "OK", class_: str = "ok", ms: int | None = 100
) -> CheckCompleted:
    wrong = "HTTP 500\x1b[2J Internal Server Error" if verdict != "OK" else ""
    return CheckCompleted(
        at=at,
        provider=provider,
        cycle_id=f"{provider} {at}",
        started_at=at,
        verdict=verdict,
        class_=class_,
        latency_ms=ms,
        checks=[CheckResult(name="list_models", verdict=verdict, class_=class_, message=wrong)],
        next_due=later(at, timedelta(minutes=1)),
    )


def told(  # noqa: PLR0913 - what an alert is
    id: str,
    provider: str,
    at: str,
    *,
    kind: AlertKind = "status_change",
    severity: Severity = "high",
    model_id: str | None = None,
) -> AlertOpened:
    return AlertOpened(
        at=at,
        provider=provider,
        alert_id=id,
        fingerprint=id,
        kind=kind,
        model_id=model_id,
        cause="outage",
        severity=severity,
        message=f"{provider} is \x1b[31mdown",
        since=at,
    )


def ended(alert: AlertOpened, at: str) -> AlertResolved:
    kept = {name: getattr(alert, name) for name in alert.__struct_fields__ if name != "at"}
    return AlertResolved(at=at, reason="recovered", duration_ms=1000, **kept)


def acknowledged(alert: AlertOpened, at: str) -> AlertUpdated:
    kept = {name: getattr(alert, name) for name in alert.__struct_fields__ if name != "at"}
    return AlertUpdated(at=at, change="acknowledged", **kept)


DOWN = told("01aa0000-0001-7000-8000-000000000001", "beta", "2026-03-30T23:50:00.000Z")
WORST = told(
    "01aa0000-0002-7000-8000-000000000002", "all", END, kind="critical_failure", severity="critical"
)
RETIRES = told(
    "01bb0000-0003-7000-8000-000000000003", "acme", "2026-03-20T00:00:00.000Z",
    kind="retirement", severity="low", model_id="gpt-4.1",
)  # fmt: skip
PAST = told("01cc0000-0004-7000-8000-000000000004", "beta", "2026-03-10T00:00:00.000Z")

FACTS: list[FactEvent] = [
    *(registered(name, BEGIN) for name in ("acme", "beta", "delta", "gamma")),
    turned("acme", BEGIN, "active"),
    turned("beta", BEGIN, "active"),
    turned("gamma", BEGIN, "active"),
    turned("beta", PAST.at, "error", "outage", was="active"),
    PAST,
    turned("beta", "2026-03-10T03:00:00.000Z", "active", was="error"),
    ended(PAST, "2026-03-10T03:00:00.000Z"),
    RETIRES,
    turned("gamma", "2026-03-30T00:00:00.000Z", "degraded", "throttled", was="active"),
    HealthCoverageLost(
        at="2026-03-30T22:00:00.000Z",
        provider="gamma",
        since="2026-03-30T21:00:00.000Z",
        reason="silent",
    ),
    turned("beta", DOWN.at, "error", "outage", was="active"),
    DOWN,
    WORST,
]
"""Of `acme` (up), `beta` (down), `gamma` (throttled, and stale) and `delta` (never checked)."""

OPERATIONS: list[AuditEvent] = [
    *(
        cycle("acme", later(END, -timedelta(hours=hours)), ms=100 + 10 * hours)
        for hours in reversed(range(24))
    ),
    cycle("beta", "2026-03-30T23:49:00.000Z"),
    cycle("beta", DOWN.at, "FAIL", "server", None),
]
