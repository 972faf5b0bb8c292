"""The log beside its segments: what was written to another place is what is there now."""

from __future__ import annotations

import asyncio
from hashlib import file_digest
from pathlib import Path

from events import chain
from events.envelope import Stored
from services.jetstream.archive import BadArchive
from services.jetstream.connect import Client
from services.jetstream.messages import StreamInfo
from services.jetstream.segments import REMEDY, Manifest, messages, messages_of, read_segments
from services.jetstream.strand import own
from services.jetstream.verify import RESTORE, Finding, Tell, beginning, whole


class Segments:
    """The segments in a directory; `told` says which of them cannot be read."""

    def __init__(self, folder: Path) -> None:
        """Read every manifest, and make sure of the files: the log is at least as far then."""
        self.folder = folder
        self.told: list[Finding] = []
        self.manifests: list[Manifest] = []
        try:
            self.manifests = list(read_segments(folder))
            for one in self.manifests:
                self._sure(one)
        except BadArchive as error:
            self._damaged(error)
        if not self.manifests and not self.told:
            self._damaged(BadArchive(folder, "holds no segment", remedy="name the right directory"))

    def _damaged(self, error: BadArchive) -> None:
        self.told.append(Finding(kind="segment", message=error.what, remedy=error.remedy))

    def _sure(self, one: Manifest) -> None:
        path = messages_of(self.folder, one)
        try:
            with path.open("rb") as file:
                if file_digest(file, "sha256").hexdigest() == one.sha256:
                    return
                self._damaged(BadArchive(path, "is not as it was written", remedy=REMEDY))
        except FileNotFoundError:
            self._damaged(BadArchive(path, "is missing", remedy=REMEDY))

    def beside(self, stream: str, state: StreamInfo) -> Beside:
        """Return what compares *stream* with its segments, but for those that age has touched."""
        begins = beginning(stream, state)
        there = [one for one in self.manifests if one.stream == stream and one.first > begins]
        return Beside(stream, self.folder, state, there)


class Beside:
    """One stream as it is read, and the segments of it; `different` are those it is not as."""

    def __init__(
        self, stream: str, folder: Path, state: StreamInfo, manifests: list[Manifest]
    ) -> None:
        self.different: list[Manifest] = []
        self.compared = 0
        self._stream = stream
        self._folder = folder
        self._foreign = next((one for one in manifests if one.epoch != state.epoch), None)
        self._ahead = [] if self._foreign else manifests[::-1]
        self._hash = b""
        self._count = 0

    def take(self, page: list[Stored]) -> None:
        """Compare the next messages of the stream."""
        for stored in page:
            while self._ahead and stored.seq > self._ahead[-1].last:
                self._end(self._ahead.pop())
            if not self._ahead or stored.seq < (one := self._ahead[-1]).first:
                continue
            if not self._count:
                self._hash = bytes.fromhex(one.before)
            self._hash = chain.link(self._hash, stored)
            self._count += 1
            if stored.seq == one.last:
                self._end(self._ahead.pop())

    def _end(self, one: Manifest) -> None:
        complete = self._count == one.last - one.first + 1
        if not complete or self._hash.hex() != one.after:
            self.different.append(one)
        self.compared += 1
        self._count = 0

    async def tell(self, nc: Client, read: StreamInfo, tell: Tell) -> None:
        """Tell in what the stream, which was *read* to its end, is not as its segments."""
        if (foreign := self._foreign) is not None:
            text = f"{self._folder} holds the segments of another log: epoch {foreign.epoch}"
            remedy = f"name the directory of this one (epoch {read.epoch})"
            tell(self._finding(foreign, None, text, remedy))
            return
        if self._ahead:
            first, last = self._ahead[-1], self._ahead[0]
            seq = max(read.last_seq + 1, first.first)
            text = (
                f"{self._stream} ends at sequence {read.last_seq}, and its segments at {last.last}:"
                f" segment {first.name} has sequence {seq}, which was lost"
            )
            tell(self._finding(first, seq, text, self._restore))
        for one in self.different:
            seq = await self._place(nc, one)
            text = f"{self._stream}: sequence {seq} is not what segment {one.name} has of it"
            tell(self._finding(one, seq, text, self._restore))

    @property
    def _restore(self) -> str:
        return f"{RESTORE}; `modelog restore {self._folder}` reads the segments"

    def _finding(self, one: Manifest, seq: int | None, text: str, remedy: str) -> Finding:
        return Finding(
            kind="segment",
            stream=self._stream,
            seq=seq,
            key={"segment": one.name},
            message=text,
            remedy=remedy,
        )

    async def _place(self, nc: Client, one: Manifest) -> int:
        """Return the first sequence at which the log is not what the segment has."""
        kept = messages(self._folder, one)
        try:
            async for page in whole(nc, self._stream, one.first - 1, one.last, _nobody):
                for stored in page:
                    there = await asyncio.to_thread(next, kept, None)
                    if there is None or own(self._stream, there) != own(self._stream, stored):
                        return one.first if there is None else there.seq
            rest = await asyncio.to_thread(next, kept, None)
        except BadArchive:
            return one.first  # the segment itself is damaged, which was told
        return one.last if rest is None else rest.seq


def _nobody(_: Finding) -> None:
    """Hear what was told already."""
