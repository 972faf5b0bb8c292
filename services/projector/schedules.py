"""When each provider is asked: what the catalogue says of its schedule, and its next turn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from events.base import Instant, instant_of
from projections import Catalogue
from services.durations import format_duration
from services.schedule import next_tick
from services.settings import Schedule


def schedules(opened: Catalogue, installation: str | None, now: Instant) -> list[dict[str, Any]]:
    """Return a row a provider, by name.

    The next refresh is a function of the *installation*'s id, and null where that is not known.
    """
    return [_row(opened, one.name, installation, now) for one in opened.providers()]


def totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many schedules there are, and how often their providers are asked."""
    enabled = [row for row in rows if row["enabled"]]
    seconds = [row["interval_seconds"] for row in enabled]
    return {
        "schedules": len(rows),
        "enabled": len(enabled),
        "disabled": len(rows) - len(enabled),
        "running": sum(row["running"] for row in rows),
        "mean_interval_seconds": sum(seconds) / len(seconds) if seconds else None,
        "next_due_at": min(
            (row["next_due_at"] for row in enabled if row["next_due_at"]), default=None
        ),
    }


def _row(opened: Catalogue, name: str, installation: str | None, now: Instant) -> dict[str, Any]:
    provider = opened.provider(name)
    plan = msgspec.convert(opened.settings(name)["schedule"], Schedule)
    last = next(iter(opened.refreshes(name, limit=1)), None)
    enabled = bool(provider and provider.enabled)
    return {
        "name": name,
        "enabled": enabled,
        "priority": provider.priority if provider else 0,
        "interval": format_duration(plan.interval),
        "interval_seconds": plan.interval,
        "timeout": format_duration(plan.timeout),
        "attempts": plan.attempts,
        "base_delay": format_duration(plan.base_delay),
        "max_delay": format_duration(plan.max_delay),
        "multiplier": plan.multiplier,
        "retry_on": list(plan.retry_on),
        "running": last is not None and last.outcome == "started",
        "last_refresh_at": last.started_at if last else None,
        "last_outcome": last.outcome if last else None,
        "next_due_at": _next(installation, name, plan.interval, now) if enabled else None,
    }


def _next(installation: str | None, name: str, interval: float, now: Instant) -> Instant | None:
    if installation is None:
        return None
    millis = round(datetime.fromisoformat(now).timestamp() * 1000)
    due = next_tick(installation, name, "refresh", round(interval * 1000), millis)
    return instant_of(datetime.fromtimestamp(due / 1000, tz=UTC))
