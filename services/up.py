"""Everything on this machine: the directory's lock, the embedded server, the log, the processes."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from services import clock
from services.config import Config
from services.directory import DataDirectory
from services.group import Group
from services.jetstream.connect import close, connect
from services.jetstream.server import Server, ServerFailed
from services.jetstream.setup import ensure
from services.login import login
from services.logs import say
from services.supervisor import LONGEST, SHORTEST, STEADY, Child, Supervisor

PORT = 4222
"""The wish of an embedded server; where it is taken, a free one is used."""
STOP_SECONDS = 2.5
"""Seconds that the server has to end: with the processes before it, `up` stops within ten."""
PROCESSES = ("projector", "health-monitor", "refresher")
"""In the order in which they start; they stop in the other one, so that the last facts are read.

The notifier is the last one, where anybody is to be told.
"""


@asynccontextmanager
async def running(  # noqa: PLR0913 - what differs between `up` and `demo`
    config: Config,
    *,
    arguments: Sequence[str] = (),
    more: Mapping[str, Sequence[str]] = {},
    environment: Mapping[str, str] = {},
    before: Sequence[Child] = (),
    port: int = PORT,
    out: int | None = None,
) -> AsyncIterator[tuple[str, Supervisor]]:
    """Run all processes over the data directory of *config*; yield the server's URL.

    *arguments* and *environment* go to every process, *more* arguments to the one that they are
    under, *before* are children to start first.
    Raises DirectoryHeld where another `up` has the directory, NoServer where a URL is given and
    nothing listens there, and what `ensure` raises.
    """
    directory = DataDirectory(config.data)
    async with AsyncExitStack() as stack:
        stack.enter_context(directory.lock())
        group = await Group.start()
        stack.push_async_callback(group.stop)
        url, monitor_url = config.nats.url, config.nats.monitor_url
        if url is None:
            server = await _embedded(stack, directory, group, port)
            url, monitor_url = server.url, server.monitor_url
        await _init(config, url, monitor_url)
        supervisor = Supervisor(group, out=out)
        own = {"MODELOG_NATS_URL": url, "MODELOG_DATA": str(config.data), **environment}
        children = [child._replace(environment={**own, **child.environment}) for child in before]
        children += [
            Child(name, _command(name, [*arguments, *more.get(name, ())]), own)
            for name in (*PROCESSES, *(["notifier"] if config.notify.anybody else []))
        ]
        for child in children:
            supervisor.keep(child)
            stack.push_async_callback(supervisor.stop, child.name)
        yield url, supervisor


def _command(name: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "services.cli", "run", name, *arguments]


async def _embedded(
    stack: AsyncExitStack, directory: DataDirectory, group: Group, port: int
) -> Server:
    """Start the embedded server, keep it running, and let others find it."""
    keeper = _Keeper(directory.nats_store, group.id)
    await keeper.start(port)
    stack.push_async_callback(keeper.stop)
    directory.publish_url(keeper.server.url)
    stack.callback(directory.withdraw_url)
    return keeper.server


class _Keeper:
    """Starts the embedded server again, on its port, when it dies."""

    def __init__(self, store: Path, group: int) -> None:
        self._store = store
        self._group = group
        self._task: asyncio.Task[None] | None = None

    async def start(self, port: int) -> None:
        self.server = await Server.start(self._store, port=port, process_group=self._group)
        say("nats-server", url=self.server.url, store=self._store)
        self._task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        wait = SHORTEST
        while True:
            began = _now()
            code = await self.server.process.wait()
            if _now() - began > STEADY:
                wait = SHORTEST
            say("restarts", level=logging.WARNING, process="nats-server", code=code)
            while not await self._again(self.server.port):
                await asyncio.sleep(clock.uniform(wait / 2, wait))
                wait = min(2 * wait, LONGEST)

    async def _again(self, port: int) -> bool:
        """Start the server again; False where it does not start, or not on its port."""
        try:
            server = await Server.start(self._store, port=port, process_group=self._group)
        except ServerFailed as error:
            say("not started", level=logging.ERROR, process="nats-server", error=str(error))
            return False
        if server.port != port:
            say("not started", level=logging.ERROR, process="nats-server", taken=port)
            await server.stop(STOP_SECONDS)
            return False
        self.server = server
        return True

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.server.stop(STOP_SECONDS)


async def _init(config: Config, url: str, monitor_url: str | None) -> None:
    """Create or check the streams before anything writes."""
    nc = await connect(url, role="admin", credentials=await login(config.nats, "admin"))
    try:
        report = await ensure(
            nc,
            replicas=config.nats.replicas,
            audit_max_age=config.nats.audit_max_age,
            monitor_url=monitor_url,
        )
        say("log", sync=report.sync, epoch=report.epoch)
    finally:
        await close(nc)


async def up(
    config: Config, *, arguments: Sequence[str] = (), more: Mapping[str, Sequence[str]] = {}
) -> None:
    """Run everything until SIGINT or SIGTERM; raises what `running` raises."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    async with running(config, arguments=arguments, more=more) as (_, supervisor):
        loop.add_signal_handler(signal.SIGHUP, supervisor.reload)
        await told.wait()
        say("stops")


def _now() -> float:
    """Real seconds, also in the demo: a server that dies does so in real time."""
    return asyncio.get_running_loop().time()
