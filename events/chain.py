"""The rolling hash of a stream: one number that differs where two histories do.

h0 = SHA-256("modelog/1" | stream), without the epoch, so that a restored log has the same chain;
hn = SHA-256(hn-1 | seq | subject | sorted ce-* headers but ce-recordedtime | payload), every field
behind its length.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from events.envelope import Stored

LENGTH = 4
"""Bytes of a field's length, big-endian."""


def start(stream: str) -> bytes:
    """Return the hash of *stream* before its first event."""
    return sha256(_joined([b"modelog/1", stream.encode()])).digest()


def link(previous: bytes, stored: Stored) -> bytes:
    """Return the hash behind *stored*, whose predecessor's is *previous*."""
    headers = stored.headers
    fields = [previous, b"%d" % stored.seq, stored.subject.encode()]
    fields += [f"{name}:{headers[name]}".encode() for name in _told(tuple(headers))]
    fields.append(stored.payload)
    return sha256(_joined(fields)).digest()


@lru_cache(maxsize=256)
def _told(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of *names* are hashed, in their order: millions of messages have the same."""
    told = (name for name in names if name.startswith("ce-") and name != "ce-recordedtime")
    return tuple(sorted(told, key="{}:".format))


def _joined(fields: list[bytes]) -> bytes:
    parts = [b""] * (2 * len(fields))
    parts[::2] = [len(field).to_bytes(LENGTH, "big") for field in fields]
    parts[1::2] = fields
    return b"".join(parts)
