"""The log: reached where a server runs, or by one of our own for as long as a command lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from events.base import Instant
from events.subjects import FACT_SUBJECTS, FACTS
from services.cli.failures import UNREACHABLE, Refusal
from services.config import Config
from services.directory import DataDirectory
from services.group import Group
from services.jetstream.connect import Client, close, connect
from services.jetstream.read import pages
from services.jetstream.server import Server
from services.login import login


class Reached(NamedTuple):
    """A connection to the log; *server* is our own, where none was running."""

    nc: Client
    server: Server | None


def address(config: Config) -> str:
    """Return the URL of the running server; refuse where none is known."""
    url = config.nats.url or DataDirectory(config.data).live_url()
    if url is None:
        told = (
            f"no server runs on {config.data}; start one with `modelog up`, or set MODELOG_NATS_URL"
        )
        raise Refusal(told, UNREACHABLE)
    return url


@asynccontextmanager
async def connection(config: Config, url: str, *, role: str) -> AsyncIterator[Client]:
    """Connect to *url* in *role*; raises NoServer and KeyUnavailable."""
    nc = await connect(url, role=role, credentials=await login(config.nats, role))
    try:
        yield nc
    finally:
        await close(nc)


@asynccontextmanager
async def log_server(config: Config, *, role: str, create: bool = False) -> AsyncIterator[Reached]:
    """Reach the log: by the URL of *config*, the running server, or one of our own.

    Our own holds the directory's lock and ends with this process, however that ends. Raises
    DirectoryHeld, NoServer and ServerFailed, and refuses where there is no log, unless it is to be
    created.
    """
    directory = DataDirectory(config.data)
    url = config.nats.url or directory.live_url()
    async with AsyncExitStack() as stack:
        server = None
        if url is None:
            if not create and not directory.nats_store.is_dir():
                raise Refusal(
                    f"there is no log in {config.data}; start with `modelog up`", UNREACHABLE
                )
            stack.enter_context(directory.lock())
            group = await Group.start()
            stack.push_async_callback(group.stop)
            server = await Server.start(directory.nats_store, process_group=group.id)
            stack.push_async_callback(server.stop)
            url = server.url
        yield Reached(await stack.enter_async_context(connection(config, url, role=role)), server)


async def sequence_at(client: Client, moment: int | Instant) -> int:
    """Return the sequence of the facts that *moment* means.

    A time means the largest one whose running maximum of `at` is not later. Raises what reading
    raises.
    """
    if isinstance(moment, int):
        return moment
    found = 0
    async for page in pages(client, FACTS, after=0, filter=FACT_SUBJECTS):
        for stored in page:
            if stored.headers.get("ce-time", "") > moment:
                return found
            found = stored.seq
    return found
