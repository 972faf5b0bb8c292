"""Read the log: by whichever way the same, in order, without a gap, within a bounded memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from events.audit import RefreshStarted
from events.base import later
from events.envelope import Message, Stored, opened, seal
from events.models import ModelAdded
from events.record import ModelRecord
from events.subjects import AUDIT, AUDIT_SUBJECTS, FACT_SUBJECTS, FACTS, facts_of
from services.clock import new_id
from services.jetstream.api import ApiError, NoAnswer, NoStream, ask, stream_info
from services.jetstream.append import HistoryChanged, Log
from services.jetstream.connect import close, connect
from services.jetstream.consumer import BATCH
from services.jetstream.messages import headers_of, nanoseconds
from services.jetstream.read import (
    GapInLog,
    follow,
    info,
    last_message,
    message,
    pages,
)
from services.jetstream.server import Server, binary
from services.jetstream.setup import ensure
from services.jetstream.streams import audit as audit_request
from services.jetstream.streams import facts as facts_request
from tests.support.nats import Proxy, Servers, connected, copy_store, until

pytestmark = pytest.mark.nats

AT = "2026-01-02T03:04:05.678Z"


def added(count: int, provider: str = "acme", *, name: str = "m") -> list[Message]:
    return [
        seal(
            ModelAdded(
                at=AT, provider=provider, model=ModelRecord(id=f"{name}{number}", name="One")
            ),
            id=new_id(),
            source="/modelog/test/1",
            correlation_id="a run",
        )
        for number in range(count)
    ]


def started(count: int) -> list[Message]:
    return [
        seal(
            RefreshStarted(
                at=AT, provider="acme", run_id=f"r{number}", force=False, reason="schedule"
            ),
            id=new_id(),
            source="/modelog/test/1",
        )
        for number in range(count)
    ]


async def fill(log: Log, count: int, provider: str = "acme", *, name: str = "m") -> None:
    for start in range(0, count, 1000):
        batch = added(min(1000, count - start), provider, name=f"{name}{start}-")
        expected = await log.last("model", provider)
        await log.append(batch, family="model", provider=provider, expected=expected)


@pytest.fixture
async def log(nc: Client) -> Log:
    await ensure(nc, audit_max_age=None, monitor_url=None)
    return await Log.open(nc)


class Reader:
    """Takes what `follow` hands over, and what it ends with."""

    def __init__(self) -> None:
        self.read: list[Stored] = []
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def take(self, stored: Stored) -> None:
        self.read.append(stored)

    @property
    def seqs(self) -> list[int]:
        return [stored.seq for stored in self.read]

    async def has(self, count: int) -> None:
        await until(lambda: len(self.read) >= count or self.failed.done(), 20)
        assert not self.failed.done(), self.failed.result()


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    made = Reader()
    yield made
    if made.failed.done():
        made.failed.result()


async def all_pages(
    nc: Client,
    stream: str = FACTS,
    **bounds: Any,  # noqa: ANN401 - as `pages` has them
) -> list[list[Stored]]:
    arguments: dict[str, Any] = {"after": 0, "filter": FACT_SUBJECTS, **bounds}
    return [page async for page in pages(nc, stream, **arguments)]


async def seqs(nc: Client, **bounds: Any) -> list[int]:  # noqa: ANN401
    return [stored.seq for page in await all_pages(nc, **bounds) for stored in page]


async def test_every_way_of_reading_gives_the_same(log: Log, nc: Client, reader: Reader) -> None:
    await fill(log, 5)
    subscription = await follow(
        nc, FACTS, after=0, handle=reader.take, on_failure=reader.failed.set_result
    )
    await reader.has(5)
    [page] = await all_pages(nc)

    assert reader.read == page
    assert [await message(nc, FACTS, seq) for seq in range(1, 6)] == page
    assert await last_message(nc, FACTS, FACT_SUBJECTS) == page[-1]
    assert opened(FACTS, page[0]).correlation_id == "a run"
    await subscription.stop()


async def test_what_is_not_there_is_none(log: Log, nc: Client) -> None:
    await fill(log, 1)

    assert await message(nc, FACTS, 2) is None
    assert await last_message(nc, FACTS, "log.model.nobody.>") is None
    assert await message(nc, FACTS, 1, filter="log.model.nobody.>") is None


async def test_the_next_message_of_a_filter_is_found(log: Log, nc: Client) -> None:
    await fill(log, 2)
    await fill(log, 1, "other")

    found = await message(nc, FACTS, 1, filter=facts_of("model", "other"))
    assert found is not None
    assert found.seq == 3


async def test_info_tells_which_log_it_is(nc: Client) -> None:
    report = await ensure(nc, audit_max_age=None, monitor_url=None)
    await fill(await Log.open(nc), 3)

    assert await info(nc, FACTS) == (report.epoch, report.installation, 1, 3)


async def test_a_log_that_does_not_exist_says_what_to_do(nc: Client) -> None:
    with pytest.raises(NoStream, match=r"no stream MODELOG; create it with `modelog init`"):
        await info(nc, FACTS)
    with pytest.raises(NoStream):
        await message(nc, FACTS, 1)
    with pytest.raises(NoStream):
        await Log.open(nc)


async def test_an_empty_log_has_no_pages(log: Log, nc: Client) -> None:
    assert await log.last("model", "acme") == 0
    assert await all_pages(nc) == []


@pytest.mark.parametrize(
    ("bounds", "sizes"),
    [
        pytest.param({}, [25], id="all at once"),
        pytest.param({"batch": 10}, [10, 10, 5], id="in tens"),
        pytest.param({"batch": 5}, [5] * 5, id="an even number"),
        pytest.param({"after": 20, "batch": 3}, [3, 2], id="from a sequence"),
        pytest.param({"until": 12, "batch": 5}, [5, 5, 2], id="until a sequence"),
        pytest.param({"after": 12, "until": 12}, [], id="nothing between"),
        pytest.param({"after": 25}, [], id="behind the end"),
        pytest.param({"until": 99}, [25], id="until after the end"),
        pytest.param({"start_time": "2020-01-01T00:00:00.000Z"}, [25], id="since long ago"),
        pytest.param({"start_time": "2099-01-01T00:00:00.000Z"}, [], id="since tomorrow"),
    ],
)
async def test_pages_are_whole_and_bounded(
    log: Log, nc: Client, bounds: dict[str, Any], sizes: list[int]
) -> None:
    await fill(log, 25)
    read = await all_pages(nc, **bounds)

    assert [len(page) for page in read] == sizes
    first = bounds.get("after", 0) + 1
    assert [one.seq for page in read for one in page] == list(range(first, first + sum(sizes)))


async def test_a_filter_gives_one_provider(log: Log, nc: Client) -> None:
    await fill(log, 3)
    await fill(log, 2, "other")
    await fill(log, 2, name="n")

    acme = facts_of("model", "acme")
    assert await seqs(nc, filter=acme) == [1, 2, 3, 6, 7]
    assert await seqs(nc, filter=acme, until=6, batch=2) == [1, 2, 3, 6]
    assert await seqs(nc, filter=facts_of("model", "nobody")) == []


async def test_pages_start_at_a_time_of_the_server(log: Log, nc: Client) -> None:
    await fill(log, 2)
    third = (await all_pages(nc))[-1][-1].recorded_at
    await asyncio.sleep(0.01)
    await fill(log, 2, name="n")

    assert await seqs(nc, start_time=later(third, timedelta(milliseconds=2))) == [3, 4]


async def test_more_than_a_page_of_bytes_is_read_too(log: Log, nc: Client) -> None:
    big = ModelRecord(id="big", name="x" * 200_000)
    for expected in range(45):
        sealed = seal(
            ModelAdded(at=AT, provider="acme", model=big), id=new_id(), source="/modelog/test/1"
        )
        await log.append([sealed], family="model", provider="acme", expected=expected)

    read = await all_pages(nc)
    assert len(read) > 1
    assert [one.seq for page in read for one in page] == list(range(1, 46))


@asynccontextmanager
async def _with_rights(folder: Path) -> AsyncIterator[tuple[Client, Client]]:
    """A server at which a reader may do nothing but direct gets; yields an admin and the reader."""
    ports = socket.socket()
    ports.bind(("127.0.0.1", 0))
    port = ports.getsockname()[1]
    ports.close()
    settings = folder / "rights.conf"
    settings.write_text(
        f'listen: "127.0.0.1:{port}"\n'
        f'jetstream {{ store_dir: "{folder}/store", sync_interval: always }}\n'
        "authorization {\n"
        "  users: [\n"
        "    { user: admin, password: p }\n"
        "    { user: reader, password: p, permissions: {\n"
        '      publish: { allow: ["$JS.API.DIRECT.GET.MODELOG"] }\n'
        '      subscribe: { allow: ["_INBOX_reader.>"] }\n'
        "    } }\n"
        "  ]\n"
        "}\n"
    )
    process = await asyncio.create_subprocess_exec(
        binary(), "--config", settings, stderr=asyncio.subprocess.DEVNULL
    )
    address = f"127.0.0.1:{port}"
    try:
        async with (
            connected(f"nats://admin:p@{address}", role="admin") as admin,
            connected(f"nats://reader:p@{address}", role="reader") as reader,
        ):
            yield admin, reader
    finally:
        process.terminate()
        await process.wait()


async def test_pages_need_no_right_but_direct_gets(tmp_path: Path) -> None:
    async with _with_rights(tmp_path) as (admin, reader):
        await ensure(admin, audit_max_age=None, monitor_url=None)
        await fill(await Log.open(admin), 3)

        assert await seqs(reader) == [1, 2, 3]
        with pytest.raises(NoAnswer):
            await ask(reader, f"STREAM.INFO.{FACTS}", deadline=0.3)


async def test_pages_outlive_a_lost_connection(nats_server: Server, log: Log) -> None:
    await fill(log, 3)
    async with Proxy(nats_server.port) as proxy, connected(proxy.url) as own:
        proxy.swallow = b"Nats-Num-Pending"
        reading = asyncio.create_task(seqs(own))
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        proxy.cut()

        assert await asyncio.wait_for(reading, 20) == [1, 2, 3]


async def test_follow_replays_and_goes_on(log: Log, nc: Client, reader: Reader) -> None:
    await fill(log, 2_500)
    subscription = await follow(
        nc, FACTS, after=100, handle=reader.take, on_failure=reader.failed.set_result
    )
    await reader.has(2_400)
    await fill(log, 10, "other")
    await reader.has(2_410)

    assert reader.seqs == list(range(101, 2_511))
    assert subscription.seq == 2_510
    assert subscription.pending == 0
    await subscription.stop()


async def test_follow_may_filter(log: Log, nc: Client, reader: Reader) -> None:
    await fill(log, 2)
    await fill(log, 2, "other")
    subscription = await follow(
        nc,
        FACTS,
        after=0,
        filter=facts_of("model", "other"),
        handle=reader.take,
        on_failure=reader.failed.set_result,
    )
    await reader.has(2)

    assert reader.seqs == [3, 4]
    await subscription.stop()


async def test_nothing_is_handled_after_stop(log: Log, nc: Client, reader: Reader) -> None:
    await fill(log, 1)
    subscription = await follow(
        nc, FACTS, after=0, handle=reader.take, on_failure=reader.failed.set_result
    )
    await reader.has(1)
    await subscription.stop()
    await fill(log, 1, name="n")
    await nc.flush()

    assert reader.seqs == [1]
    assert (await ask(nc, f"CONSUMER.NAMES.{FACTS}"))["consumers"] == []


async def test_a_slow_reader_is_sent_no_more_than_it_asked_for(
    log: Log, nc: Client, reader: Reader
) -> None:
    await fill(log, 5 * BATCH)
    gate = asyncio.Event()

    async def slow(stored: Stored) -> None:
        await gate.wait()
        reader.take(stored)

    before = nc.stats["in_msgs"]
    subscription = await follow(
        nc, FACTS, after=0, handle=slow, on_failure=reader.failed.set_result
    )
    await until(lambda: nc.stats["in_msgs"] - before >= 2 * BATCH)
    for _ in range(20):
        await nc.flush()
    held = nc.stats["in_msgs"] - before

    assert held < 2 * BATCH + 50  # and the answers of the set-up
    gate.set()
    await reader.has(5 * BATCH)
    assert reader.seqs == list(range(1, 5 * BATCH + 1))
    await subscription.stop()


async def test_what_the_handler_raises_ends_it(log: Log, nc: Client) -> None:
    await fill(log, 5)
    seen: list[int] = []
    failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def handle(stored: Stored) -> None:
        seen.append(stored.seq)
        if stored.seq == 3:
            raise ZeroDivisionError

    subscription = await follow(nc, FACTS, after=0, handle=handle, on_failure=failed.set_result)

    assert isinstance(await asyncio.wait_for(failed, 10), ZeroDivisionError)
    assert seen == [1, 2, 3]
    assert subscription.seq == 2
    await subscription.stop()


@pytest.mark.parametrize("stop", ["kill", "term"])
async def test_follow_goes_on_after_a_restart_of_the_server(
    servers: Servers, reader: Reader, stop: str
) -> None:
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        log = await Log.open(nc)
        await fill(log, 3)
        subscription = await follow(
            nc, FACTS, after=0, handle=reader.take, on_failure=reader.failed.set_result
        )
        await reader.has(3)
        for number in range(3):
            await (servers.kill() if stop == "kill" else servers.current.stop())
            await servers.start()
            await fill(log, 2, name=f"n{number}-")
        await reader.has(9)

        assert reader.seqs == list(range(1, 10))
        await subscription.stop()


async def test_follow_in_full_flight_loses_nothing_to_a_lost_connection(
    nats_server: Server, log: Log, reader: Reader
) -> None:
    await fill(log, 6_000)
    async with Proxy(nats_server.port) as proxy, connected(proxy.url) as own:
        cuts = 0

        async def handle(stored: Stored) -> None:
            nonlocal cuts
            reader.take(stored)
            if stored.seq in {500, 2_000, 4_500}:
                cuts += 1
                proxy.cut()
                await asyncio.sleep(0)

        subscription = await follow(
            own, FACTS, after=0, handle=handle, on_failure=reader.failed.set_result
        )
        await reader.has(6_000)

        assert reader.seqs == list(range(1, 6_001))
        assert cuts == 3
        await subscription.stop()


async def test_follow_goes_on_when_its_consumer_was_deleted(
    log: Log, nc: Client, reader: Reader
) -> None:
    await fill(log, 2)
    subscription = await follow(
        nc, FACTS, after=0, handle=reader.take, on_failure=reader.failed.set_result
    )
    await reader.has(2)
    [name] = (await ask(nc, f"CONSUMER.NAMES.{FACTS}"))["consumers"]
    await ask(nc, f"CONSUMER.DELETE.{FACTS}.{name}")
    await fill(log, 2, name="n")
    await reader.has(4)

    assert reader.seqs == [1, 2, 3, 4]
    await subscription.stop()


async def _replaced(servers: Servers, copy: Path, log: Log) -> None:
    """Copy the store as it is, append one more, and go on with the copy."""
    await servers.current.stop()
    copy_store(servers.current, copy)
    await servers.start()
    await fill(log, 1, name="later")


async def test_follow_does_not_go_on_in_an_older_copy_of_the_log(
    servers: Servers, tmp_path: Path, reader: Reader
) -> None:
    failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        log = await Log.open(nc)
        await fill(log, 3)
        await _replaced(servers, tmp_path / "copy", log)
        subscription = await follow(
            nc, FACTS, after=0, handle=reader.take, on_failure=failed.set_result
        )
        await reader.has(4)
        await servers.kill()
        servers.current.store = tmp_path / "copy"
        await servers.start()

        error = await asyncio.wait_for(failed, 20)
        assert isinstance(error, HistoryChanged)
        assert "ends at sequence 3, and had reached 4" in str(error)
        await subscription.stop()


async def test_follow_does_not_begin_behind_the_end(log: Log, nc: Client, reader: Reader) -> None:
    await fill(log, 1)

    with pytest.raises(HistoryChanged, match="ends at sequence 1, and had reached 5"):
        await follow(nc, FACTS, after=5, handle=reader.take, on_failure=print)


async def _with_a_hole(nc: Client, stream: str) -> None:
    """Create *stream* so that messages can be deleted, as a damaged disk does, and do so."""
    request = facts_request("e", "i") if stream == FACTS else audit_request("e")
    await ask(nc, f"STREAM.CREATE.{stream}", request | {"deny_delete": False})
    for one in added(6) if stream == FACTS else started(6):
        await nc.request(one.subject, one.payload, headers=one.headers, timeout=5)
    await ask(nc, f"STREAM.MSG.DELETE.{stream}", {"seq": 4})


@pytest.mark.parametrize("stream", [FACTS, AUDIT])
async def test_a_hole_in_a_stream_ends_the_reading(nc: Client, stream: str) -> None:
    await _with_a_hole(nc, stream)
    reader = Reader()
    subscription = await follow(
        nc, stream, after=0, handle=reader.take, on_failure=reader.failed.set_result
    )
    error = await asyncio.wait_for(reader.failed, 10)

    assert isinstance(error, GapInLog)
    assert str(error).startswith(f"stream {stream}: sequence 4 is missing; run `modelog verify`")
    assert reader.seqs == [1, 2, 3]
    await subscription.stop()


@pytest.mark.parametrize("stream", [FACTS, AUDIT])
async def test_a_hole_in_a_stream_ends_the_pages(nc: Client, stream: str) -> None:
    await _with_a_hole(nc, stream)
    read: list[int] = []
    whole = FACT_SUBJECTS if stream == FACTS else AUDIT_SUBJECTS

    async def read_all() -> None:
        async for page in pages(nc, stream, after=0, filter=whole):
            read.extend(stored.seq for stored in page)

    with pytest.raises(GapInLog, match="sequence 4 is missing"):
        await read_all()
    assert read == [1, 2, 3]


async def test_what_the_age_limit_took_is_no_hole(nc: Client, reader: Reader) -> None:
    await ensure(nc, audit_max_age=0.5, monitor_url=None)
    log = await Log.open(nc)
    await log.record(started(4))
    async with asyncio.timeout(10):
        while (await stream_info(nc, AUDIT))["state"]["messages"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await log.record(started(2))
    subscription = await follow(
        nc, AUDIT, after=1, handle=reader.take, on_failure=reader.failed.set_result
    )
    await reader.has(2)

    assert reader.seqs == [5, 6]
    assert await seqs(nc, stream=AUDIT, after=1, filter=AUDIT_SUBJECTS) == [5, 6]
    await subscription.stop()


async def test_what_may_not_be_read_is_told(nc: Client) -> None:
    await ensure(nc, audit_max_age=None, monitor_url=None)
    with pytest.raises(ApiError, match=r"STREAM\.MSG\.GET\.MODELOG: .*\(\d+\)"):
        await ask(nc, f"STREAM.MSG.GET.{FACTS}", {})


async def test_nobody_there_is_no_answer(nats_server: Server) -> None:
    nc = await connect(nats_server.url, role="test")
    await nats_server.stop()

    with pytest.raises(NoAnswer, match=r"\$JS\.API\.STREAM\.INFO\.MODELOG in 0\.3 s"):
        await info(nc, FACTS, deadline=0.3)
    await close(nc)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("2026-11-24T11:13:46.074328001Z", 1_795_518_826_074_328_001),
    ],
)
def test_a_time_of_the_server_keeps_its_nanoseconds(text: str, wanted: int) -> None:
    assert nanoseconds(text) == wanted


def test_headers_are_read_as_they_are_kept() -> None:
    raw = b"NATS/1.0\r\nce-id: 1\r\nce-source:/a:b\r\n\r\n"

    assert headers_of(raw) == {"ce-id": "1", "ce-source": "/a:b"}
    assert headers_of(b"") == {}
