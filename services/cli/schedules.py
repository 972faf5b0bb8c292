"""Schedules: when each provider is asked, how patiently, and when it is next."""

from __future__ import annotations

import asyncio
from typing import Any

from events.base import Instant, elapsed
from events.subjects import FACTS
from services import clock
from services.cli.catalogue import catalogue
from services.cli.figures import age, span
from services.cli.log import connection
from services.cli.options import AsJson, ConfigFile, DataDir, Limit, settings
from services.cli.output import is_terminal, note, write_array
from services.cli.sentences import counted, moment
from services.cli.tables import Column, Row, write_table
from services.config import Config
from services.directory import DataDirectory
from services.durations import format_duration
from services.jetstream.api import NoAnswer, NoStream
from services.jetstream.connect import NoServer
from services.jetstream.messages import info
from services.projector.schedules import schedules, totals


def _retries(row: Row) -> str:
    waits = f"{row['base_delay']} to {row['max_delay']}"
    return f"{row['attempts']} attempts, {waits}, x{row['multiplier']:g}"


def _columns(now: Instant) -> tuple[Column, ...]:
    """Return the columns; a terminal, where room is short, gets how far from *now* moments are."""
    far = is_terminal()

    def last(row: Row) -> str:
        at = row["last_refresh_at"]
        return f"{age(at, now)} ago" if far and at else moment(at)

    def coming(row: Row) -> str:
        at = row["next_due_at"]
        if row["running"] or not (far and at):
            return "now" if row["running"] else moment(at)
        left = elapsed(now, at).total_seconds()
        return f"in {span(left)}" if left > 0 else "due"

    return (
        Column("NAME", lambda row: row["name"], style="cyan"),
        Column(
            "INTERVAL", lambda row: row["interval"] if row["enabled"] else "disabled", right=True
        ),
        Column("PRIORITY", lambda row: row["priority"] or "", right=True),
        Column("LAST", last, style="dim"),
        Column("NEXT", coming),
        Column("RETRIES", _retries, folded=True, style="dim"),
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
    found, now = settings(config, data), clock.system().now()
    with catalogue(config, data) as opened:
        installation = asyncio.run(_installation(found))
        rows = schedules(opened, installation, now)
    if as_json:
        write_array(rows[:limit])
        return
    write_table(rows[:limit], _columns(now))
    note(_told(totals(rows)))


async def _installation(config: Config) -> str | None:
    """Return what the log calls itself, on which the phases depend; None where none answers."""
    url = config.nats.url or DataDirectory(config.data).live_url()
    if url is None:
        return None
    try:
        async with connection(config, url, role="reader") as nc:
            return (await info(nc, FACTS)).installation
    except (NoServer, NoStream, NoAnswer):
        note("no log can be reached: when each is next is unknown")
        return None


def _told(found: dict[str, Any]) -> str:
    """Return the totals as a sentence."""
    all_ = counted(found["schedules"], "schedule")
    told = f"{all_}: {found['enabled']} enabled, {found['disabled']} disabled"
    if not found["enabled"]:
        return told
    mean, due = format_duration(round(found["mean_interval_seconds"])), found["next_due_at"]
    told += f", {found['running']} running; every {mean} on average"
    return f"{told}; next {moment(due)}" if due else told
