"""A backup's file: written whole or not at all, and believed only as a whole.

Gzip holds a checksum, each line its place, every thousandth message the rolling hash, and the last
line the sum of all: what is cut, changed, moved or put together anew does not add up.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple

import msgspec

from events.envelope import Stored
from events.subjects import STREAMS
from services.jetstream import lines
from services.jetstream.lines import End, Event, Extent, Header, Link
from services.jetstream.strand import OutOfOrder, Strand

LEVEL = 6
CHAIN_EVERY = 1_000
_MAGIC = b"\x1f\x8b"
_PREFIX = bytes.fromhex("1f8b08000000000000ff")
"""The gzip header that we write: no name, no time, so that the same log is the same file."""


class BadArchive(Exception):
    """A file is damaged, cut off, put together anew, or no backup; the message says where."""

    def __init__(self, path: Path, what: str, *, remedy: str = "take another copy of it") -> None:
        super().__init__(f"{path}: {what}; nothing was restored: {remedy}")
        self.what = f"{path} {what}"
        self.remedy = remedy


class Exists(Exception):
    """A file would be overwritten."""


@contextmanager
def written(path: Path, *, force: bool = False) -> Iterator[BufferedWriter]:
    """Write *path* beside its place, and put it there when it is whole and on the disk.

    Raises Exists, without *force*, where something is there.
    """
    _free(path, force=force)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _free(path, force=force)
        part.replace(path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _free(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise Exists(f"{path} exists; name another file, or overwrite it with --force")


@contextmanager
def compressed(file: BufferedWriter) -> Iterator[gzip.GzipFile]:
    """Compress into *file*; the same lines are the same bytes."""
    with gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed:
        yield packed


class Writer:
    """Writes the lines of one backup; what it takes must follow what it has taken."""

    def __init__(self, file: gzip.GzipFile, header: Header) -> None:
        """Write *header* as the first line."""
        self._file = file
        self._sum = sha256()
        self.strands = {
            one.stream: Strand(one.stream, one.after, bytes.fromhex(one.before))
            for one in header.streams
        }
        self._every = header.chain_every
        self._line(header)

    def add(self, stream: str, stored: Stored) -> None:
        """Write one message; raises OutOfOrder."""
        strand = self.strands[stream]
        strand.take(stored)
        self._line(lines.event(stream, stored))
        if strand.count % self._every == 0:
            self._line(Link(stream, strand.seq, strand.hash.hex()))

    def end(self) -> None:
        """Write the last line."""
        counts = {name: strand.count for name, strand in self.strands.items()}
        hashes = {name: strand.hash.hex() for name, strand in self.strands.items()}
        self._file.write(lines.encode(End(counts, hashes, self._sum.hexdigest())))

    def _line(self, line: lines.AnyLine) -> None:
        raw = lines.encode(line)
        self._sum.update(raw)
        self._file.write(raw)


class Numbered(NamedTuple):
    """A line, where it stands, and as it stands there."""

    number: int
    raw: bytes
    line: lines.AnyLine


def unpacked(path: Path) -> Iterator[Numbered]:
    """Yield the lines of *path*; raises BadArchive where one cannot be read, and OSError."""
    with path.open("rb") as file:
        prefix = file.read(len(_PREFIX))
        if not prefix.startswith(_MAGIC):
            raise BadArchive(path, "is no backup of modelog", remedy="name the right file")
        if prefix != _PREFIX:
            raise BadArchive(path, "its first bytes are not as they were written")
    number = 0
    with gzip.open(path, "rb") as file:
        while raw := _next(path, file, number + 1):
            number += 1
            try:
                line = lines.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                if number == 1:
                    told = "is no backup of modelog"
                    raise BadArchive(path, told, remedy="name the right file") from error
                raise BadArchive(path, f"line {number} is damaged ({error})") from error
            yield Numbered(number, raw, line)


def _next(path: Path, file: gzip.GzipFile, number: int) -> bytes:
    try:
        raw = file.readline(lines.LONGEST)
    except EOFError as error:
        raise BadArchive(path, f"is cut off in or behind line {number}") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise BadArchive(path, f"line {number} is damaged ({error})") from error
    if raw and not raw.endswith(b"\n"):
        raise BadArchive(path, f"line {number} is cut off")
    return raw


def header(path: Path) -> Header:
    """Return the first line of *path*; raises BadArchive and OSError."""
    for one in unpacked(path):
        if not isinstance(one.line, Header) or one.line.format != lines.FORMAT:
            break
        if one.line.version != lines.VERSION:
            told = f"has format version {one.line.version}, and this modelog reads {lines.VERSION}"
            raise BadArchive(path, told, remedy="upgrade modelog")
        if [extent.stream for extent in one.line.streams] != list(STREAMS):
            raise BadArchive(path, "line 1 does not name our streams")
        return one.line
    raise BadArchive(path, "is no backup of modelog", remedy="name the right file")


def events(path: Path) -> Iterator[tuple[str, Stored]]:
    """Yield all messages of *path*, the facts before the audit events.

    Whoever takes them all knows that the file is whole. Raises BadArchive, and OSError.
    """
    first = header(path)
    strands = {
        one.stream: Strand(one.stream, one.after, _bytes(path, one)) for one in first.streams
    }
    sum_, ended, order = sha256(), 0, 0
    for number, raw, line in unpacked(path):
        if ended:
            raise BadArchive(path, f"line {number} stands behind the end")
        match line:
            case Event():
                strand, stored = _taken(path, number, line, strands)
                place = STREAMS.index(strand.stream)
                if place < order:
                    raise BadArchive(path, f"line {number} is out of order: a fact behind audit")
                order = place
                yield strand.stream, stored
            case Link(stream, seq, hash):
                told = strands.get(stream)
                if told is None or (told.seq, told.hash.hex()) != (seq, hash):
                    raise BadArchive(path, f"line {number}: the hash at {stream} {seq} differs")
            case Header():
                if number > 1:
                    raise BadArchive(path, f"line {number} is a second header")
            case End():
                _closed(path, line, first.streams, strands, sum_.hexdigest())
                ended = number
        sum_.update(raw)
    if not ended:
        raise BadArchive(path, "has no last line: it is cut off")


def _bytes(path: Path, extent: Extent) -> bytes:
    try:
        return bytes.fromhex(extent.before)
    except ValueError as error:
        raise BadArchive(path, "line 1 is damaged") from error


def _taken(
    path: Path, number: int, line: Event, strands: dict[str, Strand]
) -> tuple[Strand, Stored]:
    try:
        strand, stored = strands[line.stream], lines.stored(line)
        strand.take(stored)
    except (OutOfOrder, ValueError, KeyError) as error:
        raise BadArchive(path, f"line {number} is out of order or damaged: {error}") from error
    return strand, stored


def _closed(
    path: Path, end: End, extents: list[Extent], strands: dict[str, Strand], sum_: str
) -> None:
    """Compare what was read with what the header and the last line say."""
    for extent in extents:
        strand = strands[extent.stream]
        told = (end.events.get(extent.stream), end.hashes.get(extent.stream))
        if told != (strand.count, strand.hash.hex()) or not strand.whole:
            raise BadArchive(
                path, f"the messages of {extent.stream} up to {strand.seq} do not add up"
            )
        if strand.count and strand.seq != extent.last:
            raise BadArchive(path, f"{extent.stream} ends at {strand.seq}, not at {extent.last}")
    if end.sha256 != sum_:
        raise BadArchive(path, "its lines are not as they were written")
