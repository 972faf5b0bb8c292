"""Appended once: all or none, on condition, whatever becomes of the acknowledgement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from events.audit import RefreshStarted
from events.codec import Event
from events.envelope import Message, seal
from events.models import CapabilityGained, ModelAdded
from events.providers import ProviderSchemaChanged
from events.record import ModelRecord
from events.subjects import AUDIT, AUDIT_SUBJECTS, FACT_SUBJECTS, FACTS
from services.clock import new_id
from services.jetstream.api import ask
from services.jetstream.append import (
    MOST,
    HistoryChanged,
    Log,
    LogFull,
    Refused,
    SequenceConflict,
    TooLarge,
    Unacknowledged,
)
from services.jetstream.read import Stored, info, pages
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from tests.support.nats import Proxy, Servers, connected, copy_store, until

pytestmark = pytest.mark.nats

AT = "2026-01-02T03:04:05.678Z"


def sealed(event: Event) -> Message:
    return seal(event, id=new_id(), source="/modelog/test/1")


def added(*names: str, provider: str = "acme") -> list[Message]:
    return [
        sealed(ModelAdded(at=AT, provider=provider, model=ModelRecord(id=name, name=name)))
        for name in names
    ]


def many(count: int, provider: str = "acme") -> list[Message]:
    return added(*(f"m{number}" for number in range(count)), provider=provider)


def started(count: int) -> list[Message]:
    return [
        sealed(
            RefreshStarted(
                at=AT, provider="acme", run_id=f"r{number}", force=False, reason="schedule"
            )
        )
        for number in range(count)
    ]


async def stored(nc: Client, stream: str = FACTS) -> list[Stored]:
    whole = FACT_SUBJECTS if stream == FACTS else AUDIT_SUBJECTS
    return [one async for page in pages(nc, stream, after=0, filter=whole) for one in page]


async def ids(nc: Client, stream: str = FACTS) -> list[str]:
    return [one.headers["Nats-Msg-Id"] for one in await stored(nc, stream)]


@pytest.fixture
async def log(nc: Client, nats_server: Server) -> Log:
    await ensure(nc, audit_max_age=None, monitor_url=nats_server.monitor_url)
    return await Log.open(nc)


class Watching:
    """A user's core subscription to everything."""

    def __init__(self) -> None:
        self.seen: list[Msg] = []

    async def take(self, msg: Msg) -> None:
        self.seen.append(msg)

    def ids(self) -> list[str]:
        return [(msg.headers or {})["Nats-Msg-Id"] for msg in self.seen]


@pytest.fixture
async def watching(nats_server: Server) -> AsyncIterator[Watching]:
    everything = Watching()
    async with connected(nats_server.url, role="reader") as nc:
        await nc.subscribe("modelog.>", cb=everything.take)
        await nc.flush()
        yield everything


async def test_a_batch_gets_the_next_sequences(log: Log, nc: Client) -> None:
    first = await log.append(added("a", "b"), family="model", provider="acme", expected=0)
    second = await log.append(added("c"), family="model", provider="acme", expected=2)

    assert first == (1, 2, 2)
    assert second == (3, 3, 3)
    assert [one.subject for one in await stored(nc)] == [
        "log.model.acme.added.a",
        "log.model.acme.added.b",
        "log.model.acme.added.c",
    ]


async def test_a_thousand_events_are_one_batch(log: Log, nc: Client) -> None:
    messages = many(MOST)

    assert await log.append(messages, family="model", provider="acme", expected=0) == (
        1,
        1000,
        1000,
    )
    assert await ids(nc) == [one.id for one in messages]


@pytest.mark.parametrize("count", [0, MOST + 1])
async def test_none_or_too_many_are_refused_before_anything_is_sent(
    log: Log, nc: Client, count: int
) -> None:
    with pytest.raises(ValueError, match=f"{count} messages"):
        await log.append(many(count), family="model", provider="acme", expected=0)

    assert await stored(nc) == []


