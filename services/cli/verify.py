"""Verify: is the log whole, and the catalogue what the log makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from services import clock
from services.cli.failures import FAILED, Refusal
from services.cli.log import log_server
from services.cli.options import AsJson, ConfigFile, DataDir, settings
from services.cli.output import clean, note, progress, write, write_object
from services.config import Config
from services.directory import DataDirectory
from services.projector.verify import Report
from services.projector.verify import verify as examine


def verify(
    *,
    segments: Annotated[
        Path | None,
        typer.Option("--segments", metavar="DIR", help="Compare the segments there with it, too."),
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Read the log whole, and compare the catalogue with it.

    Exits with 1 where anything is not as it must be, and names the first thing. Runs beside
    everything else; with no server it runs one for as long as it takes.
    """
    report, seconds = asyncio.run(_verified(settings(config, data), segments))
    if as_json:
        write_object({"ok": not report.findings, **msgspec.to_builtins(report)})
    else:
        _tell(report, seconds)
    if report.findings:
        first, more = report.findings[0], len(report.findings) - 1
        also = f" (and {more} more)" if more else ""
        raise Refusal(f"{first.message}{also}; {first.remedy}", FAILED)


async def _verified(config: Config, segments: Path | None) -> tuple[Report, float]:
    began = clock.system().monotonic()
    directory = DataDirectory(config.data)
    async with log_server(config, role="projector") as (nc, _):
        directory.path.mkdir(parents=True, exist_ok=True)
        with progress("verify") as advance:
            report = await examine(nc, directory.catalogue, directory.path, advance, segments)
    return report, clock.system().monotonic() - began


def _tell(report: Report, seconds: float) -> None:
    for text in report.unproven:
        note(clean(text))
    for one in report.findings[1:]:
        note(clean(f"{one.message}; {one.remedy}"))
    if report.findings:
        return
    at = ", ".join(f"{name} to {read.last_seq}" for name, read in report.streams.items())
    rate = report.events / seconds
    compared = any(read.checkpoint is not None for read in report.streams.values())
    beside = f"; {report.segments:,} segments have the same" if report.segments else ""
    equal = "; the catalogue is what it makes" if compared else ""
    write(
        f"the log is whole ({at}; {report.events:,} events in {seconds:.1f} s, {rate:,.0f}/s)"
        f"{equal}{beside}\n"
    )
