"""Snapshots: large files in an object store of JetStream, the newest two, each whole or refused.

This is the protocol of NATS object stores (ADR-20), so that other clients read what is here. The
layer of nats-py over it asks for streams by their subjects, which no service may, waits for ever on
a chunk that is gone, and stores one twice whose acknowledgement was lost.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from events.base import Instant
from events.envelope import MESSAGE_ID
from services.clock import new_id
from services.jetstream.api import NO_STREAM, ApiError, NoAnswer, ask, exchange
from services.jetstream.connect import Client
from services.jetstream.messages import last_message
from services.jetstream.read import pages
from services.jetstream.streams import SNAPSHOTS

STREAM = f"OBJ_{SNAPSHOTS}"
CHUNK = 128 * 1024
KEPT = 2
ATTEMPTS = 5
ABANDONED_NS = 3_600_000_000_000
"""Chunks of this age that no object names are what a killed writer left."""
_CHUNKS = f"$O.{SNAPSHOTS}.C."
_METAS = f"$O.{SNAPSHOTS}.M."
_DIGEST = "SHA-256="


class BadSnapshot(Exception):
    """An object that is not whole, or not as it was written."""


class Snapshot(msgspec.Struct, frozen=True):
    """One object: what it is called, how large it is, and what its writer says of it."""

    name: str
    nuid: str
    size: int
    chunks: int
    digest: str
    mtime: Instant
    metadata: dict[str, str] = {}
    bucket: str = SNAPSHOTS
    options: dict[str, int] = msgspec.field(default_factory=lambda: {"max_chunk_size": CHUNK})


async def snapshots(nc: Client) -> list[Snapshot]:
    """Return the objects that are there, the newest first; none where there is no bucket.

    Raises NoAnswer and ApiError.
    """
    return [one for one, _ in await _listed(nc)]


async def store(
    nc: Client, chunks: AsyncIterator[bytes], metadata: Mapping[str, str], at: Instant
) -> Snapshot:
    """Store what *chunks* yields as a new object, which is there when its last byte is.

    Of the older ones only so many stay that there are never more than `KEPT`. Raises NoAnswer and
    ApiError, and leaves no object then.
    """
    await prune(nc, KEPT - 1)
    nuid, size, count, digest = new_id(), 0, 0, sha256()
    subject = _CHUNKS + nuid
    try:
        async for chunk in chunks:
            await _publish(nc, subject, chunk, {MESSAGE_ID: f"{nuid}-{count}"})
            digest.update(chunk)
            size, count = size + len(chunk), count + 1
        told = _DIGEST + urlsafe_b64encode(digest.digest()).decode()
        made = Snapshot(f"catalogue-{nuid}", nuid, size, count, told, at, dict(metadata))
        headers = {"Nats-Rollup": "sub", MESSAGE_ID: nuid}
        await _publish(nc, _meta(made), msgspec.json.encode(made), headers)
    except BaseException:
        await _purge(nc, subject)
        raise
    return made


async def fetch(nc: Client, snapshot: Snapshot) -> AsyncIterator[bytes]:
    """Yield the bytes of *snapshot*; whoever takes them all knows that they are as written.

    Raises BadSnapshot otherwise, NoAnswer and ApiError.
    """
    size, count, digest = 0, 0, sha256()
    async for page in pages(nc, STREAM, after=0, filter=_CHUNKS + snapshot.nuid):
        for stored in page:
            digest.update(stored.payload)
            size, count = size + len(stored.payload), count + 1
            if size > snapshot.size:
                raise BadSnapshot(f"{snapshot.name} is longer than it was")
            yield stored.payload
    if (size, count) != (snapshot.size, snapshot.chunks):
        raise BadSnapshot(f"{snapshot.name} lacks {snapshot.size - size} of {snapshot.size} bytes")
    if _DIGEST + urlsafe_b64encode(digest.digest()).decode() != snapshot.digest:
        raise BadSnapshot(f"{snapshot.name} is not as it was written")


async def prune(nc: Client, kept: int = KEPT) -> None:
    """Remove all but the newest *kept* objects, and what writers left that were killed.

    Raises NoAnswer and ApiError.
    """
    found = await _listed(nc)
    for one, _ in found[kept:]:
        await _purge(nc, _meta(one))
        await _purge(nc, _CHUNKS + one.nuid)
    if not found:
        return
    known = {_CHUNKS + one.nuid for one, _ in found}
    for subject in await _subjects(nc, f"{_CHUNKS}*"):
        last = await last_message(nc, STREAM, subject) if subject not in known else None
        if last is not None and last.recorded_ns < found[0][1] - ABANDONED_NS:
            await _purge(nc, subject)


async def _listed(nc: Client) -> list[tuple[Snapshot, int]]:
    """Return every object, and the server's time when it was written, newest first."""
    found: list[tuple[int, Snapshot, int]] = []
    for subject in await _subjects(nc, f"{_METAS}*"):
        stored = await last_message(nc, STREAM, subject)
        if stored is None:
            continue
        try:
            one = msgspec.json.decode(stored.payload, type=Snapshot)
        except msgspec.DecodeError:
            continue  # another program's, or the mark of a removed one
        found.append((stored.seq, one, stored.recorded_ns))
    return [(one, at) for _, one, at in sorted(found, key=lambda row: row[0], reverse=True)]


async def _subjects(nc: Client, pattern: str) -> list[str]:
    try:
        answer = await ask(nc, f"STREAM.INFO.{STREAM}", {"subjects_filter": pattern})
    except ApiError as error:
        if error.err_code == NO_STREAM:
            return []
        raise
    return sorted(answer["state"].get("subjects") or {})


async def _publish(nc: Client, subject: str, payload: bytes, headers: dict[str, str]) -> None:
    """Publish until it is acknowledged: under the same id it is stored once."""
    for _ in range(ATTEMPTS):
        answer = await exchange(nc, subject, payload, headers=dict(headers))
        if answer is None:
            continue
        reply: dict[str, Any] = msgspec.json.decode(answer.data)
        if error := reply.get("error"):
            described = error.get("description", "refused")
            raise ApiError(subject, error.get("code", 0), error.get("err_code", 0), described)
        return
    raise NoAnswer(f"no acknowledgement of {subject}")


async def _purge(nc: Client, subject: str) -> None:
    await ask(nc, f"STREAM.PURGE.{STREAM}", {"filter": subject})


def _meta(snapshot: Snapshot) -> str:
    return _METAS + urlsafe_b64encode(snapshot.name.encode()).decode()