async def test_what_is_stored_is_what_was_sealed(log: Log, nc: Client) -> None:
    [message] = added("a")
    await log.append([message], family="model", provider="acme", expected=0)

    [found] = await stored(nc)
    assert found.payload == message.payload
    assert message.headers.items() <= found.headers.items()


async def test_a_family_expects_what_follows_its_own_last_event(log: Log) -> None:
    gained = sealed(CapabilityGained(at=AT, provider="acme", model_id="a", capability="vision"))
    batch = [*added("a"), gained]

    assert await log.append(batch, family="model", provider="acme", expected=0) == (1, 2, 1)
    assert await log.last("model", "acme") == 1
    await log.append(added("b"), family="model", provider="acme", expected=1)


async def test_the_last_sequence_of_nothing_is_zero(log: Log) -> None:
    assert await log.last("model", "nobody") == 0


async def test_providers_do_not_meet(log: Log) -> None:
    await log.append(added("a"), family="model", provider="acme", expected=0)
    await log.append(added("a", provider="other"), family="model", provider="other", expected=0)

    assert await log.last("model", "other") == 2


async def test_two_families_share_a_batch_and_each_has_its_condition(log: Log, nc: Client) -> None:
    drift = sealed(
        ProviderSchemaChanged(
            at=AT, provider="acme", added_fields=["x"], removed_fields=[], models=1
        )
    )
    batch = [*added("a"), drift]
    await log.append(batch, family="model", provider="acme", expected=0, also={"provider": 0})
    again = [*added("b"), sealed(drift.event)]

    with pytest.raises(SequenceConflict, match=r"log\.provider\.acme"):
        await log.append(again, family="model", provider="acme", expected=1, also={"provider": 0})
    assert len(await stored(nc)) == 2
    await log.append(again, family="model", provider="acme", expected=1, also={"provider": 2})


@pytest.mark.parametrize(
    ("messages", "family"),
    [
        pytest.param(added("a", provider="other"), "model", id="another provider"),
        pytest.param(started(1), "model", id="an audit event"),
        pytest.param(added("a"), "provider", id="another family"),
        pytest.param(
            [sealed(CapabilityGained(at=AT, provider="acme", model_id="a", capability="audio"))],
            "model",
            id="a capability alone",
        ),
    ],
)
async def test_a_batch_holds_what_its_condition_covers(
    log: Log, nc: Client, messages: list[Message], family: str
) -> None:
    with pytest.raises(ValueError, match=r"covered|family"):
        await log.append(messages, family=family, provider="acme", expected=0)

    assert await stored(nc) == []


async def test_a_stale_expectation_is_a_conflict_and_stores_nothing(
    log: Log, nc: Client, watching: Watching
) -> None:
    winner = added("a")
    await log.append(winner, family="model", provider="acme", expected=0)

    with pytest.raises(SequenceConflict, match=r"log\.model\.acme\.>: sequence 1 follows 0"):
        await log.append(added("b", "c"), family="model", provider="acme", expected=0)
    await nc.flush()
    assert await ids(nc) == [winner[0].id]
    await until(lambda: len(watching.seen) > 0)
    assert watching.ids() == [winner[0].id]


async def test_an_expectation_that_the_log_never_reached_is_another_history(log: Log) -> None:
    with pytest.raises(HistoryChanged, match="does not reach"):
        await log.append(added("a"), family="model", provider="acme", expected=7)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("appenders", [2, 5])
async def test_of_racing_appenders_one_wins_each_time(
    nats_server: Server, nc: Client, appenders: int
) -> None:
    rounds = 12
    won: dict[int, list[str]] = {}

    async def append(who: int) -> None:
        async with connected(nats_server.url) as own:
            mine = await Log.open(own)
            left = rounds
            while left:
                expected = await mine.last("model", "acme")
                batch = added(f"w{who}-{left}-a", f"w{who}-{left}-b")
                try:
                    done = await mine.append(
                        batch, family="model", provider="acme", expected=expected
                    )
                except SequenceConflict:
                    continue
                left -= 1
                assert expected not in won, "two batches went on from one sequence"
                won[expected] = [one.id for one in batch]
                assert done.first == expected + 1

    await asyncio.gather(*(append(who) for who in range(appenders)))

    assert await ids(nc) == [one for _, batch in sorted(won.items()) for one in batch]
    assert len(won) == rounds * appenders


