"""Schedules: when each provider is asked, how patiently, and when it is next."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from events.base import instant_of
from events.subjects import FACTS
from projections import Catalogue
from services import clock
from services.cli.catalogue import catalogue
from services.cli.log import connection
from services.cli.options import AsJson, ConfigFile, DataDir, Limit, settings
from services.cli.output import note, write_array
from services.cli.sentences import moment
from services.cli.tables import Column, Row, write_table
from services.config import Config
from services.directory import DataDirectory
from services.durations import format_duration
from services.jetstream.messages import info
from services.schedule import next_tick


def _retries(row: Row) -> str:
    waits = f"{row['base_delay']} to {row['max_delay']}"
    return f"{row['attempts']} attempts, {waits}, x{row['multiplier']:g}"


LIST = (
    Column("NAME", lambda row: row["name"], style="cyan"),
    Column("INTERVAL", lambda row: row["interval"] if row["enabled"] else "disabled", right=True),
    Column("PRIORITY", lambda row: row["priority"] or "", right=True),
    Column("LAST", lambda row: moment(row["last_refresh_at"]), style="dim"),
    Column("NEXT", lambda row: "now" if row["running"] else moment(row["next_due_at"])),
    Column("RETRIES", _retries, elastic=True, style="dim"),
)


def list_(
    *,
    as_json: AsJson = False,
    limit: Limit = None,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """List when each provider is asked.

    Its interval, last and next refresh, priority and retry policy; whether one runs now. The next
    one is known while a server runs.
    """
    found = settings(config, data)
    with catalogue(config, data) as opened:
        installation = asyncio.run(_installation(found))
        rows = [_row(opened, one.name, installation) for one in opened.providers()]
    if as_json:
        write_array(rows[:limit])
        return
    write_table(rows[:limit], LIST)
    note(_totals(rows))


def _row(opened: Catalogue, name: str, installation: str | None) -> dict[str, Any]:
    provider = opened.provider(name)
    plan = opened.settings(name)["schedule"]
    last = next(iter(opened.refreshes(name, limit=1)), None)
    enabled = bool(provider and provider.enabled)
    return {
        "name": name,
        "enabled": enabled,
        "priority": provider.priority if provider else 0,
        "interval": format_duration(plan["interval"]),
        "interval_seconds": plan["interval"],
        "timeout": format_duration(plan["timeout"]),
        "attempts": plan["attempts"],
        "base_delay": format_duration(plan["base_delay"]),
        "max_delay": format_duration(plan["max_delay"]),
        "multiplier": plan["multiplier"],
        "retry_on": plan["retry_on"],
        "running": last is not None and last.outcome == "started",
        "last_refresh_at": last.started_at if last else None,
        "last_outcome": last.outcome if last else None,
        "next_due_at": _next(installation, name, plan["interval"]) if enabled else None,
    }


def _next(installation: str | None, name: str, interval: float) -> str | None:
    """Return the next tick of a provider's grid; it is a function of the installation's id."""
    if installation is None:
        return None
    now = round(clock.system().unix() * 1000)
    due = next_tick(installation, name, "refresh", round(interval * 1000), now)
    return instant_of(datetime.fromtimestamp(due / 1000, tz=UTC))


async def _installation(config: Config) -> str | None:
    url = config.nats.url or DataDirectory(config.data).live_url()
    if url is None:
        return None
    async with connection(config, url, role="reader") as nc:
        return (await info(nc, FACTS)).installation


def _totals(rows: list[dict[str, Any]]) -> str:
    """Return the refresh statistics over all providers."""
    enabled = [row for row in rows if row["enabled"]]
    running = sum(row["running"] for row in rows)
    told = f"{len(rows)} schedules: {len(enabled)} enabled, {len(rows) - len(enabled)} disabled"
    if not enabled:
        return told
    mean = sum(row["interval_seconds"] for row in enabled) / len(enabled)
    due = min((row["next_due_at"] for row in enabled if row["next_due_at"]), default=None)
    told += f", {running} running; every {format_duration(round(mean))} on average"
    return f"{told}; next {moment(due)}" if due else told
