"""Schedules: when each provider is asked, how patiently, and when it is next."""

from __future__ import annotations

import asyncio
from typing import Any

from events.subjects import FACTS
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
from services.projector.schedules import schedules, totals


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
        rows = schedules(opened, installation, clock.system().now())
    if as_json:
        write_array(rows[:limit])
        return
    write_table(rows[:limit], LIST)
    note(_told(totals(rows)))


async def _installation(config: Config) -> str | None:
    url = config.nats.url or DataDirectory(config.data).live_url()
    if url is None:
        return None
    async with connection(config, url, role="reader") as nc:
        return (await info(nc, FACTS)).installation


def _told(found: dict[str, Any]) -> str:
    """Return the totals as a sentence."""
    told = "{schedules} schedules: {enabled} enabled, {disabled} disabled".format(**found)
    if not found["enabled"]:
        return told
    mean, due = format_duration(round(found["mean_interval_seconds"])), found["next_due_at"]
    told += f", {found['running']} running; every {mean} on average"
    return f"{told}; next {moment(due)}" if due else told
