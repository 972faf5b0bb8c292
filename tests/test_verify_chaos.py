"""Stores damaged on the disk: the server calls them healthy, and verify names what is wrong."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from events.codec import FactEvent
from events.models import ModelAdded
from events.record import ModelRecord
from events.subjects import FACTS
from services.directory import DataDirectory
from services.jetstream.append import Log
from services.jetstream.messages import info
from services.projector.replay import replay
from tests.support.cli import Answer, modelog
from tests.support.logs import sealed, tell
from tests.support.nats import connected, killed, running

pytestmark = [pytest.mark.nats, pytest.mark.process, pytest.mark.chaos]

AT = "2026-01-01T00:00:00.000Z"
BATCHES, SIZE = 6, 100


def batch(number: int, size: int = SIZE) -> list[FactEvent]:
    return [
        ModelAdded(
            at=AT,
            provider="acme",
            model=ModelRecord(id=f"{number}-{n}", name=f"{number}-{n}", description="words " * 8),
        )
        for n in range(size)
    ]


async def append(nc: Client, facts: list[FactEvent]) -> int:
    log = await Log.open(nc)
    expected = await log.last("model", "acme")
    done = await log.append(sealed(facts), family="model", provider="acme", expected=expected)
    return done.last


class Store:
    """A log of some batches, its catalogue, and a server that comes and goes."""

    def __init__(self, data: Path) -> None:
        self.data = DataDirectory(data)
        self.last = 0

    async def filled(self) -> None:
        """Leave a log and its catalogue, and kill the server."""
        async with running(self.data.nats_store) as server, connected(server.url) as nc:
            await tell(nc, [])
            for number in range(BATCHES):
                self.last = await append(nc, batch(number))
            await self.fold(nc)
            await killed(server)

    async def fold(self, nc: Client) -> None:
        await replay(nc, self.data.catalogue, 1 << 40, lambda _done, _total: None)

    @property
    def block(self) -> Path:
        """The newest file of the facts' messages."""
        folder = next(self.data.nats_store.glob(f"**/streams/{FACTS}/msgs"))
        return max(folder.glob("*.blk"))

    async def verify(self, *more: str) -> Answer:
        words = ("verify", "--data", self.data.path, *more)
        return await asyncio.to_thread(modelog, *words, cwd=self.data.path)

    async def found(self) -> list[dict[str, Any]]:
        answer = await self.verify("--json")
        assert answer.code == 1, answer
        found: list[dict[str, Any]] = answer.json["findings"]
        assert found[0]["message"] in answer.err.splitlines()[-1]
        return found


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "data")
    await made.filled()
    return made


def flip(path: Path, share: float) -> None:
    """Turn one bit around, at *share* of the file."""
    with path.open("r+b") as file:
        place = int(path.stat().st_size * share)
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
async def test_a_flipped_bit_after_a_kill_is_named(share: float, store: Store) -> None:
    """The server cuts the stream off there, and calls itself healthy."""
    flip(store.block, share)
    found = await store.found()
    async with running(store.data.nats_store) as server, connected(server.url) as nc:
        now = await info(nc, FACTS)

    assert now.last_seq < store.last
    assert (found[0]["kind"], found[0]["stream"]) == ("cut", FACTS)
    assert found[0]["seq"] == now.last_seq + 1
    assert f"had reached {store.last}" in found[0]["message"]
    assert "restore" in found[0]["remedy"]


async def test_a_flipped_bit_after_a_clean_stop_is_named(store: Store) -> None:
    """The server serves what is around it."""
    async with running(store.data.nats_store):
        pass  # and stops in order
    flip(store.block, 0.4)
    found = await store.found()

    assert (found[0]["kind"], found[0]["stream"]) == ("missing", FACTS)
    assert 1 < found[0]["seq"] < store.last


async def test_a_truncated_store_is_named_with_its_torn_batch(store: Store) -> None:
    os.truncate(store.block, store.block.stat().st_size - 8)
    for index in store.block.parent.glob("index.db"):
        index.unlink()
    found = await store.found()

    assert [(one["kind"], one["seq"]) for one in found] == [
        ("cut", store.last),
        ("torn", store.last - 1),
    ]


async def test_sequences_given_out_again_are_named(store: Store, tmp_path: Path) -> None:
    """An older copy of the store was put back, and written to: as many events, and other ones."""
    shutil.copytree(store.data.nats_store, tmp_path / "older")
    async with running(store.data.nats_store) as server, connected(server.url) as nc:
        await append(nc, batch(90))
        await store.fold(nc)
    shutil.rmtree(store.data.nats_store)
    shutil.move(tmp_path / "older", store.data.nats_store)
    async with running(store.data.nats_store) as server, connected(server.url) as nc:
        await append(nc, batch(91))
    found = await store.found()

    assert found[0]["kind"] == "history"
    assert found[0]["seq"] == store.last + SIZE
    assert "older copy" in found[0]["message"]
    assert "restore" in found[0]["remedy"]


async def test_it_runs_beside_one_who_appends(store: Store) -> None:
    """Batch after batch, each of which it may see half stored."""
    async with running(store.data.nats_store) as server, connected(server.url) as nc:
        stop = asyncio.Event()

        async def write() -> int:
            number = 100
            while not stop.is_set():
                await append(nc, batch(number))
                number += 1
            return number

        writer = asyncio.create_task(write())
        store.data.publish_url(server.url)
        answers = [await store.verify("--json") for _ in range(2)]
        stop.set()
        written = await writer

    assert [(answer.code, answer.json["findings"]) for answer in answers] == [(0, [])] * 2
    assert written > 100


async def test_a_halted_projector_points_to_it(store: Store) -> None:
    store.data.catalogue.rename(store.data.path / "catalogue.1.db")
    store.data.catalogue.symlink_to("catalogue.1.db")
    os.truncate(store.block, store.block.stat().st_size - 8)
    for index in store.block.parent.glob("index.db"):
        index.unlink()
    async with running(store.data.nats_store) as server:
        env = {"MODELOG_NATS_URL": server.url}
        words = ("run", "projector", "--data", store.data.path)
        answer = await asyncio.to_thread(modelog, *words, cwd=store.data.path, env=env)

    assert answer.code == 1
    assert "modelog verify" in answer.err.splitlines()[-1]
