"""Segments: the log as files that never change, each behind the hash of the one before.

DIR/MODELOG/<first>-<last>.jsonl.gz    the messages, a line each
DIR/MODELOG/<first>-<last>.json        the manifest, written after it: what has none is not there
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from hashlib import file_digest
from pathlib import Path

import msgspec

from events.envelope import Stored
from events.subjects import AUDIT, STREAMS
from services.jetstream import lines
from services.jetstream.archive import BadArchive
from services.jetstream.strand import OutOfOrder, Strand

REMEDY = "put back another copy of the segments, or take a backup"


class Manifest(msgspec.Struct, frozen=True):
    """What one segment holds: the messages of *stream* from sequence *first* to *last*.

    *before* and *after* are the rolling hashes (hex) around them, *sha256* the sum of the file.
    *begins* says that the chain starts here: the first segment, or audit events behind some that
    aged before they were written.
    """

    stream: str
    installation: str
    epoch: str
    first: int
    last: int
    first_id: str
    last_id: str
    before: lines.Hash
    after: lines.Hash
    sha256: lines.Hash
    written_at: str
    begins: bool = False

    @property
    def name(self) -> str:
        """The name of its files, which sort as their sequences do."""
        return f"{self.first:020d}-{self.last:020d}"


_decode = msgspec.json.Decoder(Manifest).decode


def messages_of(folder: Path, manifest: Manifest) -> Path:
    """Return the file of a segment's messages."""
    return folder / manifest.stream / f"{manifest.name}.jsonl.gz"


def read_segments(folder: Path, *, streams: Iterable[str] = STREAMS) -> Iterator[Manifest]:
    """Yield the manifests in *folder*, those of a stream in order, and each behind the last one.

    Only manifests are read. Raises BadArchive where one is damaged or missing in between, or of
    another log than the first, and OSError.
    """
    installation: str | None = None
    for stream in streams:
        previous: Manifest | None = None
        for path in sorted((folder / stream).glob("*.json")):
            one = _manifest(path, stream)
            epoch = one.epoch if previous is None else previous.epoch
            if (one.installation, one.epoch) != (installation or one.installation, epoch):
                raise BadArchive(path, "is of another log than its neighbours", remedy=REMEDY)
            if previous is not None and not _follows(previous, one):
                told = f"does not follow sequence {previous.last} of {stream}"
                raise BadArchive(path, told, remedy=REMEDY)
            installation, previous = one.installation, one
            yield one


def _manifest(path: Path, stream: str) -> Manifest:
    try:
        one = _decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadArchive(path, f"is damaged ({error})", remedy=REMEDY) from error
    if one.stream != stream or path.stem != one.name:
        raise BadArchive(path, "is not at its place", remedy=REMEDY)
    return one


def _follows(previous: Manifest, one: Manifest) -> bool:
    if one.begins:
        return one.stream == AUDIT and one.first > previous.last
    return one.first == previous.last + 1 and one.before == previous.after


def chain_at(manifests: Iterable[Manifest], stream: str, seq: int) -> bytes | None:
    """Return the rolling hash of *stream* at *seq*, None where no segment ends there."""
    found = (one for one in manifests if one.stream == stream and one.last == seq)
    return next((bytes.fromhex(one.after) for one in found), None)


def whole_chain(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return those of *manifests*, in order, that lie in one chain up to the newest of each stream.

    What aged audit events have left behind, before a beginning anew, is not among them.
    """
    kept: dict[str, list[Manifest]] = {stream: [] for stream in STREAMS}
    for one in manifests:
        kept[one.stream] = [one] if one.begins else [*kept[one.stream], one]
    return [one for stream in STREAMS for one in kept[stream]]


def messages(folder: Path, manifest: Manifest) -> Iterator[Stored]:
    """Yield the messages of one segment; whoever takes them all knows that it is whole.

    Raises BadArchive, and OSError.
    """
    path = messages_of(folder, manifest)
    try:
        with path.open("rb") as file:
            if file_digest(file, "sha256").hexdigest() != manifest.sha256:
                raise BadArchive(path, "is not as it was written", remedy=REMEDY)
    except FileNotFoundError as error:
        raise BadArchive(path, "is missing", remedy=REMEDY) from error
    strand = Strand(manifest.stream, manifest.first - 1, bytes.fromhex(manifest.before))
    try:
        with gzip.open(path, "rb") as file:
            for raw in file:
                stored = lines.message(raw, manifest.stream)
                strand.take(stored)
                yield stored
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError, OutOfOrder) as error:
        raise BadArchive(path, f"is damaged ({error})", remedy=REMEDY) from error
    if (strand.seq, strand.hash.hex()) != (manifest.last, manifest.after):
        raise BadArchive(path, "does not have the hash of its manifest", remedy=REMEDY)


def newest(folder: Path) -> dict[str, Manifest]:
    """Return the last manifest of each stream that has one; raises BadArchive and OSError."""
    return {one.stream: one for one in read_segments(folder)}