async def test_an_event_too_large_is_refused_before_anything_is_sent(log: Log, nc: Client) -> None:
    record = ModelRecord(id="big", name="x" * 262_144)
    big = sealed(ModelAdded(at=AT, provider="acme", model=record))

    with pytest.raises(TooLarge, match=r"log\.model\.acme\.added\.big: an event of 262\d+ bytes"):
        await log.append([*added("a"), big], family="model", provider="acme", expected=0)
    assert await stored(nc) == []


async def test_the_largest_event_fits(log: Log) -> None:
    small = sealed(ModelAdded(at=AT, provider="acme", model=ModelRecord(id="big", name="")))
    record = ModelRecord(id="big", name="x" * (262_144 - 1_024 - small.size))
    big = sealed(ModelAdded(at=AT, provider="acme", model=record))
    also = sealed(
        ProviderSchemaChanged(
            at=AT, provider="acme", added_fields=["x"], removed_fields=[], models=1
        )
    )

    await log.append([big, also], family="model", provider="acme", expected=0, also={"provider": 0})


async def test_an_id_used_before_is_refused(log: Log, nc: Client) -> None:
    messages = added("a")
    await log.append(messages, family="model", provider="acme", expected=0)
    await log.append(added("b"), family="model", provider="acme", expected=1)

    with pytest.raises(Refused, match="used before"):
        await log.append(messages, family="model", provider="acme", expected=1)
    assert len(await stored(nc)) == 2


async def test_appending_the_same_again_is_appending_it_once(log: Log, nc: Client) -> None:
    messages = added("a", "b")
    once = await log.append(messages, family="model", provider="acme", expected=0)
    await log.append(added("c"), family="model", provider="acme", expected=2)

    assert await log.append(messages, family="model", provider="acme", expected=0) == once
    assert len(await stored(nc)) == 3


async def test_a_user_sees_each_stored_event_once_and_nothing_else(
    log: Log, watching: Watching
) -> None:
    facts = many(50)
    await log.append(facts, family="model", provider="acme", expected=0)
    with pytest.raises(SequenceConflict):
        await log.append(added("lost"), family="model", provider="acme", expected=3)
    audit = started(3)
    await log.record(audit)
    await log.record(audit)
    last = added("last")
    await log.append(last, family="model", provider="acme", expected=50)

    wanted = [one.id for one in [*facts, *audit, *last]]
    await until(lambda: len(watching.seen) >= len(wanted))
    assert sorted(watching.ids()) == sorted(wanted)
    assert {msg.subject.split(".")[0] for msg in watching.seen} == {"modelog"}


COMMITTED = b'"batch":'
"""In the acknowledgement of a batch, and in nothing else that the server says."""


@pytest.mark.usefixtures("log")
async def test_a_lost_acknowledgement_is_resolved_as_committed(
    nats_server: Server, nc: Client, watching: Watching
) -> None:
    messages = added("a", "b", "c")
    async with Proxy(nats_server.port) as proxy, connected(proxy.url) as own:
        mine = await Log.open(own)
        proxy.swallow = COMMITTED
        appending = asyncio.create_task(
            mine.append(messages, family="model", provider="acme", expected=0)
        )
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        assert not appending.done()
        proxy.cut()

        assert await asyncio.wait_for(appending, 20) == (1, 3, 3)
    assert await ids(nc) == [one.id for one in messages]
    await until(lambda: len(watching.seen) >= 3)
    assert watching.ids() == [one.id for one in messages]


