"""One HTTP/1.1 exchange as a server sees it: what was asked, what is answered, how it is sent."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

LONGEST = 1 << 20
"""Bytes of a request's head or body; longer ones are no request of ours."""

NO_LINGERING = struct.pack("ii", 1, 0)
"""The socket option with which closing sends RST."""


class Asked(NamedTuple):
    """A request: *headers* have lower-case names, *query* keeps repeated parameters in order."""

    method: str
    path: str
    target: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    def one(self, parameter: str) -> str | None:
        """Return the first value of a query parameter, or None."""
        return self.query.get(parameter, [None])[0]


class Delivery(NamedTuple):
    """How an answer reaches the client; by default at once and whole.

    Seconds are real ones, as the client's time limits are. *cut* is how many bytes of the body are
    sent before the connection ends, *length* a Content-Length that is claimed instead of the true
    one, *drip* so many bytes every so many seconds; *noise* is sent in place of head and body, and
    ends the connection; *reset* ends with RST instead of FIN; *silent* sends no byte of head or
    body, *hang* neither ends nor goes on after what was sent.
    """

    delay: float = 0.0
    cut: int | None = None
    length: int | None = None
    drip: tuple[int, float] | None = None
    noise: bytes | None = None
    reset: bool = False
    silent: bool = False
    hang: bool = False


class Answer(NamedTuple):
    """A response: *headers* stand beside those that every answer has.

    *packed* has the body compressed by gzip on its way to a client that takes it.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    delivery: Delivery = Delivery()
    packed: bool = False

    def document(self) -> Any:  # noqa: ANN401 - any JSON document
        """Return the body as JSON; raises ValueError where it is none."""
        return json.loads(self.body)


Fault = Callable[[Asked, Answer], Answer]
"""Turns the right answer to a request into a wrong one."""


class Handshake(NamedTuple):
    """What becomes of a connection before its first request.

    *refuse* ends it with RST as it comes, *tls* speaks TLS in place of what the site speaks.
    """

    refuse: bool = False
    tls: ssl.SSLContext | None = None


Step = Fault | Handshake
"""What a script says of one request, or of one connection."""


def in_json(document: object, status: int = 200) -> Answer:
    """Answer with a JSON document."""
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return Answer(status, body, {"content-type": "application/json"})


async def read(reader: asyncio.StreamReader) -> Asked | None:
    """Read one request; None where the client has ended, or sends what is no request."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.split("\r\n")[:-2]
        method, target, _ = start.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", "0"))
        if length > LONGEST:
            return None
        body = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
        return None
    url = urlsplit(target)
    query = parse_qs(url.query, keep_blank_values=True)
    return Asked(method, url.path, target, query, headers, body)


async def send(
    answer: Answer,
    asked: Asked,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    last: bool = False,
) -> bool:
    """Send *answer* the way its delivery says; tell whether the connection can be used again.

    *last*: it cannot, and the answer says so. Raises ConnectionError where the client has gone.
    """
    how = answer.delivery
    keep = not last and asked.headers.get("connection", "").lower() != "close"
    await asyncio.sleep(how.delay)
    if how.noise is not None:
        writer.write(how.noise)
        await writer.drain()
        return False
    if not how.silent:
        body, headers = _encoded(answer, asked)
        writer.write(
            _head(answer, headers, len(body) if how.length is None else how.length, keep=keep)
        )
        await _send_body(body[: how.cut], how, writer)
    if how.hang:
        while await reader.read(LONGEST):
            pass
    if how.reset:
        abort(writer)
    whole = how.cut is None and how.length is None and not (how.silent or how.hang or how.reset)
    return whole and keep


def abort(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST: no lingering, nothing more is sent."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
    writer.transport.abort()


async def _send_body(body: bytes, how: Delivery, writer: asyncio.StreamWriter) -> None:
    size, pause = how.drip or (len(body) or 1, 0.0)
    for start in range(0, len(body), size):
        writer.write(body[start : start + size])
        await writer.drain()
        await asyncio.sleep(pause)
    await writer.drain()


def _encoded(answer: Answer, asked: Asked) -> tuple[bytes, dict[str, str]]:
    headers = {"date": formatdate(usegmt=True), "server": "simulator", **answer.headers}
    if not (answer.packed and answer.body and "gzip" in asked.headers.get("accept-encoding", "")):
        return answer.body, headers
    headers["content-encoding"] = "gzip"
    return gzip.compress(answer.body, compresslevel=1, mtime=0), headers


def _head(answer: Answer, headers: Mapping[str, str], length: int, *, keep: bool) -> bytes:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Overloaded"
    lines = [f"HTTP/1.1 {answer.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if answer.status != HTTPStatus.NOT_MODIFIED:
        lines.append(f"content-length: {length}")
    if not keep:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
