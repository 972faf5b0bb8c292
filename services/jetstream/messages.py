"""One message of a stream, and what a stream is: asked of its leader."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from events.envelope import Stored
from events.subjects import AUDIT, AUDIT_SUBJECTS, FACT_SUBJECTS, FACTS
from services.jetstream.api import (
    DEADLINE_SECONDS,
    NO_MESSAGE,
    NO_STREAM,
    ApiError,
    NoStream,
    ask,
    stream_info,
)
from services.jetstream.connect import Client
from services.jetstream.streams import EPOCH_KEY, INSTALLATION_KEY

WHOLE = {FACTS: FACT_SUBJECTS, AUDIT: AUDIT_SUBJECTS}
"""The filter under which every sequence of a stream must be seen."""


RECORDED = "ce-recordedtime"
"""The header of a restored message: when it was recorded first."""


class GapInLog(Exception):
    """A sequence is missing in the middle of a stream: its store was damaged."""

    def __init__(self, stream: str, seq: int) -> None:
        super().__init__(f"stream {stream}: sequence {seq} is missing; run `modelog verify`")
        self.stream = stream
        self.seq = seq


class StreamInfo(NamedTuple):
    """Which log a stream is, and how far it reaches; *installation* is the fact stream's alone."""

    epoch: str
    installation: str
    first_seq: int
    last_seq: int


async def info(nc: Client, stream: str, *, deadline: float = DEADLINE_SECONDS) -> StreamInfo:
    """Return which log *stream* is; raises NoStream, NoAnswer and ApiError."""
    answer = await stream_info(nc, stream, deadline=deadline)
    metadata = answer["config"].get("metadata") or {}
    state = answer["state"]
    return StreamInfo(
        metadata.get(EPOCH_KEY, ""),
        metadata.get(INSTALLATION_KEY, ""),
        state["first_seq"],
        state["last_seq"],
    )


async def message(
    nc: Client,
    stream: str,
    seq: int,
    *,
    filter: str | None = None,
    deadline: float = DEADLINE_SECONDS,
) -> Stored | None:
    """Return the message at *seq*, None where there is none; the leader answers.

    With *filter* it is the first one from *seq* on whose subject matches. Raises NoStream, NoAnswer
    and ApiError.
    """
    request = {"seq": seq} if filter is None else {"seq": seq, "next_by_subj": filter}
    return await _get(nc, stream, request, deadline)


async def last_message(
    nc: Client, stream: str, subject: str, *, deadline: float = DEADLINE_SECONDS
) -> Stored | None:
    """Return the newest message whose subject matches *subject*, None where there is none.

    The leader answers. Raises NoStream, NoAnswer and ApiError.
    """
    return await _get(nc, stream, {"last_by_subj": subject}, deadline)


async def _get(
    nc: Client, stream: str, request: Mapping[str, object], deadline: float
) -> Stored | None:
    try:
        answer = await ask(nc, f"STREAM.MSG.GET.{stream}", request, deadline=deadline)
    except ApiError as error:
        if error.err_code == NO_MESSAGE:
            return None
        if error.err_code == NO_STREAM:
            raise NoStream(stream) from error
        raise
    found = answer["message"]
    headers = headers_of(b64decode(found.get("hdrs", "")))
    return Stored(
        found["seq"],
        found["subject"],
        recorded(headers, nanoseconds(found["time"])),
        headers,
        b64decode(found.get("data", "")),
    )


def recorded(headers: Mapping[str, str], stored_ns: int) -> int:
    """Return when a message was recorded first: a restored log keeps that in a header.

    *stored_ns* is the server's time of this copy.
    """
    told = headers.get(RECORDED)
    return stored_ns if told is None else nanoseconds(told)


def headers_of(raw: bytes) -> dict[str, str]:
    """Return the headers of a message as the stream keeps them: ``NATS/1.0``, then lines."""
    headers: dict[str, str] = {}
    for line in raw.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.decode()] = value.strip().decode("utf-8", "replace")
    return headers


def nanoseconds(text: str) -> int:
    """Return the server's time, RFC 3339 in UTC with up to nine digits, since 1970."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return _seconds(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))


@lru_cache(maxsize=64)
def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp())
