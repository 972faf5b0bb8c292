"""A real nats-server for every test that wants one, and the faults that tests inflict on it."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest
from nats.aio.client import Client

from services.jetstream.connect import close, connect
from services.jetstream.server import Server, binary


@asynccontextmanager
async def running(store: Path, port: int | None = None) -> AsyncIterator[Server]:
    """A server over *store*, ended (however it was treated) with the block."""
    server = await Server.start(store, port=port, deadline=20)
    try:
        yield server
    finally:
        await server.stop(deadline=2)


class Configured:
    """A server with a configuration of the test's own, whichever loop runs: its URL and its log."""

    def __init__(self, folder: Path, more: str) -> None:
        self.log = folder / "server.log"
        self.url = ""
        self._folder = folder
        self._more = more
        self._start("-1")

    def wait(self, happened: Callable[[], bool]) -> None:
        """Wait for what the server tells in a file; at most ten seconds."""
        end = time.monotonic() + 10
        while not happened():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.01)

    def _start(self, port: str) -> None:
        settings = self._folder / "server.conf"
        settings.write_text(
            f'listen: "127.0.0.1:{port}"\n'
            f'ports_file_dir: "{self._folder}"\n'
            f'jetstream {{ store_dir: "{self._folder}/store", sync_interval: always }}\n'
            f"{self._more}\n"
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([binary(), "--config", settings], stderr=log)
        ports = self._folder / f"nats-server_{self._process.pid}.ports"
        try:
            self.wait(lambda: ports.exists() and ports.read_text() != "")
        except AssertionError:
            self.stop()
            raise
        self.url = json.loads(ports.read_text())["nats"][0]

    def restart(self) -> None:
        """Kill it, and start it again on its port."""
        self._process.kill()
        self._process.wait()
        self._start(self.url.rpartition(":")[2])

    def stop(self) -> None:
        """End it, however it behaves."""
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def reload(self) -> None:
        """Let it read its configuration again."""
        told = "Reloaded server configuration"
        before = self.log.read_text().count(told)
        self._process.send_signal(signal.SIGHUP)
        self.wait(lambda: self.log.read_text().count(told) > before)


@contextmanager
def configured(folder: Path, more: str) -> Iterator[Configured]:
    """A server over *folder* whose configuration ends with *more*, such as an `include`."""
    server = Configured(folder, more)
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def connected(
    url: str, role: str = "test", credentials: str | None = None
) -> AsyncIterator[Client]:
    """A connection, closed with the block."""
    nc = await connect(url, role=role, credentials=credentials, deadline=10)
    try:
        yield nc
    finally:
        await close(nc)


async def killed(server: Server) -> None:
    """Kill *server* with SIGKILL, and wait until it is gone."""
    with suppress(ProcessLookupError):
        server.process.kill()
    await server.process.wait()


async def restarted(server: Server) -> Server:
    """Start another server over the store and on the port of *server*, which has ended."""
    again = await Server.start(server.store, port=server.port, deadline=20)
    assert again.url == server.url, "the port of the first server was taken meanwhile"
    return again


def copy_store(server: Server, target: Path) -> None:
    """Copy the store of a server that has ended."""
    shutil.copytree(server.store, target)


async def until(happened: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for what nobody announces; at most *seconds*."""
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110 - no event exists to wait for
            await asyncio.sleep(0.01)


class Servers:
    """One address whose server can be killed and started again; the last one ends with the test."""

    def __init__(self, server: Server) -> None:
        self.current = server

    @property
    def url(self) -> str:
        return self.current.url

    async def kill(self) -> None:
        await killed(self.current)

    async def start(self) -> None:
        self.current = await restarted(self.current)

    async def restart(self) -> None:
        await self.kill()
        await self.start()


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[Server]:
    """A fresh server on a free port."""
    async with running(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def servers(nats_server: Server) -> AsyncIterator[Servers]:
    """The same, to be killed and started again."""
    several = Servers(nats_server)
    try:
        yield several
    finally:
        await several.current.stop(deadline=2)


@pytest.fixture
async def nc(nats_server: Server) -> AsyncIterator[Client]:
    """A connection to `nats_server`."""
    async with connected(nats_server.url) as client:
        yield client


class Proxy:
    """A TCP relay before a server that can swallow what the server says, or cut the line.

    From the first bytes of the server that hold `swallow` on, nothing comes through to the client:
    what it sent has arrived, and every acknowledgement is lost. `cut` ends that.
    """

    def __init__(self, target: int) -> None:
        self.swallow: bytes | None = None
        self.swallowed = asyncio.Event()
        self._target = target
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """End every connection; clients may come again, and hear everything."""
        self.swallow = None
        self.swallowed.clear()
        for writer in self._writers:
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink, from_server in ((reader, ours, False), (theirs, writer, True)):
            self._writers.add(sink)
            pipe = asyncio.create_task(self._pipe(source, sink, from_server=from_server))
            self._pipes.add(pipe)

    async def _pipe(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, from_server: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if from_server and self.swallow is not None and self.swallow in data:
                    self.swallowed.set()
                if from_server and self.swallowed.is_set():
                    continue
                sink.write(data)
                await sink.drain()
        sink.close()
        with suppress(OSError):
            await sink.wait_closed()
        self._writers.discard(sink)


class Cluster(list[str]):
    """The URLs of servers that replicate, and their processes."""

    def __init__(self, urls: list[str], nodes: list[asyncio.subprocess.Process]) -> None:
        super().__init__(urls)
        self.nodes = nodes

    async def kill(self, name: str) -> None:
        """Kill the server of that name with SIGKILL."""
        node = self.nodes[int(name.removeprefix("node"))]
        node.kill()
        await node.wait()


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Three servers that replicate; yields their URLs, and fails where one cannot be started."""
    ports = [_free_port() for _ in range(6)]
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports[3:])
    nodes: list[asyncio.subprocess.Process] = []
    try:
        for number in range(3):
            settings = folder / f"node{number}.conf"
            settings.write_text(
                f'listen: "127.0.0.1:{ports[number]}"\n'
                f'server_name: "node{number}"\n'
                f'jetstream {{ store_dir: "{folder}/node{number}", sync_interval: always }}\n'
                f'cluster {{ name: "three", listen: "127.0.0.1:{ports[3 + number]}", '
                f"routes: [{routes}] }}\n"
            )
            nodes.append(
                await asyncio.create_subprocess_exec(
                    binary(), "--config", settings, stderr=asyncio.subprocess.DEVNULL
                )
            )
        yield Cluster([f"nats://127.0.0.1:{port}" for port in ports[:3]], nodes)
    finally:
        for node in nodes:
            with suppress(ProcessLookupError):
                node.kill()
            await node.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
