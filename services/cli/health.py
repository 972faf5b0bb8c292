"""Health: how the providers are, by their figures, their history and their checks."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from events.base import Instant
from services import clock
from services.cli import alerting
from services.cli.catalogue import catalogue, check_provider
from services.cli.condition import CHECKS, HISTORY, fields_of, state_style, stated
from services.cli.failures import WRONG, Refusal
from services.cli.figures import age, millis, share, sparkline
from services.cli.log import connection
from services.cli.options import AsJson, ConfigFile, DataDir, Limit, settings
from services.cli.output import note, write, write_array, write_object
from services.cli.sentences import counted
from services.cli.tables import Column, Row, wrapped, write_record, write_table
from services.config import Config
from services.directory import DataDirectory
from services.jetstream.connect import NoServer
from services.jetstream.state import SILENCE, living
from services.projector.health import ENTRIES, condition, conditions, summary

WHO = "health-monitor"
NEWEST = 10
"""Statuses and cycles that are shown where nothing is said."""
STANDINGS = {
    "healthy": "healthy",
    "degraded": "degraded",
    "unhealthy": "down",
    "blocked": "blocked",
    "inactive": "inactive",
    "stale": "stale",
}


def health(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The name of a provider.")
    ] = None,
    *,
    totals: Annotated[bool, typer.Option("--summary", help="The totals alone.")] = False,
    as_json: AsJson = False,
    limit: Limit = None,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Show how the providers are, or all of one.

    Status, uptime, latency of successful checks, open alerts; of one provider also its days, its
    statuses, its last checks and why they failed. Where no health monitor lives, all of it is
    stale. `--limit` cuts the list of providers, or the lists of one.
    """
    if name is not None and totals:
        raise Refusal("the totals are of all providers; leave out the name, or --summary", WRONG)
    found = settings(config, data)
    with catalogue(config, data) as opened:
        if name is not None:
            check_provider(opened, name)
        monitors = asyncio.run(_monitors(found))
        told, now = summary(opened, monitors), clock.system().now()
        if totals and as_json:
            write_object(told)
        elif totals:
            write("\n".join(_told(told)) + "\n")
        elif name is not None:
            shown = limit or (ENTRIES if as_json else NEWEST)
            row = condition(opened, name, monitors, limit=shown) or {}
            _write_one(row, now) if not as_json else write_object(row)
        elif as_json:
            write_array(conditions(opened, monitors)[:limit])
        else:
            rows = conditions(opened, monitors)[:limit]
            hours = {one["provider"]: opened.latency_series(one["provider"]) for one in rows}
            lines = {of: sparkline([hour.latency_p50_ms for hour in hours[of]]) for of in hours}
            write_table(rows, _columns(now, lines), empty="no provider is registered")
            note("\n".join(_told(told)))


async def _monitors(config: Config) -> int | None:
    """Return how many health monitors live, None where no server tells."""
    url = config.nats.url or DataDirectory(config.data).live_url()
    if url is None:
        return None
    try:
        async with connection(config, url, role="reader") as nc:
            return await living(nc, WHO)
    except NoServer:
        return None


def _columns(now: Instant, lines: dict[str, str]) -> tuple[Column, ...]:
    return (
        Column("NAME", lambda row: row["provider"], folded=True, style="cyan"),
        Column("STATUS", stated, folded=True, style=state_style),
        Column("SINCE", lambda row: age(row["status_since"], now), right=True),
        Column("24H", lambda row: share(row["uptime_24h"]), right=True),
        Column("7D", lambda row: share(row["uptime_7d"]), right=True),
        Column("30D", lambda row: share(row["uptime_30d"]), right=True),
        Column("P50", lambda row: millis(row["latency_p50_ms"]), right=True),
        Column("P95", lambda row: millis(row["latency_p95_ms"]), right=True),
        Column("LATENCY OF 24 HOURS", lambda row: lines[row["provider"]], wide=True, style="cyan"),
        Column("SEEN", lambda row: age(row["last_check_at"], now), right=True, style="dim"),
        Column("ALERTS", lambda row: row["open_alerts"] or "", right=True, style="red"),
    )


def _told(of: Row) -> list[str]:
    """Return the totals in sentences."""
    states = [f"{of[name]} {word}" for name, word in STANDINGS.items() if of[name]]
    told = f"{counted(of['total'], 'provider')}: {', '.join(states) or 'none registered'}"
    if of["latency_avg_ms"] is not None:
        told += f"; {millis(of['latency_avg_ms'])}"
        told += f" and {share(of['uptime_avg'], 2)} up" if of["uptime_avg"] is not None else ""
        told += " on average"
    if of["open_alerts"]:
        worst = [f"{of[f'alerts_{one}']} {one}" for one in alerting.WORST if of[f"alerts_{one}"]]
        told += f"; {counted(of['open_alerts'], 'open alert')} ({', '.join(worst)})"
    why = _liveness(of["monitors_alive"])
    return [*wrapped(told), *(wrapped(why) if why else ())]


def _liveness(monitors: int | None) -> str:
    """Return why what is shown may be old; empty where a monitor lives."""
    if monitors is None:
        return "no server can be reached: whether a health monitor lives is unknown"
    if monitors:
        return ""
    return (
        f"every status is stale: no health monitor has been heard for {SILENCE} s;"
        f" start one with `modelog up` or `modelog run {WHO}`"
    )


def _write_one(row: dict[str, Any], now: Instant) -> None:
    write_record(fields_of(row, now))
    for key, columns in (("alerts", alerting.BRIEF), ("history", HISTORY), ("checks", CHECKS)):
        if row[key]:
            write("\n")
            write_table(row[key], columns)
    if why := _liveness(row["monitors_alive"]):
        note("\n".join(wrapped(why)))
