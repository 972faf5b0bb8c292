"""Backups and logs to compare: what a stream holds, and files as they ought not to be."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

from events import chain
from events.envelope import MESSAGE_ID, Stored
from events.subjects import AUDIT, FACTS, STREAMS
from services.jetstream import lines
from services.jetstream.archive import Writer, compressed, written
from services.jetstream.backup import Report, backup
from services.jetstream.connect import Client
from services.jetstream.lines import Extent, Header
from services.jetstream.messages import RECORDED, WHOLE
from services.jetstream.read import pages
from services.jetstream.restore import Report as Restored
from services.jetstream.restore import restore
from services.jetstream.sources import examined

AT = "2026-04-01T00:00:00.000Z"
SECOND = 1_000_000_000


def silent(done: int, total: int) -> None:
    """Hear of progress, and say nothing."""
    assert done <= total


async def saved(nc: Client, path: Path, since: int = 0) -> Report:
    return await backup(nc, path, since=since, at=AT, advance=silent)


async def put_back(nc: Client, *paths: Path) -> Restored:
    return await restore(nc, examined(paths, silent), where="here", advance=silent)


async def held(nc: Client) -> dict[str, list[Stored]]:
    """Return what both streams hold."""
    return {
        stream: [
            stored
            async for page in pages(nc, stream, after=0, filter=WHOLE[stream])
            for stored in page
        ]
        for stream in STREAMS
    }


def content(log: dict[str, list[Stored]]) -> dict[str, list[tuple[object, ...]]]:
    """Return what a restored log has in common with the one it was: all but how it was sent."""
    return {stream: [_content(one) for one in found] for stream, found in log.items()}


def _content(one: Stored) -> tuple[object, ...]:
    told = {k: v for k, v in one.headers.items() if not k.startswith("Nats-") and k != RECORDED}
    return one.seq, one.subject, one.recorded_ns, one.headers.get(MESSAGE_ID), told, one.payload


def batches(found: Sequence[Stored]) -> list[int]:
    """Return the last sequence of each batch."""
    return [one.seq for one in found if "Nats-Batch-Commit" in one.headers]


def audit_events(first: int, last: int, *, ids: int | None = None) -> list[Stored]:
    """Audit events of no batch; with *ids* there are only so many different ids."""
    found: list[Stored] = []
    for seq in range(first, last + 1):
        id_ = f"id-{seq % ids if ids else seq}"
        headers = {MESSAGE_ID: id_, "ce-id": id_, "ce-time": AT}
        found.append(Stored(seq, "audit.refresh.acme.started", seq * SECOND, headers, b"{}"))
    return found


def archived(  # noqa: PLR0913 - what an archive says of itself
    path: Path,
    facts: Sequence[Stored] = (),
    audit: Sequence[Stored] = (),
    *,
    after: int = 0,
    anchor: str | None = None,
    installation: str = "one",
) -> Path:
    """Write a backup that holds what is given; *after* and *anchor* are those of the audit."""
    extents = [
        Extent(FACTS, 0, len(facts), chain.start(FACTS).hex()),
        Extent(AUDIT, after, audit[-1].seq if audit else after, chain.start(AUDIT).hex(), anchor),
    ]
    header = Header(lines.FORMAT, lines.VERSION, installation, "e", AT, 10, extents)
    with written(path, force=True) as file, compressed(file) as packed:
        writer = Writer(packed, header)
        for stream, events in ((FACTS, facts), (AUDIT, audit)):
            for one in events:
                writer.add(stream, one)
        writer.end()
    return path


def lines_of(path: Path) -> list[bytes]:
    with gzip.open(path, "rb") as file:
        return file.readlines()


def packed(path: Path, found: Sequence[bytes]) -> Path:
    """Compress *found* as a backup is compressed."""
    with path.open("wb") as file, compressed(file) as into:
        into.writelines(found)
    return path
