"""A stream read whole, as somebody who trusts nothing: what is missing is told, and passed over.

The server calls a damaged store healthy: it serves what is left, and says nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Literal

import msgspec

from events.envelope import MESSAGE_ID, Stored
from events.subjects import FACTS
from services.jetstream.api import ApiError
from services.jetstream.connect import Client
from services.jetstream.history import Mark
from services.jetstream.messages import WHOLE, GapInLog, StreamInfo, message
from services.jetstream.read import pages

MANY = 20
"""Findings of one stream, after which nothing more is looked for."""

Kind = Literal[
    "gone",  # a stream does not exist
    "epoch",  # it is another log than the catalogue's
    "cut",  # it ends before what the catalogue has
    "missing",  # sequences in it are gone or unreadable
    "torn",  # a batch is not whole
    "id",  # a message without an id, with two, or with one that another has
    "event",  # one that cannot be applied
    "history",  # its messages are not those that were folded
    "row",  # the catalogue is not what the log makes of it
    "catalogue",  # it cannot be read
    "segment",  # the log is not what was written to another place
]

RESTORE = (
    "restore the log: put back a copy of its store or `modelog restore` a backup into an empty one"
)
REBUILD = "`modelog rebuild` makes it anew from the log"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is not as it must be: where, in *message* what it means, and the way out."""

    kind: Kind
    message: str
    remedy: str
    stream: str | None = None
    seq: int | None = None
    table: str | None = None
    key: Mapping[str, str | int | float | None] | None = None


Tell = Callable[[Finding], None]


def beginning(stream: str, state: StreamInfo) -> int:
    """Return behind which sequence *stream* must be whole: audit's beginning is over by age."""
    return 0 if stream == FACTS else max(0, state.first_seq - 1)


async def whole(
    nc: Client, stream: str, after: int, last: int, tell: Tell
) -> AsyncIterator[list[Stored]]:
    """Yield what *stream* has behind *after*, up to *last*, page by page.

    What is missing is told to *tell*; the next page then begins behind it. Raises NoAnswer.
    """
    while after < last:
        try:
            async for page in pages(nc, stream, after=after, filter=WHOLE[stream], until=last):
                after = page[-1].seq
                yield page
        except (GapInLog, ApiError):
            pass  # the leader is asked, below
        if after >= last:
            return
        there = await message(nc, stream, after + 1, filter=WHOLE[stream])
        if there is not None and there.seq == after + 1:
            after = there.seq
            yield [there]
            continue
        behind = last if there is None else there.seq - 1
        tell(missing(stream, after + 1, behind))
        after = behind


def missing(stream: str, first: int, last: int) -> Finding:
    """Tell of sequences that the server does not hand out any more."""
    which = f"sequence {first}" if first == last else f"sequences {first} to {last}"
    return Finding(
        kind="missing",
        stream=stream,
        seq=first,
        message=f"{stream}: {which}: gone or unreadable; the store was damaged",
        remedy=RESTORE,
    )


async def known_again(
    nc: Client, stream: str, state: StreamInfo, epoch: str, mark: Mark
) -> Finding | None:
    """Return why *stream* is not the one whose checkpoint is at *mark* in *epoch*, if it is not.

    That is what `history.confirm` asks, as a finding.
    """
    if state.epoch != epoch:
        text = f"{stream} is another log: its epoch is {state.epoch or 'unset'}, was {epoch}"
        remedy = f"if that was your intent, {REBUILD}; else {RESTORE}"
        return Finding(kind="epoch", stream=stream, message=text, remedy=remedy)
    if state.last_seq < mark.seq:
        text = (
            f"{stream} ends at sequence {state.last_seq}, and had reached {mark.seq}: "
            f"sequences {state.last_seq + 1} to {mark.seq} are lost, and will be given out again"
        )
        seq = state.last_seq + 1
        return Finding(kind="cut", stream=stream, seq=seq, message=text, remedy=RESTORE)
    if mark.id and mark.seq >= state.first_seq:
        there = await message(nc, stream, mark.seq)
        if there is not None and there.headers.get(MESSAGE_ID) != mark.id:
            text = (
                f"{stream} has another message at sequence {mark.seq} than was folded: it was cut "
                "off or put back from an older copy, and sequences were given out again"
            )
            return Finding(
                kind="history", stream=stream, seq=mark.seq, message=text, remedy=RESTORE
            )
    return None


def misnamed(stream: str, stored: Stored) -> Finding | None:
    """Return what is wrong with the id of a message, if something is."""
    id_, event_id = stored.headers.get(MESSAGE_ID), stored.headers.get("ce-id")
    if id_ and id_ == event_id:
        return None
    text = f"{stream}: sequence {stored.seq} has the message id {id_} and the event id {event_id}"
    return Finding(
        kind="id",
        stream=stream,
        seq=stored.seq,
        message=f"{text}: not written by modelog, or altered",
        remedy=RESTORE,
    )
