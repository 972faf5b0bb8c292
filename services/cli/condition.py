"""How the health of one provider is shown: its head, its statuses, its cycles."""

from __future__ import annotations

from datetime import timedelta

from rich.text import Text

from events.base import Instant, elapsed
from services.cli.figures import age, bars, legend, millis, share, span, sparkline
from services.cli.sentences import moment
from services.cli.tables import Column, Row

STYLES = {
    "active": "green",
    "degraded": "yellow",
    "error": "red",
    "inactive": "dim",
    "stale": "dim",
    "OK": "green",
    "PARTIAL": "yellow",
    "THROTTLED": "yellow",
    "UNKNOWN": "dim",
    "FAIL": "red",
    "BLOCKED": "red",
}

REASONS = {
    "no_monitor": "no health monitor lives",
    "silent": "no check has counted for too long",
    "local_network": "our own network fails",
    "check_invalid": "the provider refuses the check itself",
}


def state_style(text: str) -> str:
    """Return the Rich style of a status or a verdict, whatever stands behind it."""
    return STYLES.get(text.partition(" ")[0].rstrip(","), "")


def stated(row: Row) -> str:
    """Return the status with its cause; one that is stale says so first."""
    cause = f" ({row['status_cause']})" if row["status_cause"] else ""
    return f"{'stale, ' if row['stale'] else ''}{row['status']}{cause}"


def fields_of(row: Row, now: Instant) -> list[tuple[str, object]]:
    """Return what a person wants to know first of a provider's health."""
    status, since = stated(row), row["status_since"]
    state = Text(status, state_style(status))
    if since:
        state.append(f" since {moment(since)} ({age(since, now)})", "")
    days = [one["shares"] for one in row["days"]]
    drawn = bars(days).append("  ").append_text(legend(days)) if days else None
    return [
        ("provider", row["provider"]),
        ("status", state),
        ("stale", REASONS.get(row["stale_reason"], row["stale_reason"])),
        ("uptime", _uptime(row)),
        ("coverage", f"{share(row['coverage_24h']) or '0%'} of 24 hours"),
        ("30 days", drawn),
        ("latency", _latency(row)),
        ("24 hours", _hours(row)),
        ("checked", _checked(row, now)),
        ("next check", _until(row["next_check_at"], now)),
        ("waits", _waits(row, now)),
    ]


def _uptime(row: Row) -> str:
    known = [
        f"{share(one['uptime'], 3)} in {one['span']}"
        for one in row["uptime"]
        if one["uptime"] is not None
    ]
    return ", ".join(known) or "not known yet: less than half of any span is covered"


def _latency(row: Row) -> str:
    told = {"p50": row["latency_p50_ms"], "p95": row["latency_p95_ms"]}
    parts = [f"{name} {millis(ms)}" for name, ms in told.items() if ms is not None]
    if row["timeout_share"]:
        parts.append(f"{share(row['timeout_share'])} timed out")
    if row["blips_24h"]:
        parts.append(f"{row['blips_24h']} blips in 24h")
    return ", ".join(parts)


def _hours(row: Row) -> str:
    medians = [one["latency_p50_ms"] for one in row["hours"]]
    known = [ms for ms in medians if ms is not None]
    if not known:
        return ""
    return f"{sparkline(medians)}  medians by hour, up to {millis(max(known))}"


def _checked(row: Row, now: Instant) -> str:
    at = row["last_check_at"]
    return f"{moment(at)} ({age(at, now)} ago)" if at else "never"


def _until(at: Instant | None, now: Instant) -> str:
    if at is None:
        return ""
    left = elapsed(now, at) / timedelta(seconds=1)
    when = f"in {span(left)}" if left > 0 else f"due {age(at, now)} ago"
    return f"{moment(at)} ({when})"


def _waits(row: Row, now: Instant) -> str:
    """Return until when the provider has asked not to be called; empty where that is past."""
    at = row["not_before"]
    return f"until {moment(at)}, as the provider asks" if at and at > now else ""


def _lasted(row: Row) -> str:
    until = row["until"]
    return age(row["effective_at"], until) if until else "so far"


HISTORY = (
    Column("FROM", lambda row: moment(row["effective_at"]), style="dim"),
    Column("LASTED", _lasted, right=True),
    Column("STATUS", lambda row: row["status"], style=state_style),
    Column("CAUSE", lambda row: row["cause"]),
    Column("DECIDED AFTER", lambda row: age(row["effective_at"], row["detected_at"]), right=True),
)
CHECKS = (
    Column("CHECKED", lambda row: moment(row["at"]), style="dim"),
    Column("VERDICT", lambda row: row["verdict"], style=state_style),
    Column("CLASS", lambda row: row["class"], elastic=True),
    Column("LATENCY", lambda row: millis(row["latency_ms"]), right=True),
    Column("MESSAGE", lambda row: row["error_message"], folded=True),
)
