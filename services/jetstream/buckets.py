"""The keys of a bucket, each changed on condition that nobody else has, and gone by itself.

This is the protocol of NATS key-value buckets (ADR-8) without nats-py's layer over it, whose update
knows no time to live (a lease would never expire) and hides whether an answer came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from services.jetstream.api import ANSWER_SECONDS, DEADLINE_SECONDS, ApiError, ask, exchange
from services.jetstream.batch import AGAIN, EXPECTED, WRONG_SEQUENCE
from services.jetstream.connect import Client
from services.jetstream.messages import last_message

TTL = "Nats-TTL"
OPERATION = "KV-Operation"
PURGE: Mapping[str, str] = {OPERATION: "PURGE", "Nats-Rollup": "sub"}
BUSY = 10164
"""Another conditional write of the key is on its way (R3)."""


class Changed(Exception):
    """Somebody else wrote the key since, or an earlier attempt of ours has arrived."""


class Unanswered(Exception):
    """No answer came, or none that says much: the key may be written or not."""


class Entry(NamedTuple):
    """What a key holds; *value* is None where there is nothing, *revision* 0 where never was."""

    revision: int
    value: bytes | None
    headers: Mapping[str, str] = {}


async def look(nc: Client, bucket: str, key: str, *, deadline: float = DEADLINE_SECONDS) -> Entry:
    """Return what *key* holds, as the leader has it; raises NoStream, NoAnswer and ApiError."""
    stored = await last_message(nc, f"KV_{bucket}", f"$KV.{bucket}.{key}", deadline=deadline)
    if stored is None:
        return Entry(0, None)
    value = None if stored.headers.get(OPERATION) else stored.payload
    return Entry(stored.seq, value, stored.headers)


async def write(  # noqa: PLR0913 - what, where, on which condition, and for how long
    nc: Client,
    bucket: str,
    key: str,
    value: bytes,
    *,
    expected: int | None = None,
    ttl: int | None = None,
    headers: Mapping[str, str] = {},
    seconds: float = ANSWER_SECONDS,
) -> int:
    """Write *key*, for *ttl* whole seconds, and return its new revision.

    With *expected* only where its last revision is that one, 0 for none. Raises Changed where it is
    not, Unanswered where no answer came within *seconds*, and ApiError for any other refusal.
    """
    subject = f"$KV.{bucket}.{key}"
    added = dict(headers)
    if expected is not None:
        added[EXPECTED] = str(expected)
    if ttl is not None:
        added[TTL] = f"{ttl}s"
    answer = await exchange(nc, subject, value, headers=added or None, timeout=seconds)
    if answer is None:
        raise Unanswered(subject)
    reply = msgspec.json.decode(answer.data)
    if error := reply.get("error"):
        if error["err_code"] in {WRONG_SEQUENCE, BUSY}:
            raise Changed(subject)
        if error["err_code"] in AGAIN:
            raise Unanswered(subject)
        raise ApiError(
            subject, error.get("code", 0), error["err_code"], error.get("description", "refused")
        )
    return int(reply["seq"])


async def purge(
    nc: Client, bucket: str, key: str, *, expected: int, seconds: float = ANSWER_SECONDS
) -> int:
    """Empty *key* if its revision still is *expected*; otherwise as `write`."""
    return await write(nc, bucket, key, b"", expected=expected, headers=PURGE, seconds=seconds)


async def keys(nc: Client, bucket: str, pattern: str) -> list[str]:
    """Return the keys under *pattern*, emptied ones too; raises NoAnswer and ApiError."""
    prefix = f"$KV.{bucket}."
    request = {"subjects_filter": prefix + pattern}
    answer = await ask(nc, f"STREAM.INFO.KV_{bucket}", request)
    subjects = answer["state"].get("subjects") or {}
    return sorted(subject.removeprefix(prefix) for subject in subjects)
