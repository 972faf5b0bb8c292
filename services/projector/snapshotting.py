"""Snapshots of the catalogue: a projector on another machine begins with one, and not with nothing.

A snapshot is a convenience: where none fits, or one is damaged, the log is replayed, and where none
can be stored, that is said, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from events.subjects import STREAMS
from projections import checkpoint, database
from projections.checkpoint import Checkpoint
from projections.fold import PROJECTION
from projections.generations import delete, number, numbered, serving
from projections.reader import open_reader
from projections.upkeep import wrong
from projections.verify import Unsound, copied
from services.clock import Clock
from services.jetstream.api import ApiError, NoAnswer
from services.jetstream.connect import Client
from services.jetstream.history import HistoryChanged, Mark, confirm
from services.jetstream.snapshots import CHUNK, BadSnapshot, Snapshot, fetch, snapshots, store
from services.logs import say

EVERY_EVENTS = 20_000
EVERY_SECONDS = 86_400.0
LOOK_SECONDS = 10.0
AGAIN_SECONDS = 900.0
"""How long after one that failed the next is tried."""
ROOM = 2
"""Times the size of the catalogue that its disk must have free for a copy."""
_GZIP = 31
_CHECKPOINTS = "checkpoints"
_PROJECTION = "projection"

Checkpoints = dict[str, Checkpoint]
_decode = msgspec.json.Decoder(Checkpoints).decode


async def restored(nc: Client, link: Path) -> database.Generation | None:
    """Begin with the newest snapshot that fits where nothing serves at *link*.

    It serves when it has caught up. A snapshot fits where this projection made it, and the log goes
    on from its checkpoints; where none does, None, and the log is replayed.
    """
    if _there(link):
        return None
    try:
        for snapshot in await snapshots(nc):
            taken = await _misfit(nc, snapshot) or await _taken(nc, snapshot, link)
            if not isinstance(taken, str):
                say("snapshot", name=snapshot.name, bytes=snapshot.size, **_seqs(snapshot))
                return taken
            say("snapshot passed over", name=snapshot.name, why=taken, level=logging.WARNING)
    except (NoAnswer, ApiError) as error:
        say("snapshot passed over", why=str(error), level=logging.WARNING)
    return None


def _there(link: Path) -> bool:
    """Tell whether something serves, or lies in the way."""
    return link.exists() or (os.path.lexists(link) and serving(link) is None)


async def _misfit(nc: Client, snapshot: Snapshot) -> str:
    """Return why the log cannot be followed from *snapshot*, nothing where it can."""
    projection = snapshot.metadata.get(_PROJECTION)
    if projection != str(PROJECTION):
        return f"it is of projection {projection}, not {PROJECTION}"
    try:
        at = _checkpoints(snapshot)
        for stream in STREAMS:
            await confirm(nc, stream, at[stream].epoch, Mark(at[stream].seq, at[stream].event_id))
    except (HistoryChanged, KeyError, msgspec.DecodeError) as error:
        return str(error)
    return ""


async def _taken(nc: Client, snapshot: Snapshot, link: Path) -> database.Generation | str:
    """Return the generation that *snapshot* makes at *link*, or why it makes none."""
    link.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".snapshot.", dir=link.parent) as folder:
        path = Path(folder) / "catalogue.db"
        try:
            await _unpacked(nc, snapshot, path)
            if await asyncio.to_thread(_read, path) != _checkpoints(snapshot):
                return "its checkpoints are not those that it was stored with"
        except (BadSnapshot, zlib.error, database.NotACatalogue, sqlite3.Error, OSError) as error:
            return str(error)
        target = numbered(link, number(serving(link)) + 1)
        delete(target)
        path.replace(target)
    return database.adopt(link, target)


async def _unpacked(nc: Client, snapshot: Snapshot, path: Path) -> None:
    """Write the bytes of *snapshot*: one part is written while the next one is unpacked."""
    unpack = zlib.decompressobj(_GZIP)
    with path.open("wb") as file:
        writing = asyncio.create_task(asyncio.to_thread(file.write, b""))
        try:
            async for chunk in fetch(nc, snapshot):
                part = await asyncio.to_thread(unpack.decompress, chunk)
                await writing
                writing = asyncio.create_task(asyncio.to_thread(file.write, part))
        finally:
            await writing
        file.write(unpack.flush())
    if not unpack.eof:
        raise BadSnapshot(f"{snapshot.name} is no whole gzip file")


def _read(path: Path) -> Checkpoints:
    with closing(open_reader(path)) as db:
        return checkpoint.read(db)


async def snapshot(nc: Client, link: Path, clock: Clock) -> Snapshot:
    """Store the catalogue as it is now; in constant memory, beside whoever writes it.

    Raises NoCatalogue, NotACatalogue, Unsound, OSError, NoAnswer and ApiError.
    """
    _room(link)
    with TemporaryDirectory(prefix=".snapshot.", dir=link.parent) as folder:
        copy = Path(folder) / "catalogue.db"
        await asyncio.to_thread(copied, link, copy)
        at = await asyncio.to_thread(_read, copy)
        await asyncio.to_thread(_sound, copy)
        metadata = {_PROJECTION: str(PROJECTION), _CHECKPOINTS: msgspec.json.encode(at).decode()}
        return await store(nc, _apart(_packed(copy)), metadata, clock.now())


def _sound(path: Path) -> None:
    """Look at every page, for whoever begins with it; raises Unsound."""
    with closing(open_reader(path)) as db:
        if why := wrong(db):
            raise Unsound(f"the catalogue is damaged: {why}")


def _room(link: Path) -> None:
    size, free = link.stat().st_size, shutil.disk_usage(link.parent).free
    if free < ROOM * size:
        raise OSError(f"{link.parent} has {free:,} bytes free; a copy takes up to {ROOM * size:,}")


async def _apart(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Make each chunk in a thread."""
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk


