"""A port of our own on loopback, which can also refuse."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable

from services.demo.exchange import NO_LINGERING, Handshake, abort

HOST = "127.0.0.1"
BACKLOG = 128
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """Hands each connection to *handler*; the port is the same before and after a refusal.

    A second socket, bound but never listening, holds the port meanwhile, so that the system gives
    it to nobody else. *port* 0 is a free one; *greet* says what becomes of each connection. Must be
    made, opened and closed within a running event loop.
    """

    def __init__(
        self,
        handler: Handler,
        port: int = 0,
        *,
        host: str = HOST,
        greet: Callable[[], Handshake] = Handshake,
    ) -> None:
        self._handler = handler
        self._greet = greet
        self._loop = asyncio.get_running_loop()
        self._host = host
        self._holder = _bound(host, port)
        self.port: int = self._holder.getsockname()[1]
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def listening(self) -> bool:
        """Whether connections are taken."""
        return self._socket is not None

    def open(self) -> None:
        """Take connections from now on."""
        if self._socket is None:
            self._socket = _bound(self._host, self.port)
            self._socket.listen(BACKLOG)
            self._loop.add_reader(self._socket, self._accept, self._socket)

    def refuse(self) -> None:
        """Refuse connections from now on, and end those that are open."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for writer in self._writers:
            # At once, so that a client that keeps it sees that it is of no more use.
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            abort(writer)

    async def close(self) -> None:
        """Give up the port and end every connection."""
        self.refuse()
        self._holder.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, ConnectionError):
            return
        greeting = self._greet()
        if greeting.refuse:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
            connection.close()
            return
        task = self._loop.create_task(self._serve(connection, greeting.tls))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        connection.setblocking(False)  # noqa: FBT003 - its one argument
        reader = asyncio.StreamReader(loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=tls
            )
        except OSError:
            return  # no handshake: whoever came does not trust us, or has gone
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        self._writers.add(writer)
        try:
            await self._handler(reader, writer)
        except (ConnectionError, ssl.SSLError):
            pass  # the client is gone, and with it whoever could be told
        finally:
            self._writers.discard(writer)
            writer.close()


def _bound(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as the connections inherit
    made.setblocking(False)  # noqa: FBT003 - its one argument
    try:
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
