"""A small HTTP server on loopback that answers, or misbehaves, as each test scripts it.

A test gives a function from what was asked to what happens: an `Act`, which writes whatever it
likes. The acts below are made of bytes and sockets alone, so that they can break every rule.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import msgspec


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Act = Callable[[asyncio.StreamWriter], Awaitable[None]]
Script = Callable[[Asked], Act]


class Server(NamedTuple):
    """Where it listens, what it was asked so far, and whether anything was."""

    url: str
    port: int
    asked: list[Asked]
    arrived: asyncio.Event


@asynccontextmanager
async def serving(
    script: Script | Act | Sequence[Act], *, tls: ssl.SSLContext | None = None, name: str = ""
) -> AsyncIterator[Server]:
    """Serve *script* on a free port: a function of each request, one act, or one act a request."""
    asked: list[Asked] = []
    arrived = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while (request := await _request(reader)) is not None:
                asked.append(request)
                arrived.set()
                await _act(script, request, len(asked) - 1)(writer)
                await writer.drain()
                if writer.is_closing():
                    return
        except (ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass  # the client's doing, or the end of the test
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    scheme = "http" if tls is None else "https"
    try:
        yield Server(f"{scheme}://{name or '127.0.0.1'}:{port}", port, asked, arrived)
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def _act(script: Script | Act | Sequence[Act], request: Asked, number: int) -> Act:
    if isinstance(script, Sequence):
        return script[min(number, len(script) - 1)]
    if getattr(script, "is_act", False):
        return script  # type: ignore[return-value] # `act` has marked it
    return script(request)  # type: ignore[arg-type,return-value] # so it is no act


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body)


def act(function: Act) -> Act:
    """Mark *function* as an act, so that it may be a whole script."""
    function.is_act = True  # type: ignore[attr-defined] # functions take attributes
    return function


def reply(
    body: bytes | str = b"",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    length: int | None = None,
) -> Act:
    """Answer with *body*; *length* is a Content-Length that may lie."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever"]
    sent = {
        "content-type": "application/json",
        "content-length": str(len(data) if length is None else length),
        **(headers or {}),
    }
    lines += [f"{name}: {value}" for name, value in sent.items()]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + data)


def answer(value: object, headers: Mapping[str, str] | None = None) -> Act:
    """Answer 200 with *value* as JSON."""
    return reply(msgspec.json.encode(value), headers=headers)


def gzipped(data: bytes, *, cut: int | None = None, more: bytes = b"") -> Act:
    """Answer with *data* compressed, up to byte *cut* of that, and *more* after it."""
    return reply(gzip.compress(data)[:cut] + more, headers={"content-encoding": "gzip"})


def redirect(location: str, status: int = 302) -> Act:
    """Answer with a redirect."""
    return reply(b"", status, {"location": location})


def raw(data: bytes, *, close: bool = False) -> Act:
    """Write *data* as it is, and perhaps hang up."""

    @act
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if close:
            await hang_up(writer)

    return write


def truncated(data: bytes, length: int) -> Act:
    """Promise *length* bytes, send *data*, and hang up."""
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode()
    return raw(head + data, close=True)


@act
async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close the connection in good order."""
    await writer.drain()
    writer.close()


@act
async def hang(_: asyncio.StreamWriter) -> None:
    """Say nothing until the test is over."""
    await asyncio.Event().wait()


@act
async def reset(writer: asyncio.StreamWriter) -> None:
    """Send a reset instead of an answer."""
    await _reset(writer)


async def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def drip(data: bytes, pause: float) -> Act:
    """Answer with *data*, a byte every *pause* seconds."""

    @act
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(data)}\r\n\r\n".encode())
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return write


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@contextmanager
def refusing_port() -> Iterator[int]:
    """Yield a port that refuses connections, and that nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@asynccontextmanager
async def full_backlog() -> AsyncIterator[str]:
    """Yield the URL of a port that takes no connection: its queue is full for good."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        host, port = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex((host, port))
        try:
            yield f"http://{host}:{port}"
        finally:
            for each in waiting:
                each.close()
