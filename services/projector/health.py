"""How the providers are, as far as the catalogue and the heartbeats of the monitors can tell.

Staleness: health.md, section 5. *monitors* is how many instances of the health monitor live; None
where that is not known.
"""

from __future__ import annotations

from typing import Any

import msgspec

from projections import Catalogue

ENTRIES = 100
"""Statuses and cycles of one provider that are told at once, where nothing is said."""
SILENT = "no_monitor"
"""The reason where no health monitor lives; others are those of `health.coverage_lost`."""
HOURS = 24
DAYS = 30
_LOST = "SELECT provider, reason FROM provider_gaps WHERE until IS NULL"


def conditions(catalogue: Catalogue, monitors: int | None) -> list[dict[str, Any]]:
    """Return the status and the figures of each registered provider, by name."""
    figures = {one.provider: one for one in catalogue.provider_health()}
    reasons: dict[str, str] = dict(catalogue.query(_LOST).rows)
    found: list[dict[str, Any]] = []
    for one in catalogue.providers():
        reason = SILENT if monitors == 0 else reasons.get(one.name) if one.stale else None
        status = {
            "provider": one.name,
            "enabled": one.enabled,
            "status": one.status,
            "status_cause": one.status_cause,
            "status_since": one.status_since,
            "stale": one.stale or monitors == 0,
            "stale_reason": reason,
        }
        found.append(status | msgspec.to_builtins(figures[one.name]))
    return found


def condition(
    catalogue: Catalogue, name: str, monitors: int | None, *, limit: int = ENTRIES
) -> dict[str, Any] | None:
    """Return all of one provider, at most *limit* statuses and cycles; None where there is none."""
    row = next((one for one in conditions(catalogue, monitors) if one["provider"] == name), None)
    if row is None:
        return None
    checks = catalogue.checks(name, limit=limit)
    more = {
        "monitors_alive": monitors,
        "next_check_at": checks[0].next_due if checks and row["enabled"] else None,
        "not_before": checks[0].not_before if checks else None,
        "uptime": catalogue.provider_uptime(name),
        "days": catalogue.uptime_bars(name, DAYS),
        "hours": catalogue.latency_series(name, HOURS),
        "history": catalogue.provider_history(name, limit=limit),
        "checks": checks,
        "alerts": catalogue.alerts("open", name),
    }
    return {**row, **msgspec.to_builtins(more)}


def summary(catalogue: Catalogue, monitors: int | None) -> dict[str, Any]:
    """Return the totals over all registered providers, and how many monitors live."""
    found = msgspec.to_builtins(catalogue.health_summary())
    if monitors == 0:
        found["stale"] = found["total"]
    return {**found, "monitors_alive": monitors}
