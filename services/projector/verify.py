"""Verify: both streams read whole, folded anew, and compared with the catalogue that serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from events.subjects import AUDIT, STREAMS
from projections import checkpoint, database
from projections.checkpoint import Checkpoint
from projections.fold import PROJECTION, Folder
from projections.verify import Ids, Unsound, copied, differences, incomparable, sound
from services.jetstream.api import NoStream
from services.jetstream.connect import Client
from services.jetstream.history import Mark
from services.jetstream.messages import StreamInfo, info
from services.jetstream.verify import (
    MANY,
    REBUILD,
    RESTORE,
    Finding,
    beginning,
    known_again,
    whole,
)
from services.projector.beside import Segments
from services.projector.differing import row
from services.projector.examine import Examined

Advance = Callable[[int, int], None]
"""Told how many events of how many are read."""
PATIENCE_SECONDS = 2.0
"""How long the rest of a batch may take that was just being stored."""


class Read(msgspec.Struct, frozen=True):
    """How far a stream was read, and how far the catalogue had folded it."""

    epoch: str
    first_seq: int
    last_seq: int
    checkpoint: int | None = None


class Report(msgspec.Struct, frozen=True):
    """What was found; *unproven* says what nothing could be said of, and why.

    *segments* is how many were compared.
    """

    findings: list[Finding]
    unproven: list[str]
    events: int
    streams: dict[str, Read]
    segments: int = 0


async def verify(
    nc: Client, link: Path, scratch: Path, advance: Advance, segments: Path | None = None
) -> Report:
    """Read the whole log, fold it anew up to where the catalogue at *link* is, and compare.

    Also with the *segments* in a directory, where one is given. All may go on meanwhile. *scratch*
    is where a fresh catalogue has room for a while. Raises NoAnswer.
    """
    with TemporaryDirectory(prefix=".verify.", dir=scratch) as folder, ExitStack() as stack:
        run = _Run(nc, Path(folder), advance)
        await run.catalogue(link)
        if segments is not None:
            await run.segments(segments)
        ids = stack.enter_context(closing(Ids(Path(folder) / "ids.db")))
        await run.streams(ids)
        await run.compare()
        return run.report()


class _Run:
    """One verification: what is known of the catalogue, then of the streams, then of both."""

    def __init__(self, nc: Client, folder: Path, advance: Advance) -> None:
        self._nc = nc
        self._copy = folder / "copy.db"
        self._fresh = folder / "fresh" / "catalogue.db"
        self._advance = advance
        self._findings: list[Finding] = []
        self._unproven: list[str] = []
        self._marks: dict[str, Checkpoint] = {}
        self._states: dict[str, StreamInfo] = {}
        self._folded: set[str] = set()
        self._events = 0
        self._segments: Segments | None = None
        self._compared_segments = 0

    async def segments(self, folder: Path) -> None:
        """Read what segments there are, before the streams, which are at least as far."""
        self._segments = await asyncio.to_thread(Segments, folder)
        self._findings += self._segments.told

    async def catalogue(self, link: Path) -> None:
        """Copy what serves, first: the streams are at least as far."""
        try:
            await asyncio.to_thread(copied, link, self._copy)
            await asyncio.to_thread(sound, self._copy)
            with closing(database.connect(self._copy, "ro")) as db:
                version = database.version_of(link, db)
                self._marks = checkpoint.read(db)
        except database.NoCatalogue:
            self._unproven.append(f"no catalogue at {link}: only the log was read")
            return
        except (Unsound, database.NotACatalogue) as error:
            self._damaged(link, str(error))
            return
        if version != PROJECTION:
            self._marks = {}
            text = f"the catalogue is of version {version}, not {PROJECTION}: it was not compared"
            self._unproven.append(f"{text}; the projector makes a new one at its next start")

    def _damaged(self, link: Path, why: str) -> None:
        text = f"{link} is damaged: {why}"
        self._findings.append(Finding(kind="catalogue", message=text, remedy=REBUILD))

    async def streams(self, ids: Ids) -> None:
        """Read every stream whole; fold it as far as the catalogue has."""
        for stream in STREAMS:
            try:
                self._states[stream] = await info(self._nc, stream)
            except NoStream:
                text = f"there is no stream {stream}"
                gone = Finding(kind="gone", stream=stream, message=text, remedy=RESTORE)
                self._findings.append(gone)
        generation = database.open_writer(self._fresh)
        try:
            epochs = {stream: mark.epoch for stream, mark in self._marks.items()}
            folder = Folder(generation.db, epochs)
            for stream, state in self._states.items():
                await self._stream(stream, state, folder, ids)
            database.settle(generation.db)
            generation.serve()
        finally:
            generation.close()

    async def _stream(self, stream: str, state: StreamInfo, folder: Folder, ids: Ids) -> None:
        told: list[Finding] = []
        mark = self._marks.get(stream)
        if mark is not None:
            at = Mark(mark.seq, mark.event_id)
            if wrong := await known_again(self._nc, stream, state, mark.epoch, at):
                told.append(wrong)
        examined = Examined(stream, folder, mark, ids, told.append)
        beside = None if self._segments is None else self._segments.beside(stream, state)
        total = sum(one.last_seq - max(one.first_seq, 1) + 1 for one in self._states.values())
        async for page in whole(
            self._nc, stream, beginning(stream, state), state.last_seq, told.append
        ):
            examined.take(page)
            if beside is not None:
                beside.take(page)
            self._events += len(page)
            self._advance(min(self._events, total), total)
            if len(told) >= MANY:
                self._unproven.append(f"{stream}: there is more wrong behind {page[-1].seq}")
                break
        else:
            await self._ending(examined, state.last_seq)
            if beside is not None:
                await beside.tell(self._nc, state, told.append)
                self._compared_segments += beside.compared
        if mark is not None and examined.follows and not told:
            self._folded.add(stream)
        self._findings += told

    async def _ending(self, examined: Examined, last: int) -> None:
        """Wait for the end of a batch that was just being stored."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_SECONDS
        while examined.open and loop.time() < end:
            now = (await info(self._nc, examined.stream)).last_seq
            async for page in whole(self._nc, examined.stream, last, now, examined.tell):
                examined.take(page)
                last = page[-1].seq
            await asyncio.sleep(0.05)
        examined.end()

    async def compare(self) -> None:
        """Compare checkpoints and tables, where both streams could be folded."""
        if not self._marks:
            return
        if self._folded != set(self._marks):
            broken = ", ".join(sorted(set(self._marks) - self._folded))
            self._unproven.append(f"the catalogue was not compared: {broken} cannot be folded")
            return
        begins = max(1, self._states[AUDIT].first_seq)
        try:
            await asyncio.to_thread(self._compared, begins)
        except Unsound as error:  # pragma: no cover - `sound` has read it all
            self._damaged(self._copy, str(error))

    def _compared(self, begins: int) -> None:
        with closing(database.connect(self._fresh, "ro")) as db:
            fresh = checkpoint.read(db)
        for stream, mark in self._marks.items():
            if fresh[stream].rolling_hash == mark.rolling_hash:
                continue
            if stream == AUDIT and begins > 1:
                text = f"{stream}: begins at sequence {begins}, so its hash proves nothing"
                self._unproven.append(text)
                continue
            text = (
                f"{stream}: the hash at sequence {mark.seq} is not the catalogue's: what was folded"
                " up to there is not what the stream has now"
            )
            self._findings.append(
                Finding(kind="history", stream=stream, seq=mark.seq, message=text, remedy=RESTORE)
            )
        if begins > 1 and (tables := incomparable(begins)):
            text = f"{', '.join(tables)}: not compared, for age took the beginning of {AUDIT}"
            self._unproven.append(text)
        altered = bool(self._findings)
        found = differences(self._copy, self._fresh, audit_from=begins)
        self._findings += [row(one, RESTORE if altered else REBUILD) for one in found]

    def report(self) -> Report:
        """Return what came of it."""
        streams = {
            name: Read(
                state.epoch,
                state.first_seq,
                state.last_seq,
                self._marks[name].seq if name in self._marks else None,
            )
            for name, state in self._states.items()
        }
        return Report(
            self._findings, self._unproven, self._events, streams, self._compared_segments
        )
