"""One attempt to append: the headers of an atomic batch, and what the server answers.

Source: NATS ADR-50 (atomic batch publishing).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from nats.errors import OutboundBufferLimitError
from nats.errors import TimeoutError as NoReplyError

from events.envelope import Message, Stored
from events.subjects import facts_of
from services.clock import new_id
from services.jetstream.api import exchange, heard
from services.jetstream.connect import Client

MOST = 1_000
"""Messages of one atomic batch: the server's limit."""
FLUSH_BYTES = 1_500_000
"""What may wait to be sent. At 2 MiB nats-py itself waits, and swallows a cancellation."""

ID = "Nats-Batch-Id"
PLACE = "Nats-Batch-Sequence"
COMMIT = "Nats-Batch-Commit"
STREAM = "Nats-Expected-Stream"
LEVEL = "Nats-Required-Api-Level"
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_OF = "Nats-Expected-Last-Subject-Sequence-Subject"

WRONG_SEQUENCE = 10071
KNOWN_ID = 10201
SETTLE = {WRONG_SEQUENCE, 10164, KNOWN_ID}
"""Somebody appended, or we did: the log is asked. 10164: or another append is on its way (R3)."""
AGAIN = {10008, 10158, 10163, 10176, 10210}
"""Not now: JetStream is starting, an id is in process, a batch was cut off, too many are open."""
FULL = {10002, 10023, 10047, 10077}
"""No room: in the stream, the store, or the account."""

Reply = dict[str, Any]


class Condition(NamedTuple):
    """That *expected* is the last sequence under *filter*.

    It rides on the first message of its family; that one and the last one are at *first* and
    *last*, counted from 0.
    """

    filter: str
    expected: int
    first: int
    last: int


def conditions(
    messages: Sequence[Message], provider: str, expected: Mapping[str, int]
) -> list[Condition]:
    """Return the condition of each family of *expected*, in its order.

    Every message must be covered by one: of *provider*, and of one of the families, or a
    capability beside models. Raises ValueError for one that is not, for a family without a
    message, and for no messages or more than 1000.
    """
    if not 0 < len(messages) <= MOST:
        raise ValueError(f"{len(messages)} messages: a batch has 1 to {MOST}")
    places: dict[str, list[int]] = {family: [] for family in expected}
    for place, one in enumerate(messages):
        _, family, of, *_ = one.subject.split(".")
        if of == provider and family in places:
            places[family].append(place)
        elif of != provider or family != "capability" or "model" not in places:
            raise ValueError(f"{one.subject}: not covered by {sorted(expected)} of {provider}")
    return [_condition(family, provider, expected[family], places[family]) for family in expected]


def _condition(family: str, provider: str, expected: int, places: list[int]) -> Condition:
    if not places:
        raise ValueError(f"no message of family {family}: its condition would ride on none")
    return Condition(facts_of(family, provider), expected, places[0], places[-1])


def headers_for(stream: str, which: Sequence[Condition] = ()) -> dict[int, dict[str, str]]:
    """Return what a batch for *stream* adds to its messages, by their places."""
    added = {0: {STREAM: stream, LEVEL: "2"}}
    for condition in which:
        added.setdefault(condition.first, {}).update(
            {EXPECTED: str(condition.expected), EXPECTED_OF: condition.filter}
        )
    return added


async def send(
    nc: Client,
    messages: Sequence[Message | Stored],
    added: Mapping[int, Mapping[str, str]],
    seconds: float,
) -> Reply | None:
    """Send *messages* as one batch under a new id, and return the answer.

    None: unknown, no answer came within *seconds*. The first message is asked about, so that a
    refusal of the whole costs one message.
    """
    batch = new_id()
    last = len(messages) - 1
    for place, one in enumerate(messages):
        headers = {**one.headers, ID: batch, PLACE: str(place + 1), **added.get(place, {})}
        if place == last:
            headers[COMMIT] = "1"
        if place in {0, last}:
            reply = await send_one(nc, one, headers, seconds)
            if place == last or reply is None or reply:
                return reply
            continue
        try:
            await nc.publish(one.subject, one.payload, headers=headers)
            if nc.pending_data_size > FLUSH_BYTES:
                await heard(nc, nc.flush(math.ceil(seconds)))
        except (OutboundBufferLimitError, NoReplyError):  # the connection is lost, or slow
            return None
    return None


async def send_one(
    nc: Client, one: Message | Stored, headers: dict[str, str], seconds: float
) -> Reply | None:
    """Send one message and return the answer, empty for a message that is staged."""
    answer = await exchange(nc, one.subject, one.payload, headers=headers, timeout=seconds)
    if answer is None:
        return None
    return msgspec.json.decode(answer.data, type=Reply) if answer.data else {}


def refusal(reply: Reply | None) -> int:
    """Return the server's `err_code`, 0 where the answer is none or no refusal."""
    return int(reply["error"]["err_code"]) if reply and "error" in reply else 0
