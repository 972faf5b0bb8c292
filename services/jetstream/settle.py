"""What became of a batch that was refused, or whose acknowledgement was lost: the log tells.

The codes are those of nats-server 2.15.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from events.envelope import MESSAGE_ID, Message
from events.subjects import FACTS
from services.jetstream import batch
from services.jetstream.api import ApiError, NoAnswer
from services.jetstream.connect import Client
from services.jetstream.history import HistoryChanged, NotAppended
from services.jetstream.messages import message


class SequenceConflict(NotAppended):
    """Somebody else appended to the same family of the provider: read, and decide again."""


class LogFull(NotAppended):
    """The log takes no more events; nothing of these is stored."""


class Refused(NotAppended):
    """The server refuses what it ought to take: a bug of ours, or another one's settings."""


async def settled(
    nc: Client,
    reply: batch.Reply | None,
    messages: Sequence[Message],
    which: Sequence[batch.Condition],
    *,
    unsure: bool,
) -> int | None:
    """Return the first sequence of the batch where the log has it; None: not known, go on.

    Raises what the refusal *reply* means where the log does not have it.
    """
    code = batch.refusal(reply)
    full = code in batch.FULL
    if code in batch.SETTLE or (full and unsure):
        try:
            first = await _found(nc, messages, which)
        except (NoAnswer, ApiError):
            return None
        except SequenceConflict as conflict:
            if code == batch.KNOWN_ID:
                raise Refused(f"{messages[0].subject}: an id was used before") from conflict
            raise
        if first is not None:
            return first
        if code == batch.WRONG_SEQUENCE and not unsure:
            raise HistoryChanged(
                f"stream {FACTS} does not reach what was expected of {which[0].filter}: "
                f"{which[0].expected}; run `modelog verify`"
            )
    if code not in batch.SETTLE:
        give_up(reply, FACTS)
    return None


async def _found(
    nc: Client, messages: Sequence[Message], which: Sequence[batch.Condition]
) -> int | None:
    """Return the first sequence of the batch, None where nothing was appended since.

    What comes next in a family decides, not what comes last: others may have gone on from
    there. Raises SequenceConflict, and HistoryChanged for a batch that has lost its end.
    """
    for condition in which:
        stored = await message(nc, FACTS, condition.expected + 1, filter=condition.filter)
        if stored is None:
            continue
        if stored.headers.get(MESSAGE_ID) != messages[condition.first].id:
            raise SequenceConflict(
                f"{condition.filter}: sequence {stored.seq} follows {condition.expected}"
            )
        first = stored.seq - condition.first
        end = await message(nc, FACTS, first + len(messages) - 1)
        if end is None or end.headers.get(MESSAGE_ID) != messages[-1].id:
            raise HistoryChanged(
                f"stream {FACTS} has lost the end of the batch at sequence {first}; "
                "run `modelog verify`"
            )
        return first
    return None


def give_up(reply: batch.Reply | None, stream: str) -> None:
    """Raise what no further attempt can mend."""
    code = batch.refusal(reply)
    if reply is None or code in batch.AGAIN:
        return
    if not code:
        raise Refused(f"stream {stream}: the server took a message out of its batch: {reply}")
    text = f"stream {stream}: {reply['error'].get('description', 'refused')} ({code})"
    raise LogFull(text) if code in batch.FULL else Refused(text)
