"""Recorded lists through the real refresher, log and projector, on a clock of their own.

Each provider is a server on loopback that answers as it did; a scan is one refresh of each of them,
at the moment of the scan.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.recording import Answer, Scan, dialect_of
from events.envelope import opened
from events.providers import ProviderSchemaChanged
from events.subjects import FACTS
from services import config
from services.calls.call import client
from services.calls.limits import Limits
from services.clock import new_id
from services.demo.exchange import Answer as Sent
from services.demo.exchange import Delivery, read, send
from services.demo.listener import HOST, Listener
from services.demo.shapes import refusal
from services.jetstream.append import Log
from services.jetstream.connect import Client, close, connect
from services.jetstream.read import pages
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from services.process import Host
from services.projector.replay import replay
from services.refresher.asking import Asking
from services.refresher.refresh import Run, refresh
from services.refresher.watched import Watched
from tests.support.clock import ManualClock

EVERYTHING = 2**63 - 1
SECONDS = 10.0
"""Of real time for one fetch; what failed in the recording fails at once here."""


class Replayed(NamedTuple):
    """Seconds that the runs took, and then the projector; the drifts that the log tells of."""

    runs: float
    projection: float
    drifts: list[ProviderSchemaChanged]


class Site:
    """One provider on loopback, which gives the answer that it is told to."""

    def __init__(self) -> None:
        self.answer = Answer(None, None, None)
        self.listener = Listener(self._serve)
        self.listener.open()

    @property
    def base_url(self) -> str:
        """What the configuration calls `base_url`."""
        return f"http://{HOST}:{self.listener.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        going = True
        while going and (asked := await read(reader)) is not None:
            is_list = asked.path.endswith("/models")
            sent = self._sent() if is_list else refusal(404, "not_found_error", "not here")
            going = await send(sent, asked, reader, writer)

    def _sent(self) -> Sent:
        if self.answer.body is not None:
            return Sent(200, self.answer.body, {"content-type": "application/json"})
        if self.answer.status is not None:
            return refusal(self.answer.status, "error", "as it was recorded")
        return Sent(200, b"", {}, Delivery(silent=True))  # it timed out: no answer here either


async def run(scans: Sequence[Scan], folder: Path) -> Replayed:
    """Replay *scans* into ``catalogue.db`` in *folder*."""
    server = await Server.start(folder / "nats")
    nc = await connect(server.url, role="refresher")
    try:
        await ensure(nc, audit_max_age=None, monitor_url=server.monitor_url)
        async with AsyncExitStack() as stack:
            names = sorted({name for scan in scans for name in scan.answers})
            sites = {name: Site() for name in names}
            for site in sites.values():
                stack.push_async_callback(site.listener.close)
            found = configured(folder, sites)
            clock = ManualClock(scans[0].at)
            host = Host("refresher", found, clock, nc, await Log.open(nc))
            http = await stack.enter_async_context(client())
            asking = Asking(http, Limits(len(names), clock=clock), clock)
            watched = {one.name: Watched(one) for one in found.providers}
            began = time.perf_counter()
            for scan in scans:
                clock.moment = scan.at
                for name, answer in scan.answers.items():
                    sites[name].answer = answer
                await all_of(
                    refresh(host, asking, watched[name], Run(new_id())) for name in scan.answers
                )
            runs = time.perf_counter() - began
            began = time.perf_counter()
            await replay(nc, folder / "catalogue.db", EVERYTHING, lambda _done, _all: None)
            projection = time.perf_counter() - began
            return Replayed(runs, projection, await drifts(nc))
    finally:
        await close(nc)
        await server.stop()


async def drifts(nc: Client) -> list[ProviderSchemaChanged]:
    """Return every drift that the log tells of."""
    return [
        event
        async for page in pages(nc, FACTS, after=0, filter="log.provider.*.schema_changed")
        for stored in page
        if isinstance(event := opened(FACTS, stored).event, ProviderSchemaChanged)
    ]


async def all_of(runs: Iterable[object]) -> None:
    """Run them side by side; one that raises ends the others."""
    async with asyncio.TaskGroup() as group:
        for one in runs:
            group.create_task(one)  # type: ignore[arg-type]  # coroutines


def configured(folder: Path, sites: dict[str, Site]) -> config.Config:
    """Return the defaults of a configuration with these providers."""
    key, file = folder / "key", folder / "modelog.toml"
    key.write_text("a-key-for-loopback")
    # the recorder had tried three times before it called an answer a failure
    lines = ["[refresh]", "attempts = 1", f'timeout = "{SECONDS:.0f}s"']
    for name, site in sites.items():
        lines += [
            "[[providers]]",
            f'name = "{name}"',
            f'dialect = "{dialect_of(name)}"',
            f'base_url = "{site.base_url}"',
            f'api_key = {{ file = "{key}" }}',
        ]
    file.write_text("\n".join(lines))
    return config.load(file, data=folder / "data", environ={})
