"""Rebuild: a new generation of the catalogue beside the one that serves."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from events.requests import Rebuild
from events.subjects import COMMAND
from projections import checkpoint
from projections.database import CannotOpen, connect
from projections.generations import number, numbered, serving
from projections.upkeep import counts
from services import clock
from services.cli.asking import CODES
from services.cli.failures import FAILED, Refusal
from services.cli.log import connection, log_server
from services.cli.options import ConfigFile, DataDir, settings
from services.cli.output import Advance, progress, write
from services.cli.sentences import counted
from services.config import Config
from services.directory import PROJECTOR_LOCK, DataDirectory
from services.jetstream.api import exchange
from services.projector.rebuild import Rebuilt
from services.projector.rebuild import rebuild as build

LOOK_SECONDS = 0.1
ANSWER_SECONDS = 10.0


def rebuild(
    *,
    deadline: Annotated[
        float, typer.Option("--deadline", min=1, metavar="SECONDS", help="Wait no longer for it.")
    ] = 3600.0,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Build the catalogue anew, beside the one in use.

    Readers never see a gap: the new one takes its place when it has caught up. A running projector
    is asked to do it; where none runs, this command does.
    """
    found = settings(config, data)
    began = clock.system().monotonic()
    try:
        built = asyncio.run(asyncio.wait_for(_rebuilt(found), deadline))
    except TimeoutError as error:
        told = f"no new generation within {deadline:g} s; the old one goes on answering"
        raise Refusal(f"{told}, and a running projector goes on building", FAILED) from error
    write(_line(built, clock.system().monotonic() - began) + "\n")


async def _rebuilt(config: Config) -> Rebuilt:
    directory = DataDirectory(config.data)
    with progress("rebuild") as advance:
        url = config.nats.url or directory.live_url()
        if url is not None and (asked := await _asked(config, url)) is not None:
            return await _followed(directory.catalogue, asked, advance)
        async with log_server(config, role="projector") as (nc, _):
            with directory.lock(PROJECTOR_LOCK):
                return await build(nc, directory.catalogue, advance)


async def _asked(config: Config, url: str) -> int | None:
    """Ask the projector, and return which generation it builds; None where none runs."""
    async with connection(config, url, role="operator") as nc:
        payload = msgspec.json.encode(Rebuild())
        answer = await exchange(nc, f"{COMMAND}rebuild", payload, timeout=ANSWER_SECONDS)
    if answer is None:
        return None
    reply = msgspec.json.decode(answer.data)
    if error := reply.get("error"):
        raise Refusal(error["message"], CODES.get(error["code"], FAILED))
    return int(reply["generation"])


async def _followed(link: Path, wanted: int, advance: Advance) -> Rebuilt:
    """Watch generation *wanted* grow until it serves; refuse where it was given up."""
    path, was = numbered(link, wanted), serving(link)
    if was is None or number(was) not in {wanted - 1, wanted}:
        told = f"the projector that answered builds generation {wanted} of another directory"
        raise Refusal(f"{told}; name it with --data", FAILED)
    total = sum(_seqs(was).values())
    while number(serving(link)) < wanted:
        advance(sum(_seqs(path).values()), total)
        if serving(link) == was and not path.exists():
            await asyncio.sleep(LOOK_SECONDS)
            if number(serving(link)) < wanted:
                raise Refusal(
                    f"the projector gave generation {wanted} up; its log lines say why, and "
                    f"{was.name} goes on answering",
                    FAILED,
                )
        await asyncio.sleep(LOOK_SECONDS)
    seqs = _seqs(path)
    with closing(connect(link, "ro")) as db:
        rows = counts(db)
    return Rebuilt(path, sum(seqs.values()), seqs, rows)


def _seqs(path: Path) -> dict[str, int]:
    """Return how far a generation is folded, as far as it can be read."""
    with suppress(CannotOpen, sqlite3.DatabaseError), closing(connect(path, "ro")) as db:
        return {stream: one.seq for stream, one in checkpoint.read(db).items()}
    return {}


def _line(built: Rebuilt, seconds: float) -> str:
    rate = built.events / seconds
    ends = ", ".join(f"{stream} {seq:,}" for stream, seq in sorted(built.seqs.items()))
    return (
        f"{built.path.name}: {built.events:,} events in {seconds:.1f} s ({rate:,.0f}/s), "
        f"{counted(built.rows['models'], 'model')}, at {ends}"
    )
