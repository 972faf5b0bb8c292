"""The server killed and frozen at random points: each event is there once, in order."""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from nats.aio.client import Client

from events.audit import RefreshStarted
from events.envelope import Message, Stored, seal
from events.models import ModelAdded
from events.record import ModelRecord
from events.subjects import AUDIT, AUDIT_SUBJECTS, FACT_SUBJECTS, FACTS
from services.clock import new_id
from services.jetstream.api import ApiError, NoAnswer, ask, stream_info
from services.jetstream.append import Appended, Log, SequenceConflict
from services.jetstream.read import follow, pages
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from tests.support.nats import Servers, cluster, connected, until

pytestmark = [pytest.mark.nats, pytest.mark.process, pytest.mark.chaos]

AT = "2026-01-02T03:04:05.678Z"
KILLS = 60


def batch_of(count: int, turn: int, *, size: int = 3) -> list[Message]:
    records = (ModelRecord(id=f"m{turn}-{number}", name="x" * size) for number in range(count))
    return [
        seal(
            ModelAdded(at=AT, provider="acme", model=record),
            id=new_id(),
            source="/modelog/test/1",
        )
        for record in records
    ]


def started(turn: int) -> Message:
    event = RefreshStarted(
        at=AT, provider="acme", run_id=f"r{turn}", force=False, reason="schedule"
    )
    return seal(event, id=new_id(), source="/modelog/test/1")


async def stored(nc: Client, stream: str, whole: str) -> list[Stored]:
    return [one async for page in pages(nc, stream, after=0, filter=whole) for one in page]


def check(found: list[Stored], wanted: list[Message]) -> None:
    assert [one.seq for one in found] == list(range(1, len(found) + 1))
    assert [one.headers["Nats-Msg-Id"] for one in found] == [one.id for one in wanted]
    assert [one.payload for one in found] == [one.payload for one in wanted]


@pytest.mark.timeout(300)
async def test_killed_at_random_points_of_an_append_each_event_is_stored_once(
    servers: Servers,
) -> None:
    chance = random.Random(2)  # noqa: S311 - a seed, so that a failure comes again
    wanted: list[Message] = []
    read: list[int] = []
    lost = asyncio.get_running_loop().create_future()
    expected = 0
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        log = await Log.open(nc)
        following = await follow(
            nc,
            FACTS,
            after=0,
            handle=lambda one: read.append(one.seq),
            on_failure=lost.set_result,
        )
        for turn in range(KILLS):
            count, size = chance.choice([1, 2, 30, 300, 1000]), chance.choice([3, 3, 6_000])
            batch = batch_of(count, turn, size=size)
            appending = asyncio.create_task(
                log.append(batch, family="model", provider="acme", expected=expected)
            )
            await asyncio.sleep(chance.uniform(0, 0.004 + len(batch) * 6e-5))  # about its duration
            await servers.kill()
            await servers.start()
            done = await asyncio.wait_for(appending, 60)

            assert done == Appended(expected + 1, expected + len(batch), expected + len(batch))
            wanted += batch
            expected = done.expected
        check(await stored(nc, FACTS, FACT_SUBJECTS), wanted)
        await until(lambda: len(read) >= len(wanted) or lost.done(), 30)
        assert not lost.done(), lost.result()
        assert read == list(range(1, len(wanted) + 1))
        await following.stop()


@pytest.mark.timeout(200)
async def test_killed_at_random_points_each_audit_event_is_recorded_once(
    servers: Servers,
) -> None:
    chance = random.Random(3)  # noqa: S311 - a seed
    wanted: list[Message] = []
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        log = await Log.open(nc)
        for turn in range(20):
            batch = [started(turn) for _ in range(chance.choice([1, 2, 50]))]
            recording = asyncio.create_task(log.record(batch))
            await asyncio.sleep(chance.uniform(0, 0.01))
            await servers.kill()
            await servers.start()
            await asyncio.wait_for(recording, 60)
            wanted += batch
        check(await stored(nc, AUDIT, AUDIT_SUBJECTS), wanted)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seconds", [5.5, 11.0], ids=["late answer", "abandoned batch"])
async def test_frozen_during_an_append_the_answer_is_found_in_the_log(
    nats_server: Server, seconds: float
) -> None:
    """A request's time runs out in 5 seconds, a batch's in 10; nobody disconnects before."""
    async with connected(nats_server.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        log = await Log.open(nc)
        wanted = batch_of(1000, 0)
        appending = asyncio.create_task(
            log.append(wanted, family="model", provider="acme", expected=0)
        )
        await asyncio.sleep(0.02)
        nats_server.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        nats_server.process.send_signal(signal.SIGCONT)

        assert await asyncio.wait_for(appending, 40) == (1, 1000, 1000)
        check(await stored(nc, FACTS, FACT_SUBJECTS), wanted)


async def race(url: str, rounds: int, won: dict[int, list[Message]], who: int) -> None:
    """Append *rounds* batches against others, and keep in *won* what each went on from."""
    async with connected(url) as nc:
        log = await Log.open(nc)
        while rounds:
            expected = await log.last("model", "acme")
            batch = batch_of(20, who * 1000 + rounds)
            try:
                await log.append(batch, family="model", provider="acme", expected=expected)
            except SequenceConflict:
                continue
            rounds -= 1
            assert expected not in won, "two batches went on from one sequence"
            won[expected] = batch


@pytest.mark.timeout(200)
async def test_racing_appenders_over_a_server_that_is_killed_never_both_win(
    servers: Servers,
) -> None:
    won: dict[int, list[Message]] = {}
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        racing = asyncio.gather(*(race(servers.url, 40, won, who) for who in range(3)))
        while not racing.done():
            await asyncio.wait((racing,), timeout=0.15)
            if not racing.done():
                await servers.restart()
        await racing
        check(
            await stored(nc, FACTS, FACT_SUBJECTS),
            [one for _, batch in sorted(won.items()) for one in batch],
        )


@pytest.mark.timeout(200)
async def test_racing_appenders_on_three_replicas_never_both_win(tmp_path: Path) -> None:
    """Each on a server of its own, while the log's leader is moved about."""
    won: dict[int, list[Message]] = {}
    async with cluster(tmp_path) as urls, connected(",".join(urls)) as nc:
        async with asyncio.timeout(60):
            while not await _ready(nc):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.1)
        await ensure(nc, replicas=3, audit_max_age=None, monitor_url=None)
        racing = asyncio.gather(*(race(url, 15, won, who) for who, url in enumerate(urls * 2)))
        while not racing.done():
            await asyncio.wait((racing,), timeout=0.5)
            with suppress(ApiError):
                await ask(nc, f"STREAM.LEADER.STEPDOWN.{FACTS}")
        await racing
        await _caught_up(nc)
        check(
            await stored(nc, FACTS, FACT_SUBJECTS),
            [one for _, batch in sorted(won.items()) for one in batch],
        )


async def _ready(nc: Client) -> bool:
    """Tell whether the cluster can make a replicated stream by now."""
    try:
        await ask(
            nc, "STREAM.CREATE.TRIAL", {"name": "TRIAL", "subjects": ["trial"], "num_replicas": 3}
        )
    except (ApiError, NoAnswer):
        return False
    return True


async def _caught_up(nc: Client) -> None:
    """Wait until every replica has what the leader has: any of them answers a direct get."""
    async with asyncio.timeout(30):
        while True:
            replicas = (await stream_info(nc, FACTS)).get("cluster", {}).get("replicas", [])
            if len(replicas) == 2 and all(one["current"] for one in replicas):
                return
            await asyncio.sleep(0.1)
