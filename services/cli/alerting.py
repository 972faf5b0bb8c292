"""How alerts are shown: the columns of their tables, and all of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from events.alerts import SEVERITIES
from events.base import Instant
from services.cli.sentences import moment
from services.cli.tables import Column, Row

WORST = tuple(reversed(SEVERITIES))
STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
SHORTEST = 8


def about(row: Row) -> str:
    """Return whom an alert is about."""
    return f"{row['provider']} {row['model_id']}" if row["model_id"] else str(row["provider"])


def flags(row: Row, now: Instant) -> str:
    """Return the state of an alert, and what somebody did about it."""
    silenced = row["silenced_until"] is not None and row["silenced_until"] > now
    told = {"acked": row["acknowledged_at"] is not None, "silenced": silenced}
    if row["state"] == "resolved":
        return "resolved"
    return " ".join(word for word, holds in told.items() if holds) or "open"


def _severity_style(text: str) -> str:
    return STYLES.get(text, "")


BRIEF = (
    Column("OPEN SINCE", lambda row: moment(row["since"]), style="dim"),
    Column("SEVERITY", lambda row: row["severity"], style=_severity_style),
    Column("KIND", lambda row: row["kind"]),
    Column("MESSAGE", lambda row: row["message"], folded=True),
)


def columns(names: Mapping[str, str], now: Instant) -> tuple[Column, ...]:
    """Return the columns of alerts whose ids are shown as *names* have them."""
    return (
        Column("ID", lambda row: names[row["alert_id"]], style="cyan"),
        Column("SINCE", lambda row: moment(row["since"])[:16], style="dim"),
        Column("SEVERITY", lambda row: row["severity"], style=_severity_style),
        Column("STATE", lambda row: flags(row, now), folded=True),
        Column("KIND", lambda row: row["kind"], elastic=True, wide=True),
        Column("ABOUT", about, folded=True, wide=True, style="cyan"),
        Column("MESSAGE", lambda row: row["message"], folded=True),
    )


def shortened(ids: Sequence[str]) -> dict[str, str]:
    """Return the shortest beginning of each of *ids* that no other one has, as one may type it."""
    ordered = sorted(ids)
    if not ordered:
        return {}
    shared = [0, *(_shared(*pair) for pair in pairwise(ordered)), 0]
    return {
        one: one[: max(before, after, SHORTEST - 1) + 1]
        for one, (before, after) in zip(ordered, pairwise(shared), strict=True)
    }


def _shared(one: str, other: str) -> int:
    """Return how many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def fields_of(row: Row, now: Instant) -> list[tuple[str, object]]:
    """Return all of an alert, unknown things left out."""
    reason = f" ({row['resolved_reason']})" if row["resolved_reason"] else ""
    silenced = row["silenced_until"]
    return [
        ("id", row["alert_id"]),
        ("provider", row["provider"]),
        ("model", row["model_id"]),
        ("kind", row["kind"]),
        ("cause", row["cause"]),
        ("severity", row["severity"]),
        ("state", flags(row, now)),
        ("message", row["message"]),
        ("since", moment(row["since"])),
        ("opened", moment(row["opened_at"])),
        ("acknowledged", moment(row["acknowledged_at"])),
        ("silenced", f"until {moment(silenced)}" if silenced else None),
        ("resolved", f"{moment(row['resolved_at'])}{reason}" if row["resolved_at"] else None),
    ]
