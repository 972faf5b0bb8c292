"""Backup and restore: the log as a file, and from files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from events.subjects import AUDIT, FACTS
from services import clock
from services.cli.failures import ABSENT, Refusal
from services.cli.log import log_server
from services.cli.options import ConfigFile, DataDir, settings
from services.cli.output import progress, write
from services.config import Config
from services.directory import DataDirectory
from services.jetstream.backup import BeyondLog
from services.jetstream.backup import backup as save
from services.jetstream.lines import Extent
from services.jetstream.restore import restore as put_back
from services.jetstream.sources import Plan, examined


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    *,
    since: Annotated[
        int,
        typer.Option(
            "--since",
            metavar="SEQ",
            min=0,
            help="Only what follows this sequence: the end of an earlier backup.",
        ),
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE where it exists.")] = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Copy the log into a file.

    Facts and audit trail as compressed JSON lines, chained by hashes. Nothing need be stopped: the
    file holds what was in the log when the command began.
    """
    write(asyncio.run(_saved(settings(config, data), file, since, force=force)) + "\n")


async def _saved(config: Config, file: Path, since: int, *, force: bool) -> str:
    system = clock.system()
    began = system.monotonic()
    async with log_server(config, role="reader") as (nc, _):
        with progress("backup") as advance:
            try:
                report = await save(
                    nc, file, since=since, force=force, at=system.now(), advance=advance
                )
            except BeyondLog as error:
                raise Refusal(str(error), ABSENT) from error
    held = [f"{name} {_range(report.extents[stream])}" for name, stream in _NAMES]
    spent = _spent(report.events, system.monotonic() - began)
    last = report.extents[FACTS].last
    return f"{file}: {spent}, {', '.join(held)}; the next one: --since {last}"


_NAMES = (("facts", FACTS), ("audit", AUDIT))


def _range(extent: Extent) -> str:
    if extent.last == extent.after:
        return "none"
    return f"{extent.after + 1} to {extent.last}"


def _spent(events: int, seconds: float) -> str:
    return f"{events:,} events in {seconds:.1f} s ({events / seconds:,.0f}/s)"


def restore(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="A backup and those that go on from it, in order; or a directory of segments.",
        ),
    ],
    *,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Put a log back into an empty directory or server.

    All files are checked before anything is written. Sequences, ids and times stay as they were.
    """
    found = settings(config, data)
    with progress("check") as advance:
        plan = examined(files, advance)
    write(asyncio.run(_put_back(found, plan)) + "\n")


async def _put_back(config: Config, plan: Plan) -> str:
    system = clock.system()
    began = system.monotonic()
    directory = DataDirectory(config.data)
    where = config.nats.url or str(directory.nats_store)
    async with log_server(config, role="restore", create=True) as (nc, server):
        with progress("restore") as advance:
            report = await put_back(
                nc,
                plan,
                where=where,
                replicas=config.nats.replicas,
                audit_max_age=config.nats.audit_max_age,
                monitor_url=server.monitor_url if server else config.nats.monitor_url,
                advance=advance,
            )
    spent = _spent(report.events, system.monotonic() - began)
    ends = ", ".join(f"{name} up to {report.seqs[stream]}" for name, stream in _NAMES)
    return f"{where}: {spent}, {ends}; the catalogue follows with `modelog up`"
