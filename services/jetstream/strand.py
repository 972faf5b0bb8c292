"""A stream as it is copied: each message follows the last one, and the hash rolls along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from events import chain
from events.envelope import Stored
from events.subjects import AUDIT
from services.jetstream import batch
from services.jetstream.api import DEADLINE_SECONDS, NoAnswer
from services.jetstream.connect import Client
from services.jetstream.messages import WHOLE, info
from services.jetstream.read import pages

PAUSE_SECONDS = 0.1


class OutOfOrder(Exception):
    """A message does not follow the one before it: one is missing, or a batch is torn."""


class Anchor(NamedTuple):
    """The end of a piece of a stream: its last sequence, the rolling hash, that message's own."""

    seq: int
    rolling: bytes
    own: bytes | None


class Strand:
    """What of one stream was taken: `count` messages from `first` to `last`, which is at `seq`."""

    def __init__(self, stream: str, after: int = 0, before: bytes | None = None) -> None:
        """Nothing behind *after*, where the rolling hash is *before*, is taken yet."""
        self.stream = stream
        self.seq = after
        self.hash = chain.start(stream) if before is None else before
        self.first: Stored | None = None
        self.last: Stored | None = None
        self.count = 0
        self._open: str | None = None
        self._place = 0

    @property
    def whole(self) -> bool:
        """Tell whether the last message ends a batch, or is none's."""
        return self._open is None

    @property
    def anchor(self) -> Anchor:
        """Where the strand ends."""
        return Anchor(
            self.seq, self.hash, None if self.last is None else own(self.stream, self.last)
        )

    def take(self, stored: Stored) -> None:
        """Take the next message; raise OutOfOrder where it cannot follow the last one.

        The age limit of the audit stream may have taken what stood before its first one.
        """
        aged = self.stream == AUDIT and self.first is None and stored.seq > self.seq
        if stored.seq != self.seq + 1 and not aged:
            raise OutOfOrder(f"sequence {stored.seq} of {self.stream} follows {self.seq}")
        self._step(stored)
        if self.first is None:
            self.first = stored
        self.last, self.seq = stored, stored.seq
        self.hash = chain.link(self.hash, stored)
        self.count += 1

    def _step(self, stored: Stored) -> None:
        of = stored.headers.get(batch.ID)
        place = int(stored.headers.get(batch.PLACE, "0")) if of else 0
        if self._open is not None and of != self._open:
            raise OutOfOrder(f"a batch of {self.stream} has no end before sequence {stored.seq}")
        if of is not None and place != self._place + 1 and self.first is not None:
            raise OutOfOrder(f"a batch of {self.stream} is torn at sequence {stored.seq}")
        ends = of is None or batch.COMMIT in stored.headers
        self._open, self._place = (None, 0) if ends else (of, place)


def own(stream: str, stored: Stored) -> bytes:
    """Return the hash of one message alone, by which it is known again."""
    return chain.link(chain.start(stream), stored)


async def whole_end(nc: Client, stream: str) -> int:
    """Return the last sequence of *stream*, at the end of its batch.

    The server may just be storing one. Raises what reading raises.
    """
    last = (await info(nc, stream)).last_seq
    strand = Strand(stream, max(0, last - 1))
    until = last
    while strand.seq < until:
        async for stored in reading(nc, stream, after=strand.seq, until=until):
            strand.take(stored)
        if not strand.count:  # aged, or none
            return last
        until = strand.seq if strand.whole else strand.seq + 1
    return until


async def reading(nc: Client, stream: str, *, after: int, until: int) -> AsyncIterator[Stored]:
    """Yield the messages of *stream* behind *after* up to *until*, which it must hold.

    A replica that is behind is waited for. Raises GapInLog and NoAnswer.
    """
    loop = asyncio.get_running_loop()
    seq, end = after, loop.time() + DEADLINE_SECONDS
    while seq < until:
        async for page in pages(nc, stream, after=seq, filter=WHOLE[stream], until=until):
            for stored in page:
                yield stored
            seq, end = page[-1].seq, loop.time() + DEADLINE_SECONDS
        if seq < until:
            if (await info(nc, stream)).first_seq > until:  # all of it has aged meanwhile
                return
            if loop.time() > end:
                raise NoAnswer(f"stream {stream}: no answer holds sequence {seq + 1}")
            await asyncio.sleep(PAUSE_SECONDS)
