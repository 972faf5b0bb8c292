"""The rows of health as people get them: statuses, cycles, alerts, figures."""

from __future__ import annotations

from typing import Any

import msgspec

from events.base import Instant


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A status of a provider, from *effective_at* to *until*, which is null for the one now."""

    provider: str
    status: str
    cause: str | None
    effective_at: Instant
    detected_at: Instant
    until: Instant | None
    seq: int


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One cycle of a provider's checks; the errors are null where its verdict is OK."""

    provider: str
    at: Instant
    seq: int
    cycle_id: str
    source: str
    started_at: Instant
    duration_ms: int
    verdict: str
    cause: str | None
    class_: str = msgspec.field(name="class")
    status_code: int | None
    latency_ms: int | None
    error_rate: float
    checks: list[dict[str, Any]]
    list_: dict[str, Any] | None = msgspec.field(name="list")
    suspect: bool
    flapping: bool
    not_before: Instant | None
    next_due: Instant | None
    vantage: str
    error_class: str | None
    error_message: str | None
    error_status: int | None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert; *provider* is `all` where it is about the whole fleet.

    *since* is when its condition began, *seq* the sequence of its last event.
    """

    alert_id: str
    provider: str
    model_id: str | None
    kind: str
    cause: str | None
    severity: str
    message: str
    fingerprint: str
    since: Instant
    opened_at: Instant
    resolved_at: Instant | None
    resolved_reason: str | None
    state: str
    acknowledged_at: Instant | None
    silenced_until: Instant | None
    seq: int


class ProviderHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's figures, up to the newest event of the log.

    Shares are from 0 to 1, by time, and null where less than half of it is covered. Latency is that
    of successful list calls of the last 24 hours. *timeout_share* is the share of time-outs among
    calls; *blips* are runs of failures that made no error.
    """

    provider: str
    uptime_24h: float | None
    uptime_7d: float | None
    uptime_30d: float | None
    coverage_24h: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    last_check_at: Instant | None
    open_alerts: int
    fully_healthy_24h: float | None
    timeout_share: float | None
    blips_24h: int


class HealthSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All registered providers in one row: *unhealthy* ones are down, *blocked* ones refuse us.

    *with_warnings* counts those with an open alert above low. The averages are of 24 hours, over
    the providers that were covered for half of them or more.
    """

    total: int
    healthy: int
    degraded: int
    unhealthy: int
    blocked: int
    inactive: int
    stale: int
    with_warnings: int
    open_alerts: int
    alerts_low: int
    alerts_medium: int
    alerts_high: int
    alerts_critical: int
    worst_status: str | None
    latency_avg_ms: float | None
    uptime_avg: float | None
    last_check_at: Instant | None


class Uptime(msgspec.Struct, frozen=True, kw_only=True):
    """How the time of a provider was spent in a *span* (`1h` `24h` `7d` `30d` `90d`).

    *coverage* is the share in which it was known to be up, degraded or down.
    """

    provider: str
    span: str
    uptime: float | None
    fully_healthy: float | None
    coverage: float
    up_ms: int
    degraded_ms: int
    down_ms: int
    blocked_ms: int
    inactive_ms: int
    unknown_ms: int
    maintenance_ms: int


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long the successful list *calls* of a provider took, within 24 hours."""

    provider: str
    calls: int
    latency_avg_ms: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    timeout_share: float | None
    blips: int


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """How long calls took in one hour, from *hour* on; null where too few calls tell."""

    hour: Instant
    calls: int
    latency_avg_ms: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    timeouts: int


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """How a day or an hour of a provider was spent: the share of each class, together 1.

    Classes that had no time in it are left out.
    """

    at: Instant
    until: Instant
    shares: dict[str, float]
