"""What a log can be restored from: files of `backup`, or a directory of segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from events import chain
from events.envelope import Stored
from events.subjects import AUDIT, FACTS, STREAMS
from services.jetstream import archive, segments
from services.jetstream.archive import BadArchive
from services.jetstream.lines import Extent
from services.jetstream.segments import Manifest
from services.jetstream.strand import Anchor, Strand, own

Events = Iterator[tuple[str, Stored]]
Advance = Callable[[int, int], None]
"""Told how many messages of how many are done."""

LOOK_EVERY = 1_000


class Source(NamedTuple):
    """One file or directory, what its beginning says of it, and the way to read it."""

    path: Path
    installation: str
    extents: Mapping[str, Extent]
    events: Callable[[], Events]


class Plan(NamedTuple):
    """What is to be restored, checked as a whole: of each stream the messages of *strands*.

    A stream is read from the source whose place *begins* has.
    """

    sources: Sequence[Source]
    installation: str
    begins: Mapping[str, int]
    strands: Mapping[str, Strand]

    @property
    def total(self) -> int:
        """Count the messages."""
        return sum(strand.count for strand in self.strands.values())

    def events(self) -> Events:
        """Yield the messages, those of each stream in order; reads and checks all files again."""
        done: dict[str, int] = dict.fromkeys(STREAMS, 0)
        for place, source in enumerate(self.sources):
            for stream, stored in source.events():
                if place >= self.begins[stream] and stored.seq > done[stream]:
                    done[stream] = stored.seq
                    yield stream, stored


def opened(path: Path) -> Source:
    """Read the beginning of *path*; raises BadArchive, and OSError."""
    if path.is_dir():
        return _segmented(path)
    first = archive.header(path)
    extents = {extent.stream: extent for extent in first.streams}
    return Source(path, first.installation, extents, partial(archive.events, path))


def _segmented(folder: Path) -> Source:
    manifests = segments.whole_chain(segments.read_segments(folder))
    if not manifests:
        raise BadArchive(folder, "holds no segments", remedy="name a directory of --segments")
    extents = {stream: _extent(stream, manifests) for stream in STREAMS}
    return Source(folder, manifests[0].installation, extents, partial(_events, folder, manifests))


def _extent(stream: str, manifests: Sequence[Manifest]) -> Extent:
    own_ = [one for one in manifests if one.stream == stream]
    if not own_:
        return Extent(stream, 0, 0, chain.start(stream).hex())
    return Extent(stream, own_[0].first - 1, own_[-1].last, own_[0].before)


def _events(folder: Path, manifests: Sequence[Manifest]) -> Events:
    for one in manifests:
        for stored in segments.messages(folder, one):
            yield one.stream, stored


def examined(paths: Sequence[Path], advance: Advance) -> Plan:
    """Read *paths* whole and check that each is sound and goes on from the one before.

    Raises BadArchive, whose message names the file and the way out, and OSError.
    """
    sources = [opened(path) for path in paths]
    total = sum(extent.last - extent.after for one in sources for extent in one.extents.values())
    found = _Joined(sources[0].installation)
    done = 0
    for place, source in enumerate(sources):
        found.begin(place, source)
        for stream, stored in source.events():
            found.take(stream, stored)
            done += 1
            if done % LOOK_EVERY == 0:
                advance(done, total)
        found.close()
    return Plan(sources, found.installation, found.begins, found.strands)


class _Joined:
    """The streams as several sources tell them, one behind the other."""

    def __init__(self, installation: str) -> None:
        self.installation = installation
        self.begins: dict[str, int] = dict.fromkeys(STREAMS, 0)
        self.strands = {stream: Strand(stream) for stream in STREAMS}
        self._former: Path | None = None
        self._source: Source
        self._place = 0
        self._read: dict[str, Strand] = {}

    def begin(self, place: int, source: Source) -> None:
        """Turn to the next source; raise BadArchive where it cannot follow."""
        self._source, self._place = source, place
        if source.installation != self.installation:
            raise BadArchive(
                source.path,
                f"is of another installation ({source.installation}, not {self.installation})",
                remedy="name backups of one log",
            )
        self._read = {
            name: Strand(name, one.after, bytes.fromhex(one.before))
            for name, one in source.extents.items()
        }
        for stream, extent in source.extents.items():
            seq = self.strands[stream].seq
            if extent.after == seq:
                self._same(stream, extent)
            elif extent.after > seq:
                # audit events that had aged when this was written are nobody's loss
                if stream == FACTS or (extent.anchor is not None and place > 0):
                    raise self._gap(stream, extent.after, seq)
                self._anew(stream, extent.after)

    def _anew(self, stream: str, after: int) -> None:
        self.strands[stream] = Strand(stream, after)
        self.begins[stream] = self._place

    def _gap(self, stream: str, after: int, seq: int) -> BadArchive:
        if self._former is None:
            told, remedy = "is not the first one", "name the backup before it, too, and first"
        else:
            told = f"does not continue {self._former}, where {stream} ends at {seq}"
            remedy = "name all backups of the log, in their order"
        return BadArchive(
            self._source.path, f"{told}: it begins behind sequence {after}", remedy=remedy
        )

    def _same(self, stream: str, extent: Extent) -> None:
        """Compare the end of what came before with what this one says of it."""
        anchor = self.strands[stream].anchor
        rolling = anchor.rolling.hex() if stream == FACTS else extent.before
        own_ = None if anchor.own is None else anchor.own.hex()
        if rolling != extent.before or (own_ and extent.anchor and own_ != extent.anchor):
            raise self._other(stream, anchor)

    def _other(self, stream: str, anchor: Anchor) -> BadArchive:
        return BadArchive(
            self._source.path,
            f"has another history than {self._former or 'a log'} at sequence {anchor.seq} of"
            f" {stream}",
            remedy="name backups of one log",
        )

    def take(self, stream: str, stored: Stored) -> None:
        """Take one message of the source; what an earlier one had must be the same."""
        read, strand = self._read[stream], self.strands[stream]
        begins = read.first is None
        read.take(stored)
        if stored.seq == strand.seq and strand.count:
            ours = read.hash if stream == FACTS else own(stream, stored)
            anchor = strand.anchor
            if ours != (anchor.rolling if stream == FACTS else anchor.own):
                raise self._other(stream, anchor)
        if stored.seq <= strand.seq:
            return
        if stored.seq > strand.seq + 1 and stream == AUDIT and begins:  # it aged just then
            self._anew(stream, stored.seq - 1)
        self.strands[stream].take(stored)

    def close(self) -> None:
        """Take the end of the source."""
        self._former = self._source.path
