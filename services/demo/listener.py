"""A port of our own on loopback, which can also refuse."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

from services.demo.exchange import abort

HOST = "127.0.0.1"
BACKLOG = 128
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """Hands each connection to *handler*; the port is the same before and after a refusal.

    A second socket, bound but never listening, holds the port meanwhile, so that the system gives
    it to nobody else. *port* 0 is a free one. Must be made, opened and closed within a running
    event loop.
    """

    def __init__(self, handler: Handler, port: int = 0) -> None:
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._holder = _bound(port)
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
            self._socket = _bound(self.port)
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
        task = self._loop.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        connection.setblocking(False)  # noqa: FBT003 - its one argument
        reader, writer = await asyncio.open_connection(sock=connection)
        self._writers.add(writer)
        try:
            await self._handler(reader, writer)
        except ConnectionError:
            pass  # the client is gone, and with it whoever could be told
        finally:
            self._writers.discard(writer)
            writer.close()


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as the connections inherit
    made.setblocking(False)  # noqa: FBT003 - its one argument
    try:
        made.bind((HOST, port))
    except OSError:
        made.close()
        raise
    return made
