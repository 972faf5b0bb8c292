"""A data directory, the server of its log, and the projector over both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from events.codec import FactEvent
from events.models import ModelAdded
from events.record import ModelRecord
from events.subjects import FACTS
from projections import Catalogue
from services.jetstream.append import Log
from services.jetstream.server import Server
from services.projector.replay import replay
from tests.support.cli import Answer, modelog
from tests.support.logs import sealed, tell
from tests.support.nats import until
from tests.support.processes import Process, spawned
from tests.support.refreshing import configuration

AT = "2026-04-01T00:00:00.000Z"


def added(*ids: str, provider: str = "acme") -> list[FactEvent]:
    return [
        ModelAdded(at=AT, provider=provider, model=ModelRecord(id=id_, name=id_)) for id_ in ids
    ]


async def append(nc: Client, facts: list[FactEvent], provider: str = "acme") -> int:
    """Append *facts* as one batch; return their last sequence."""
    log = await Log.open(nc)
    expected = await log.last("model", provider)
    done = await log.append(sealed(facts), family="model", provider=provider, expected=expected)
    return done.last


class Projected:
    """A data directory, its log's server, and the projector over it."""

    def __init__(self, folder: Path, nc: Client, url: str) -> None:
        self.folder = folder
        self.nc = nc
        self.env = {"MODELOG_NATS_URL": url}
        self.data = folder / ".modelog"
        self.link = self.data / "catalogue.db"
        (folder / "modelog.toml").write_text(configuration())

    @asynccontextmanager
    async def projector(self) -> AsyncIterator[Process]:
        async with spawned(self.folder, "run", "projector", env=self.env) as process:
            await process.line(" ready ")
            yield process

    async def halts(self) -> Answer:
        """Run the projector until it stops by itself."""
        words = ("run", "projector")
        return await asyncio.to_thread(modelog, *words, cwd=self.folder, env=self.env)

    async def once(self) -> None:
        """Let the projector catch up, and stop it."""
        async with self.projector() as process:
            assert await process.stop() == 0

    def seq(self, stream: str = FACTS) -> int:
        with Catalogue.open(self.link) as catalogue:
            found = catalogue.checkpoint().get(stream)
            return found.seq if found else 0

    async def reached(self, seq: int, stream: str = FACTS) -> None:
        await until(lambda: self.link.exists() and self.seq(stream) >= seq)

    def generations(self) -> list[Path]:
        return sorted(self.data.glob("catalogue.*.db"))

    async def fresh(self) -> Path:
        """Fold the whole log into a file of its own."""
        target = self.folder / "fresh.db"
        await replay(self.nc, target, 1 << 40, lambda _done, _total: None)
        return target


@pytest.fixture
async def projected(nats_server: Server, nc: Client, tmp_path: Path) -> Projected:
    await tell(nc)
    return Projected(tmp_path, nc, nats_server.url)