async def test_a_lost_acknowledgement_is_resolved_when_others_have_gone_on(
    nats_server: Server, log: Log, nc: Client
) -> None:
    messages = added("a", "b")
    async with Proxy(nats_server.port) as proxy, connected(proxy.url) as own:
        mine = await Log.open(own)
        proxy.swallow = COMMITTED
        appending = asyncio.create_task(
            mine.append(messages, family="model", provider="acme", expected=0)
        )
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        await log.append(added("c"), family="model", provider="acme", expected=2)
        proxy.cut()

        assert await asyncio.wait_for(appending, 20) == (1, 2, 2)
    assert len(await stored(nc)) == 3


@pytest.mark.usefixtures("log")
async def test_a_lost_acknowledgement_of_an_audit_event_is_recorded_once(
    nats_server: Server, nc: Client
) -> None:
    messages = started(3)
    async with Proxy(nats_server.port) as proxy, connected(proxy.url) as own:
        mine = await Log.open(own)
        proxy.swallow = COMMITTED
        recording = asyncio.create_task(mine.record(messages))
        await asyncio.wait_for(proxy.swallowed.wait(), 10)
        proxy.cut()
        await asyncio.wait_for(recording, 20)

    assert await ids(nc, AUDIT) == [one.id for one in messages]


async def test_an_append_waits_for_a_server_that_is_away(servers: Servers) -> None:
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        log = await Log.open(nc)
        await servers.kill()
        appending = asyncio.create_task(
            log.append(added("a"), family="model", provider="acme", expected=0)
        )
        await until(lambda: not nc.is_connected)
        await servers.start()

        assert (await asyncio.wait_for(appending, 20)).first == 1


async def test_no_acknowledgement_is_taken_for_granted(servers: Servers) -> None:
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        log = await Log.open(nc)
        await servers.kill()

        with pytest.raises(Unacknowledged, match=r"no acknowledgement in 0\.5 s"):
            await log.append(added("a"), family="model", provider="acme", expected=0, deadline=0.5)
        with pytest.raises(Unacknowledged):
            await log.record(started(1), deadline=0.2)


async def test_audit_events_are_recorded_in_thousands(log: Log, nc: Client) -> None:
    messages = started(MOST + 2)
    await log.record(messages)

    assert await ids(nc, AUDIT) == [one.id for one in messages]


async def test_a_recorded_event_counts_as_recorded_in_any_company(log: Log, nc: Client) -> None:
    first, second, third = started(3)
    await log.record([first])
    await log.record([first])
    await log.record([second, first, third])

    assert await ids(nc, AUDIT) == [first.id, second.id, third.id]


async def test_recording_nothing_is_nothing(log: Log, nc: Client) -> None:
    await log.record([])

    assert await stored(nc, AUDIT) == []


async def _fill(log: Log, kept: list[str]) -> None:
    for number in range(1_000):
        batch = added(f"m{number}-a", f"m{number}-b")
        await log.append(batch, family="model", provider="acme", expected=2 * number)
        kept += [one.id for one in batch]


async def test_a_full_log_refuses_and_keeps_all_that_it_has(log: Log, nc: Client) -> None:
    config = (await ask(nc, f"STREAM.INFO.{FACTS}"))["config"]
    await ask(nc, f"STREAM.UPDATE.{FACTS}", config | {"max_bytes": 60_000})
    kept: list[str] = []

    with pytest.raises(LogFull, match="MODELOG"):
        await _fill(log, kept)

    assert len(kept) > 10
    assert await ids(nc) == kept
    await log.record(started(1))  # the audit stream has room
    await ask(nc, f"STREAM.UPDATE.{FACTS}", config)
    await log.append(added("z"), family="model", provider="acme", expected=len(kept))


