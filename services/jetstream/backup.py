"""A backup: both streams in one file, up to where they reached when it began."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from events import chain
from events.base import Instant
from events.subjects import AUDIT, FACTS, STREAMS
from services.jetstream import lines
from services.jetstream.archive import CHAIN_EVERY, Writer, compressed, written
from services.jetstream.connect import Client
from services.jetstream.history import audit_at
from services.jetstream.lines import Extent, Header
from services.jetstream.messages import info, message
from services.jetstream.strand import Strand, own, reading, whole_end

MARGIN_SECONDS = 60.0
"""How far the audit events of two backups overlap at least, should the clock have stepped back."""

Advance = Callable[[int, int], None]
"""Told how many messages of how many are done."""


class BeyondLog(Exception):
    """The sequence that a backup is to start behind is not in the log."""


class Report(NamedTuple):
    """What was written: so many messages, of each stream those behind *after* up to *last*."""

    events: int
    extents: dict[str, Extent]


async def backup(  # noqa: PLR0913 - one argument a choice
    nc: Client,
    path: Path,
    *,
    since: int = 0,
    force: bool = False,
    at: Instant,
    advance: Advance,
) -> Report:
    """Write the facts behind *since*, and what audit recorded from then on, to *path*.

    The log may be appended to meanwhile: where the backup ends was fixed when it began. The file
    is there when it is whole. Raises archive.Exists, BeyondLog, strand.OutOfOrder where a batch
    of the log is torn, and what reading raises.
    """
    ends = {stream: await whole_end(nc, stream) for stream in STREAMS}
    if since > ends[FACTS]:
        raise BeyondLog(f"--since: the log ends at sequence {ends[FACTS]}, before {since}")
    total = ends[FACTS] + ends[AUDIT]
    with written(path, force=force) as file, compressed(file) as packed:
        extents = [
            await _facts(nc, since, ends[FACTS], lambda done: advance(done, total)),
            await _audit(nc, since, ends[AUDIT]),
        ]
        which = await info(nc, FACTS)
        writer = Writer(
            packed,
            Header(
                lines.FORMAT,
                lines.VERSION,
                which.installation,
                which.epoch,
                at,
                CHAIN_EVERY,
                extents,
            ),
        )
        done = since
        for extent in extents:
            async for stored in reading(nc, extent.stream, after=extent.after, until=extent.last):
                writer.add(extent.stream, stored)
                done += 1
                if done % CHAIN_EVERY == 0:
                    advance(done, total)
        writer.end()
    events = sum(strand.count for strand in writer.strands.values())
    return Report(events, {extent.stream: extent for extent in extents})


async def _facts(nc: Client, since: int, last: int, advance: Callable[[int], None]) -> Extent:
    """Return what is written of the facts; their hash at *since* is computed from the first one."""
    strand = Strand(FACTS)
    async for stored in reading(nc, FACTS, after=0, until=since):
        strand.take(stored)
        if strand.count % CHAIN_EVERY == 0:
            advance(strand.count)
    anchor = strand.anchor
    return Extent(
        FACTS, since, last, anchor.rolling.hex(), None if anchor.own is None else anchor.own.hex()
    )


async def _audit(nc: Client, since: int, last: int) -> Extent:
    """Return what is written of the audit events; each file begins their hash anew."""
    after = max(0, (await info(nc, AUDIT)).first_seq - 1)
    if since:
        after = max(after, await audit_at(nc, since, margin_seconds=MARGIN_SECONDS))
    there = await message(nc, AUDIT, after) if after else None
    anchor = None if there is None else own(AUDIT, there).hex()
    return Extent(AUDIT, min(after, last), last, chain.start(AUDIT).hex(), anchor)