def _packed(path: Path) -> Iterator[bytes]:
    pack, waiting = zlib.compressobj(1, wbits=_GZIP), bytearray()
    with path.open("rb") as file:
        while part := file.read(4 * CHUNK):
            waiting += pack.compress(part)
            while len(waiting) >= CHUNK:
                yield bytes(waiting[:CHUNK])
                del waiting[:CHUNK]
    waiting += pack.flush()
    for start in range(0, len(waiting), CHUNK):
        yield bytes(waiting[start : start + CHUNK])


class _Due:
    """When the next snapshot is to be made: after so many events, so long, or a rebuild."""

    def __init__(self, link: Path, clock: Clock, every: int, every_seconds: float) -> None:
        self._link = link
        self._clock = clock
        self._every = every
        self._every_seconds = every_seconds
        self._stored = 0
        self._generation = serving(link)
        self._made_at = clock.monotonic()
        self._not_before = self._made_at

    def known(self, newest: Snapshot | None) -> None:
        """Count from what the bucket has, if this projection made it."""
        if newest is not None and newest.metadata.get(_PROJECTION) == str(PROJECTION):
            self._stored = sum(one.seq for one in _checkpoints(newest).values())

    def now(self) -> bool:
        """Tell whether one is due, of a generation that readers can use."""
        if self._clock.monotonic() < self._not_before:
            return False
        try:
            with closing(open_reader(self._link)) as db:
                events = sum(one.seq for one in checkpoint.read(db).values())
        except (database.NoCatalogue, database.NotACatalogue, sqlite3.Error):
            return False
        new = events - self._stored
        late = self._clock.monotonic() - self._made_at >= self._every_seconds
        rebuilt = serving(self._link) != self._generation and events >= self._every
        return new >= self._every or (late and new > 0) or rebuilt

    def made(self, one: Snapshot) -> None:
        """Count from here on."""
        self.known(one)
        self._generation = serving(self._link)
        self._made_at = self._clock.monotonic()

    def failed(self) -> None:
        """Try again later."""
        self._not_before = self._clock.monotonic() + AGAIN_SECONDS


@asynccontextmanager
async def snapshotting(  # noqa: PLR0913 - one argument a choice
    nc: Client,
    link: Path,
    clock: Clock,
    *,
    every: int = EVERY_EVENTS,
    every_seconds: float = EVERY_SECONDS,
    look_seconds: float = LOOK_SECONDS,
) -> AsyncIterator[None]:
    """Store snapshots within the block, every so many events or seconds, and after a rebuild."""
    due = _Due(link, clock, every, every_seconds)
    task = asyncio.create_task(_keep(nc, link, clock, due, look_seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def _keep(nc: Client, link: Path, clock: Clock, due: _Due, look_seconds: float) -> None:
    known = False
    while True:
        try:
            if not known:
                due.known(next(iter(await snapshots(nc)), None))
                known = True
            if await asyncio.to_thread(due.now):
                made = await snapshot(nc, link, clock)
                due.made(made)
                say("snapshot stored", name=made.name, bytes=made.size, **_seqs(made))
        except (
            NoAnswer,
            ApiError,
            OSError,
            Unsound,
            database.NoCatalogue,
            database.NotACatalogue,
            msgspec.DecodeError,
        ) as error:
            say("no snapshot", level=logging.WARNING, error=str(error))
            due.failed()
        await asyncio.sleep(look_seconds)


def _checkpoints(snapshot: Snapshot) -> Checkpoints:
    return _decode(snapshot.metadata.get(_CHECKPOINTS, ""))


def _seqs(snapshot: Snapshot) -> dict[str, int]:
    return {stream: one.seq for stream, one in _checkpoints(snapshot).items()}
