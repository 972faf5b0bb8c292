"""Cut segments: the log into files of its own, as it grows; a file that is there never changes."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Sequence
from hashlib import file_digest
from pathlib import Path

import msgspec

from events.base import Instant
from events.envelope import MESSAGE_ID, Stored
from events.subjects import STREAMS
from services.jetstream import lines
from services.jetstream.archive import compressed, written
from services.jetstream.connect import Client
from services.jetstream.history import Mark, confirm
from services.jetstream.messages import StreamInfo, info
from services.jetstream.segments import Manifest, messages_of, newest
from services.jetstream.strand import Strand, reading, whole_end

MOST = 10_000
"""Messages of a segment: it ends with their last batch."""
_AT_ONCE = 500
"""Messages that are compressed in one go, in a thread: others go on meanwhile."""


class ForeignSegments(Exception):
    """A directory holds the segments of another log."""


class Cutter:
    """Cuts one stream; `seq` is the last sequence that lies in a segment."""

    def __init__(
        self, nc: Client, folder: Path, log: StreamInfo, stream: str, last: Manifest | None
    ) -> None:
        """Go on behind *last*."""
        self._nc = nc
        self._folder = folder
        self._log = log
        self._stream = stream
        self.last = last

    @property
    def seq(self) -> int:
        """The last sequence that lies in a segment, 0 where there is none."""
        return 0 if self.last is None else self.last.last

    async def pending(self) -> int:
        """Return how many messages lie in no segment yet; raises NoAnswer and ApiError.

        Raises HistoryChanged where the log does not go on from the last segment.
        """
        mark = Mark(0, "") if self.last is None else Mark(self.last.last, self.last.last_id)
        now = await confirm(self._nc, self._stream, self._log.epoch, mark)
        return now.last_seq - max(self.seq, now.first_seq - 1)

    async def cut(self, at: Instant, most: int = MOST) -> Manifest | None:
        """Write the next *most* messages, to the end of their last batch; None where there is none.

        Raises what reading and writing raise; there is no segment then.
        """
        end = await whole_end(self._nc, self._stream)
        aged = (await info(self._nc, self._stream)).first_seq - 1
        begins = self.last is None or aged > self.seq
        after = max(aged, 0) if begins else self.seq
        if end <= after:
            return None
        before = None if begins or self.last is None else bytes.fromhex(self.last.after)
        strand = Strand(self._stream, after, before)
        start = strand.hash
        part = self._folder / self._stream / "next.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            with compressed(file) as packed:
                until = min(end, after + most)
                while strand.seq < until:
                    await self._pack(packed, strand, until)
                    if strand.seq == until and not strand.whole:
                        until += 1
            file.flush()
            os.fsync(file.fileno())
        if strand.first is None or strand.last is None or strand.first.seq != after + 1:
            part.unlink()  # it aged meanwhile: the next one begins anew
            return None
        with part.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        self.last = Manifest(
            self._stream,
            self._log.installation,
            self._log.epoch,
            strand.first.seq,
            strand.seq,
            _id(strand.first),
            _id(strand.last),
            start.hex(),
            strand.hash.hex(),
            digest,
            at,
            begins,
        )
        _publish(self._folder, part, self.last)
        return self.last

    async def _pack(self, packed: gzip.GzipFile, strand: Strand, until: int) -> None:
        some: list[Stored] = []
        async for stored in reading(self._nc, self._stream, after=strand.seq, until=until):
            some.append(stored)
            if len(some) == _AT_ONCE:
                await asyncio.to_thread(_compress, packed, strand, some)
                some = []
        await asyncio.to_thread(_compress, packed, strand, some)


def _compress(packed: gzip.GzipFile, strand: Strand, some: Sequence[Stored]) -> None:
    for stored in some:
        strand.take(stored)
        packed.write(lines.encode(lines.event(strand.stream, stored)))


def _id(stored: Stored) -> str:
    return stored.headers.get(MESSAGE_ID, "")


def _publish(folder: Path, part: Path, manifest: Manifest) -> None:
    """Give the messages their name, and then the manifest, which makes a segment of them."""
    messages = messages_of(folder, manifest)
    part.replace(messages)
    with written(messages.with_name(f"{manifest.name}.json")) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def _tidied(folder: Path) -> dict[str, Manifest]:
    """Delete what is left of a manifest that was not written to its end; return the last ones."""
    for left in folder.glob("*/.*.part"):
        left.unlink(missing_ok=True)
    return newest(folder)


async def cutters(nc: Client, folder: Path) -> list[Cutter]:
    """Return one for each stream, behind the segments that lie in *folder*.

    Raises ForeignSegments, HistoryChanged, archive.BadArchive, and what reading raises.
    """
    last = await asyncio.to_thread(_tidied, folder)
    log = {stream: await info(nc, stream) for stream in STREAMS}
    installation = next(iter(log.values())).installation
    found: list[Cutter] = []
    for stream, state in log.items():
        ours = state._replace(installation=installation)
        one = last.get(stream)
        if one is not None and (one.installation, one.epoch) != (installation, state.epoch):
            raise ForeignSegments(
                f"{folder} holds the segments of another log (installation {one.installation}, "
                f"epoch {one.epoch}; this one: {installation}, {state.epoch}); "
                "name an empty directory with --segments"
            )
        cutter = Cutter(nc, folder, ours, stream, one)
        await cutter.pending()
        found.append(cutter)
    return found
