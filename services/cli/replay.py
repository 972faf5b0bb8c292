"""Replay: a catalogue from the log, as it was at a moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from events.base import Instant
from events.subjects import FACTS
from services import clock
from services.cli.failures import ABSENT, FAILED, Refusal
from services.cli.log import log_server, sequence_at
from services.cli.options import ConfigFile, DataDir, settings, when
from services.cli.output import progress, write
from services.config import Config
from services.jetstream.read import info
from services.projector.replay import replay as fold


def replay(
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The catalogue to write.")],
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="TIME|SEQ", help="As it was then; default: all of the log."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE where it exists.")] = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Build a catalogue from the log, as it was at a moment.

    FILE is a whole catalogue: open it with sqlite3, Datasette or, as DIR/catalogue.db, with
    --data DIR.
    """
    if to.exists() and not force:
        raise Refusal(f"{to} exists; name another file, or overwrite it with --force", FAILED)
    write(asyncio.run(_replayed(settings(config, data), to, when(until, "--until"))) + "\n")


async def _replayed(config: Config, to: Path, until: int | Instant | None) -> str:
    began = clock.system().monotonic()
    async with log_server(config, role="projector") as (nc, _):
        last = (await info(nc, FACTS)).last_seq
        seq = last if until is None else await sequence_at(nc, until)
        if seq > last:
            raise Refusal(f"--until: the log ends at sequence {last}, before {seq}", ABSENT)
        with progress("replay") as advance:
            report = await fold(nc, to, seq, advance)
    seconds = clock.system().monotonic() - began
    rate = report.events / seconds
    return f"{to}: {report.events:,} events in {seconds:.1f} s ({rate:,.0f}/s), at sequence {seq}"
