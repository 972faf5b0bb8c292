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
from services.projector.status import status as told

COLUMNS = (
    Column("STREAM", lambda row: row["stream"], style="cyan"),
    Column("LAST", lambda row: _number(row["last_seq"]), right=True),
    Column("FOLDED", lambda row: _number(row["folded"]), right=True),
    Column("LAG", lambda row: _number(row["lag"]), right=True),
)
STOPPED = "not running; start it with `modelog up`"


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
        _write(gathered)


async def _gathered(config: Config) -> dict[str, Any]:
    directory = DataDirectory(config.data)
    last = await _streams(config, directory) or {}
    url = last.pop("url", None)
    try:
        with Catalogue.open(directory.catalogue) as opened:
            return told(opened, directory.path, url, last)
    except NoCatalogue:
        return told(None, directory.path, url, last)


async def _streams(config: Config, directory: DataDirectory) -> dict[str, Any] | None:
    """Return the URL of the running server and the last sequence of each stream it has."""
    url = config.nats.url or directory.live_url()
    if url is None:
        return None
    found: dict[str, Any] = {"url": url}
    try:
        async with connection(config, url, role="reader") as nc:
            for name in STREAMS:
                try:
                    found[name] = (await info(nc, name, deadline=2.0)).last_seq
                except (NoStream, NoAnswer):
                    found[name] = None
    except NoServer:
        return None
    return found


def _write(told: dict[str, Any]) -> None:
    server, kept = told["server"], told["catalogue"]
    write_record(
        [
            ("data", _shown(told["data"])),
            (
                "server",
                f"{server['url']}, running"
                if server
                else "not running; start it with `modelog up`",
            ),
            ("catalogue", _file(kept) if kept else "none yet"),
        ]
    )
    write("\n")
    write_table(told["streams"], COLUMNS)
    if kept is None:
        return
    write("\n")
    providers, models = told["providers"], told["models"]
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in providers["outcomes"].items())
    write_record(
        [
            ("providers", f"{providers['registered']}: {outcomes or 'none registered'}"),
            ("failing", " ".join(providers["failing"])),
            ("refreshes", _told(told["refreshes"])),
            ("models", f"{models['listed']:,} listed, {models['missing']:,} missing"),
            ("unknown events", told["unknown_events"] or None),
        ]
    )


def _told(hits: dict[str, Any]) -> str | None:
    if not hits["succeeded"]:
        return None
    return f"{hits['succeeded']:,} succeeded, {hits['hit_rate']:.0%} of them unchanged"


def _file(kept: dict[str, Any]) -> str:
    return f"{_shown(kept['path'])} ({kept['file']}, {kept['bytes'] / 1e6:.1f} MB)"


def _shown(path: str) -> str:
    """Return *path* as one would type it here."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
