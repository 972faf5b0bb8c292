"""The lines of a backup: JSON, each says what it is; a message comes back as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

import msgspec

from events.envelope import Stored
from services.jetstream.messages import nanoseconds

FORMAT = "modelog-log"
VERSION = 1
LONGEST = 4_000_000
"""Bytes of a line: the largest message, were each of its bytes spelled as an escape."""


Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""A SHA-256 in hexadecimal: damage may leave any other text."""


class Line(msgspec.Struct, frozen=True, tag_field="line", omit_defaults=True):
    """One line of a file."""


class Extent(msgspec.Struct, frozen=True):
    """What a file holds of one stream: the messages behind sequence *after*, up to *last*.

    *before* is the rolling hash (hex) that the file's chain goes on from; *anchor* the own hash of
    the message at *after*, null where it has aged or there is none.
    """

    stream: str
    after: int
    last: int
    before: Hash
    anchor: str | None = None


class Header(Line, frozen=True, tag="header"):
    """The first line: which log this is, and how much of it; *chain_every* counts messages."""

    format: str
    version: int
    installation: str
    epoch: str
    written_at: str
    chain_every: int
    streams: list[Extent]


class Event(Line, frozen=True, tag="event"):
    """A message; its payload is text where it is UTF-8, else base64; *recorded* has nanoseconds."""

    stream: str
    seq: int
    subject: str
    recorded: str
    headers: dict[str, str]
    payload: str | None = None
    base64: bytes | None = None


class Link(Line, frozen=True, tag="chain"):
    """The rolling hash of a stream behind the message at *seq*."""

    stream: str
    seq: int
    hash: Hash


class End(Line, frozen=True, tag="end"):
    """The last line: how many messages of each stream there are, and the SHA-256 of all before."""

    events: dict[str, int]
    hashes: dict[str, Hash]
    sha256: Hash


AnyLine = Header | Event | Link | End
_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[AnyLine] = msgspec.json.Decoder(AnyLine)


def encode(line: AnyLine) -> bytes:
    """Write *line*, with its end."""
    return _encode(line) + b"\n"


def decode(line: bytes) -> AnyLine:
    """Read a line; raises msgspec.DecodeError where it is none of ours."""
    return _decoder.decode(line)


def event(stream: str, stored: Stored) -> Event:
    """Return the line of a message."""
    text, raw = None, None
    try:
        text = stored.payload.decode()
    except UnicodeDecodeError:
        raw = stored.payload
    recorded = spelled(stored.recorded_ns)
    return Event(stream, stored.seq, stored.subject, recorded, dict(stored.headers), text, raw)


def stored(line: Event) -> Stored:
    """Return the message of a line; raises ValueError where its time is none."""
    payload = (line.base64 or b"") if line.payload is None else line.payload.encode()
    return Stored(line.seq, line.subject, nanoseconds(line.recorded), line.headers, payload)


def message(raw: bytes, stream: str) -> Stored:
    """Read a line that must be a message of *stream*; raises ValueError."""
    line = decode(raw)
    if not isinstance(line, Event) or line.stream != stream:
        raise ValueError(f"a line is no message of {stream}")
    return stored(line)


def spelled(recorded_ns: int) -> str:
    """Return the server's time as RFC 3339 in UTC, with nine digits."""
    seconds, fraction = divmod(recorded_ns, 1_000_000_000)
    return f"{_second(seconds)}.{fraction:09d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
