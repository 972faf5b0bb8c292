"""Is this still the log that we know? Asked after every (re)connect, before anything is believed.

A store whose disk was damaged, or that was put back from a copy, hands out old sequences again
without a word: the server calls it healthy.
"""

from __future__ import annotations

from typing import NamedTuple

from events.envelope import MESSAGE_ID
from events.subjects import AUDIT, FACTS
from services.jetstream.api import DEADLINE_SECONDS, NoStream
from services.jetstream.connect import Client
from services.jetstream.messages import StreamInfo, info, message


class NotAppended(Exception):
    """Events are not in the log, or nobody knows whether they are; each kind says which."""


class HistoryChanged(NotAppended):
    """A stream is not the one that we know: it was replaced, cut off or written anew."""


class Mark(NamedTuple):
    """A message that was acknowledged or folded, by which a stream is known again."""

    seq: int
    id: str


NOWHERE = Mark(0, "")


async def confirm(
    nc: Client,
    stream: str,
    epoch: str,
    mark: Mark = NOWHERE,
    *,
    deadline: float = DEADLINE_SECONDS,
) -> StreamInfo:
    """Return what *stream* is now, having made sure that it goes on from *mark*.

    Its epoch is *epoch*, it reaches *mark*, and the message there has the id that it had, unless
    the age limit took it. Raises HistoryChanged otherwise, NoAnswer and ApiError.
    """
    try:
        now = await info(nc, stream, deadline=deadline)
    except NoStream as error:
        raise HistoryChanged(f"stream {stream} is gone; run `modelog verify`") from error
    if now.epoch != epoch:
        raise HistoryChanged(
            f"stream {stream} is another one: its epoch is {now.epoch or 'unset'}, was {epoch}"
        )
    if now.last_seq < mark.seq:
        raise HistoryChanged(
            f"stream {stream} ends at sequence {now.last_seq}, and had reached {mark.seq}; "
            "run `modelog verify`"
        )
    if mark.id and mark.seq >= now.first_seq:
        there = await message(nc, stream, mark.seq, deadline=deadline)
        if there is None or there.headers.get(MESSAGE_ID) != mark.id:
            raise HistoryChanged(
                f"stream {stream} has another message at sequence {mark.seq} than before; "
                "run `modelog verify`"
            )
    return now


async def audit_at(nc: Client, seq: int, *, margin_seconds: float = 0) -> int:
    """Return the last audit sequence that was recorded before fact *seq* was, by *margin_seconds*.

    The one before the first there is, where none was. Raises NoStream, NoAnswer and ApiError.
    """
    state = await info(nc, AUDIT)
    low, high = max(state.first_seq, 1), state.last_seq
    fact = await message(nc, FACTS, seq)
    moment = (fact.recorded_ns if fact else 0) - round(margin_seconds * 1e9)
    while low <= high:
        middle = (low + high) // 2
        stored = await message(nc, AUDIT, middle)
        if stored is not None and stored.recorded_ns > moment:
            high = middle - 1
        else:
            low = middle + 1
    return high