async def test_a_full_store_refuses_too(tmp_path: Path) -> None:
    kept: list[str] = []
    server = await Server.start(tmp_path / "nats", max_file_store=100_000)
    async with connected(server.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        with pytest.raises(LogFull):
            await _fill(await Log.open(nc), kept)

        assert await ids(nc) == kept
    await server.stop()


async def _copied(servers: Servers, copy: Path) -> None:
    """Append five events, copy the store as it then is, and go on."""
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        log = await Log.open(nc)
        await log.append(many(5), family="model", provider="acme", expected=0)
    await servers.current.stop()
    copy_store(servers.current, copy)
    await servers.start()


async def test_nothing_is_appended_to_an_older_copy_of_the_log(
    servers: Servers, tmp_path: Path
) -> None:
    await _copied(servers, tmp_path / "copy")
    async with connected(servers.url) as nc:
        log = await Log.open(nc)
        done = await log.append(added("x"), family="model", provider="acme", expected=5)
        await servers.kill()
        servers.current.store = tmp_path / "copy"
        await servers.start()

        with pytest.raises(HistoryChanged, match="ends at sequence 5, and had reached 6"):
            await log.append(added("y"), family="model", provider="acme", expected=done.expected)
        assert (await info(nc, FACTS)).last_seq == 5


async def test_nothing_is_appended_where_sequences_were_used_again(
    servers: Servers, tmp_path: Path
) -> None:
    await _copied(servers, tmp_path / "copy")
    async with connected(servers.url) as nc:
        log = await Log.open(nc)
        await log.append(added("x"), family="model", provider="acme", expected=5)
        port = servers.current.port
        await servers.kill()
        other = await Server.start(tmp_path / "copy", deadline=20)
        async with connected(other.url) as elsewhere:
            stranger = await Log.open(elsewhere)
            await stranger.append(added("u", "v"), family="model", provider="acme", expected=5)
        await other.stop()
        servers.current = await Server.start(tmp_path / "copy", port=port, deadline=20)

        with pytest.raises(HistoryChanged, match="another message at sequence 6"):
            await log.append(added("y"), family="model", provider="acme", expected=7)
        assert (await info(nc, FACTS)).last_seq == 7


async def test_nothing_is_appended_to_an_empty_store(servers: Servers, tmp_path: Path) -> None:
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        log = await Log.open(nc)
        await log.append(added("x"), family="model", provider="acme", expected=0)
        await log.record(started(1))
        await servers.kill()
        servers.current.store = tmp_path / "empty"
        await servers.start()

        with pytest.raises(HistoryChanged, match="is gone"):
            await log.append(added("y"), family="model", provider="acme", expected=1)
        await ensure(nc, audit_max_age=None, monitor_url=None)
        with pytest.raises(HistoryChanged, match="is another one: its epoch is"):
            await log.append(added("y"), family="model", provider="acme", expected=1)
        with pytest.raises(HistoryChanged, match="is another one"):
            await log.record(started(1))


async def test_the_same_log_after_a_restart_is_confirmed(servers: Servers) -> None:
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        log = await Log.open(nc)
        for number in range(3):
            await log.append(added(f"m{number}"), family="model", provider="acme", expected=number)
            await log.record(started(1))
            await servers.restart()
        assert len(await ids(nc)) == 3
        assert len(await ids(nc, AUDIT)) == 3


@pytest.mark.parametrize(("fault", "code"), [("incomplete", 10176), ("duplicate", 10201)])
async def test_a_batch_that_the_server_refuses_leaves_nothing(
    log: Log, nc: Client, watching: Watching, fault: str, code: int
) -> None:
    """What `append` relies on, sent by hand."""
    one, two = added("a", "b")
    first = {"Nats-Batch-Id": "x", "Nats-Batch-Sequence": "1"}
    last = {"Nats-Batch-Id": "x", "Nats-Batch-Sequence": "2", "Nats-Batch-Commit": "1"}
    if fault == "duplicate":
        await nc.request(one.subject, one.payload, headers=one.headers | first, timeout=5)
        two = one
    answer = await nc.request(two.subject, two.payload, headers=two.headers | last, timeout=5)

    assert msgspec.json.decode(answer.data)["error"]["err_code"] == code
    [stored_later] = added("c")
    await log.append([stored_later], family="model", provider="acme", expected=0)
    assert await ids(nc) == [stored_later.id]
    await until(lambda: len(watching.seen) > 0)
    assert watching.ids() == [stored_later.id]
