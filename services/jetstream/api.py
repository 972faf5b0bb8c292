"""Questions to JetStream: JSON in, JSON out; and an exchange whose answer may get lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
from nats.aio.msg import Msg
from nats.errors import NoRespondersError, OutboundBufferLimitError
from nats.errors import TimeoutError as NoReplyError

from services.jetstream.connect import Client

PREFIX = "$JS.API."
ANSWER_SECONDS = 5.0
DEADLINE_SECONDS = 15.0
_AGAIN_SECONDS = 0.1
LOOK_SECONDS = 0.05

Answer = TypeVar("Answer")

UNAVAILABLE = 10008
"""JetStream is starting, or a cluster elects a leader."""
NO_MESSAGE = 10037
NO_STREAM = 10059


class ApiError(Exception):
    """JetStream refuses a request; *err_code* says why, the HTTP-like *code* only how."""

    def __init__(self, subject: str, code: int, err_code: int, description: str) -> None:
        super().__init__(f"{subject}: {description} ({err_code})")
        self.code = code
        self.err_code = err_code
        self.description = description


class NoAnswer(Exception):
    """JetStream does not answer: it is away, or this role may not ask."""


class NoStream(Exception):
    """A stream does not exist: the log was never created, or is gone."""

    def __init__(self, stream: str) -> None:
        super().__init__(f"there is no stream {stream}; create it with `modelog init`")


async def exchange(
    nc: Client,
    subject: str,
    payload: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    timeout: float = ANSWER_SECONDS,  # noqa: ASYNC109 - part of the protocol, not of the caller
) -> Msg | None:
    """Send one request, and return its answer or None where none came.

    None means *unknown*: the request may have been carried out. It is returned after *timeout*
    seconds, when nobody listens, and as soon as the connection was made anew meanwhile, for then
    the answer is lost. Raises ConnectionClosedError where the connection is closed for good.
    """
    try:
        return await heard(nc, nc.request(subject, payload, timeout=timeout, headers=headers))
    except (NoReplyError, NoRespondersError, OutboundBufferLimitError):
        return None


async def heard(nc: Client, question: Coroutine[None, None, Answer]) -> Answer:
    """Await what the server answers to *question*.

    Raises nats-py's TimeoutError as soon as the connection was made anew, for then the answer is
    lost, and what *question* raises.
    """
    connections = nc.stats["reconnects"]
    asking = asyncio.ensure_future(question)
    try:
        while not (await asyncio.wait((asking,), timeout=LOOK_SECONDS))[0]:
            if nc.stats["reconnects"] != connections:
                raise NoReplyError
        return asking.result()
    finally:
        asking.cancel()


async def ask(
    nc: Client,
    subject: str,
    request: object = None,
    *,
    deadline: float = DEADLINE_SECONDS,
) -> dict[str, Any]:
    """Ask JetStream until it answers, and return the answer.

    *subject* is given without its prefix. Only for requests that may be repeated. Raises ApiError
    where it refuses, and NoAnswer after *deadline* seconds.
    """
    payload = b"" if request is None else msgspec.json.encode(request)
    end = asyncio.get_running_loop().time() + deadline
    while True:
        left = end - asyncio.get_running_loop().time()
        answer = await exchange(
            nc, PREFIX + subject, payload, timeout=max(0.1, min(left, ANSWER_SECONDS))
        )
        reply = None if answer is None else msgspec.json.decode(answer.data, type=dict[str, Any])
        late = left <= _AGAIN_SECONDS
        if reply is not None and (late or _code(reply) != UNAVAILABLE):
            return _checked(subject, reply)
        if late:
            raise NoAnswer(f"no answer from JetStream to {PREFIX}{subject} in {deadline:g} s")
        await asyncio.sleep(_AGAIN_SECONDS)


async def stream_info(
    nc: Client, stream: str, *, deadline: float = DEADLINE_SECONDS
) -> dict[str, Any]:
    """Return `config` and `state` of *stream*; raises NoStream and what `ask` raises."""
    try:
        return await ask(nc, f"STREAM.INFO.{stream}", deadline=deadline)
    except ApiError as error:
        if error.err_code == NO_STREAM:
            raise NoStream(stream) from error
        raise


def _code(answer: dict[str, Any]) -> int:
    return int((answer.get("error") or {}).get("err_code", 0))


def _checked(subject: str, answer: dict[str, Any]) -> dict[str, Any]:
    if error := answer.get("error"):
        raise ApiError(
            subject,
            error.get("code", 0),
            error.get("err_code", 0),
            error.get("description", "refused"),
        )
    return answer
