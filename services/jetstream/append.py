"""Append to the log: all of a batch or none, on condition that nobody else has, exactly once.

An acknowledgement can be lost; then the outcome is *unknown* and nothing is assumed. The same
messages are sent again, under the same ids and the same condition, until the log itself says what
became of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from events.envelope import Message
from events.subjects import AUDIT, FACTS, facts_of
from services.clock import uniform
from services.jetstream import batch
from services.jetstream.api import ANSWER_SECONDS, LOOK_SECONDS, ApiError, NoAnswer, stream_info
from services.jetstream.batch import MOST
from services.jetstream.connect import Client
from services.jetstream.history import NOWHERE, HistoryChanged, Mark, NotAppended, confirm
from services.jetstream.messages import last_message
from services.jetstream.settle import LogFull, Refused, SequenceConflict, give_up, settled
from services.jetstream.streams import EPOCH_KEY, INSTALLATION_KEY

__all__ = [
    "MOST",
    "Appended",
    "Fenced",
    "HistoryChanged",
    "Log",
    "LogFull",
    "NotAppended",
    "Refused",
    "SequenceConflict",
    "TooLarge",
    "Unacknowledged",
]

DEADLINE_SECONDS = 30.0
PAUSE_SECONDS = (0.05, 0.25)
ROOM = 1_024
"""Bytes of a message that are kept free for the headers which a batch adds."""


class TooLarge(NotAppended):
    """An event is larger than its stream allows; nothing was sent."""


class Fenced(NotAppended):
    """Whoever wants to append may not any more: its lease is over.

    What was sent before may be stored, where its acknowledgement was lost.
    """


class Unacknowledged(NotAppended):
    """Nobody knows whether the events are stored: no acknowledgement came until the deadline."""


class Appended(NamedTuple):
    """Where a batch is: its *first* and *last* sequence, and what its family then expects."""

    first: int
    last: int
    expected: int


class _Known:
    """What this process knows of one stream, and on which connection it made sure of it."""

    def __init__(self, stream: str, answer: Mapping[str, Any], connection: int) -> None:
        metadata = answer["config"].get("metadata") or {}
        self.stream = stream
        self.epoch = str(metadata.get(EPOCH_KEY, ""))
        self.installation = str(metadata.get(INSTALLATION_KEY, ""))
        self.largest = int(answer["config"]["max_msg_size"])
        self.connection = connection
        self.mark = NOWHERE

    def acknowledged(self, seq: int, id: str) -> None:
        if seq > self.mark.seq:
            self.mark = Mark(seq, id)


class Log:
    """The way to append, one per process: what was acknowledged to it must still be there."""

    def __init__(
        self, nc: Client, facts: _Known, audit: _Known, holds: Callable[[], bool] = lambda: True
    ) -> None:
        self._nc = nc
        self._facts = facts
        self._audit = audit
        self._holds = holds

    @classmethod
    async def open(cls, nc: Client) -> Log:
        """Read which log this is; raises NoStream, NoAnswer and ApiError."""
        connection = nc.stats["reconnects"]
        answers = [await stream_info(nc, stream) for stream in (FACTS, AUDIT)]
        facts, audit = (_Known(one["config"]["name"], one, connection) for one in answers)
        return cls(nc, facts, audit)

    def fenced(self, holds: Callable[[], bool]) -> Log:
        """Return the same log for one who may append as long as *holds* says so.

        It is asked before every attempt: one who slept over the end of its lease appends nothing.
        """
        return Log(self._nc, self._facts, self._audit, holds)

    @property
    def installation(self) -> str:
        """The id of this installation, which a restored log keeps."""
        return self._facts.installation

    @property
    def epoch(self) -> str:
        """The id of this life of the log, which a restored one does not keep."""
        return self._facts.epoch

    async def last(self, family: str, provider: str) -> int:
        """Return the last sequence of a provider's *family*, 0 where there is none.

        Raises NoStream, NoAnswer and ApiError.
        """
        stored = await last_message(self._nc, FACTS, facts_of(family, provider))
        return stored.seq if stored is not None else 0

    async def append(  # noqa: PLR0913 - what, where, and on which condition
        self,
        messages: Sequence[Message],
        *,
        family: str,
        provider: str,
        expected: int,
        also: Mapping[str, int] | None = None,
        deadline: float = DEADLINE_SECONDS,
    ) -> Appended:
        """Append *messages*, 1 to 1000 of one provider, as one batch: all or none, and once.

        The condition is that *expected* still is the last sequence of the provider's *family*;
        *also* says the same of other families of which there are messages. Capabilities ride with
        their models. Raises ValueError where a message is not covered by that, TooLarge,
        SequenceConflict, LogFull, HistoryChanged where the log is not what it was, Refused, and
        where the outcome is open Fenced, and Unacknowledged after *deadline* seconds.

        Source of the protocol: NATS ADR-50, and measurements of nats-server 2.15.1.
        """
        which = batch.conditions(messages, provider, {family: expected, **(also or {})})
        _fit(self._facts, messages)
        added = batch.headers_for(FACTS, which)
        unsure = False
        end = _now() + deadline
        while (left := await self._ready(self._facts, end)) > 0:
            self._check(messages)
            reply = await batch.send(self._nc, messages, added, min(left, ANSWER_SECONDS))
            if reply and reply.get("count") == len(messages):
                first = int(reply["seq"]) - len(messages) + 1
            else:
                unsure = unsure or reply is None
                found = await settled(self._nc, reply, messages, which, unsure=unsure)
                if found is None:
                    await _pause()
                    continue
                first = found
            last = first + len(messages) - 1
            self._facts.acknowledged(last, messages[-1].id)
            return Appended(first, last, first + which[0].last)
        self._check(messages)
        raise Unacknowledged(
            f"{len(messages)} events of {provider}: no acknowledgement in {deadline:g} s"
        )

    def _check(self, messages: Sequence[Message]) -> None:
        if not self._holds():
            raise Fenced(f"{messages[0].subject} and {len(messages) - 1} more: the lease is over")

    async def record(
        self, messages: Sequence[Message], *, deadline: float = DEADLINE_SECONDS
    ) -> None:
        """Record audit events, unconditionally; one that is there already counts as recorded.

        They are atomic by the thousand. Raises TooLarge, LogFull, HistoryChanged, Refused, and
        Unacknowledged where a thousand was not acknowledged within *deadline* seconds.
        """
        _fit(self._audit, messages)
        for start in range(0, len(messages), MOST):
            await self._record(messages[start : start + MOST], _now() + deadline)

    async def _record(self, messages: Sequence[Message], end: float) -> None:
        single = messages[0] if len(messages) == 1 else None
        added = batch.headers_for(AUDIT)
        while (left := await self._ready(self._audit, end)) > 0:
            seconds = min(left, ANSWER_SECONDS)
            if single is not None:
                headers = {**single.headers, batch.STREAM: AUDIT}
                reply = await batch.send_one(self._nc, single, headers, seconds)
            else:
                reply = await batch.send(self._nc, messages, added, seconds)
            code = batch.refusal(reply)
            if code == batch.KNOWN_ID:  # all of them, or some in other company: one by one
                for one in messages:
                    await self._record([one], end)
                return
            if reply and not code:
                self._audit.acknowledged(int(reply["seq"]), messages[-1].id)
                return
            give_up(reply, AUDIT)
            await _pause()
        raise Unacknowledged(f"{len(messages)} audit events: no acknowledgement in time")

    async def _ready(self, known: _Known, end: float) -> float:
        """Return the seconds left until *end*, once the connection is up and the log confirmed."""
        while (left := end - _now()) > 0 and not self._nc.is_closed:
            connection = self._nc.stats["reconnects"]
            if self._nc.is_connected and connection == known.connection:
                return left
            if self._nc.is_connected:
                try:
                    await confirm(self._nc, known.stream, known.epoch, known.mark, deadline=left)
                except (NoAnswer, ApiError):
                    await _pause()
                else:
                    known.connection = connection
            else:
                await asyncio.sleep(LOOK_SECONDS)
        return 0


def _fit(known: _Known, messages: Sequence[Message]) -> None:
    for one in messages:
        if one.size + ROOM > known.largest:
            raise TooLarge(
                f"{one.subject}: an event of {one.size} bytes; stream {known.stream} takes "
                f"{known.largest - ROOM}"
            )


async def _pause() -> None:
    await asyncio.sleep(uniform(*PAUSE_SECONDS))


def _now() -> float:
    return asyncio.get_running_loop().time()
