"""Status: everything on one screen, with or without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from events.subjects import STREAMS
from projections import Catalogue
from projections.database import NoCatalogue
from services.cli.failures import UNREACHABLE, Refusal
from services.cli.log import connection
from services.cli.options import AsJson, DataDir, settings
from services.cli.output import write, write_object
from services.cli.tables import Column, write_record, write_table
from services.config import Config
from services.directory import DataDirectory
from services.effective import describe
from services.jetstream.connect import NoServer
from services.jetstream.read import NoAnswer, NoStream, info
from services.jetstream.state import living
from services.projector.status import status as told

COLUMNS = (
    Column("STREAM", lambda row: row["stream"], style="cyan"),
    Column("LAST", lambda row: _number(row["last_seq"]), right=True),
    Column("FOLDED", lambda row: _number(row["folded"]), right=True),
    Column("LAG", lambda row: _number(row["lag"]), right=True),
)
AWAY = "cannot be reached; start it, or correct nats.url or MODELOG_NATS_URL"
STOPPED = "not running; start it with `modelog up`"
BEATING = ("refresher", "health-monitor")
"""Processes that tell of their lives."""
LEVELS = ("critical", "high", "medium", "low")


def _number(of: int | None) -> str:
    return "" if of is None else f"{of:,}"


def status(
    *,
    effective: Annotated[
        bool,
        typer.Option("--effective", hidden=True, help="What `--config` without a file means."),
    ] = False,
    as_json: AsJson = False,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            metavar="[FILE]",
            help="The configuration to use; without FILE: print what it amounts to.",
        ),
    ] = None,
    data: DataDir = None,
) -> None:
    """Show everything on one screen.

    Needs no server: what the catalogue knows is shown without one.
    """
    found = settings(Path(config) if config else None, data)
    if effective:
        write_object(describe(found))
        return
    gathered = asyncio.run(_gathered(found))
    if gathered["server"] is None and gathered["catalogue"] is None:
        missing = f"nothing has run on {found.data} yet; start with `modelog up` or `modelog demo`"
        raise Refusal(missing, UNREACHABLE)
    if as_json:
        write_object(gathered)
    else:
        _write(gathered, found.nats.url)


async def _gathered(config: Config) -> dict[str, Any]:
    directory = DataDirectory(config.data)
    away: NoServer | None = None
    try:
        found = await _log(config, directory) or {}
    except NoServer as error:
        found, away = {}, error
    url, alive = found.pop("url", None), found.pop("alive", None)
    try:
        with Catalogue.open(directory.catalogue) as opened:
            return told(opened, directory.path, url, found, alive)
    except NoCatalogue:
        if away is not None and config.nats.url is not None:
            raise away from None
        return told(None, directory.path, url, found, alive)


async def _log(config: Config, directory: DataDirectory) -> dict[str, Any] | None:
    """Return the running server's URL, the last sequence of each stream it has, and who lives."""
    url = config.nats.url or directory.live_url()
    if url is None:
        return None
    found: dict[str, Any] = {"url": url}
    async with connection(config, url, role="reader") as nc:
        for name in STREAMS:
            try:
                found[name] = (await info(nc, name, deadline=2.0)).last_seq
            except (NoStream, NoAnswer):
                found[name] = None
        found["alive"] = {process: await living(nc, process) for process in BEATING}
    return found


def _write(told: dict[str, Any], url: str | None) -> None:
    server, kept = told["server"], told["catalogue"]
    write_record(
        [
            ("data", _shown(told["data"])),
            (
                "server",
                f"{server['url']}, running" if server else f"{url} {AWAY}" if url else STOPPED,
            ),
            ("alive", _alive(told["processes"])),
            ("catalogue", _file(kept) if kept else "none yet"),
        ]
    )
    write("\n")
    write_table(told["streams"], COLUMNS)
    if kept is None:
        return
    write("\n")
    providers, models, health = told["providers"], told["models"], told["health"]
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in providers["outcomes"].items())
    write_record(
        [
            ("providers", f"{providers['registered']}: {outcomes or 'none registered'}"),
            ("failing", " ".join(providers["failing"])),
            ("health", _health(health)),
            ("alerts", _alerts(health)),
            ("refreshes", _told(told["refreshes"])),
            ("models", f"{models['listed']:,} listed, {models['missing']:,} missing"),
            ("unknown events", _unknown(told["unknown_events"])),
        ]
    )


def _alive(counts: dict[str, int | None] | None) -> str | None:
    if counts is None:
        return None
    return ", ".join(
        f"{process}: {'unknown' if count is None else count or 'none'}"
        for process, count in counts.items()
    )


def _health(totals: dict[str, Any]) -> str | None:
    """Return how many providers are how; nothing where none is registered."""
    states = ("healthy", "degraded", "unhealthy", "blocked", "inactive", "stale")
    return ", ".join(f"{totals[state]} {state}" for state in states if totals[state]) or None


def _alerts(totals: dict[str, Any]) -> str:
    by = [f"{totals[f'alerts_{level}']} {level}" for level in LEVELS if totals[f"alerts_{level}"]]
    return f"{totals['open_alerts']} open: {', '.join(by)}" if by else "none open"


def _unknown(count: int) -> str | None:
    """Return how many events wait for a newer version."""
    told = f"{count:,} of a newer version, kept raw until a rebuild by that version"
    return told if count else None


def _told(hits: dict[str, Any]) -> str | None:
    if not hits["succeeded"]:
        return None
    return f"{hits['succeeded']:,} succeeded, {hits['hit_rate']:.0%} of them unchanged"


def _file(kept: dict[str, Any]) -> str:
    wal = f" + {kept['wal_bytes'] / 1e6:.1f} MB wal" if kept["wal_bytes"] else ""
    size = f"{kept['bytes'] / 1e6:.1f} MB{wal}"
    return f"{_shown(kept['path'])} (generation {kept['generation']}, {size})"


def _shown(path: str) -> str:
    """Return *path* as one would type it here."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
