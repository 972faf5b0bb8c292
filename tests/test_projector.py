"""The projector: the catalogue is the log, each event once, or it stops and says why."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client

from events.models import ModelUpdated
from events.record import ModelRecord
from events.subjects import AUDIT, FACTS
from projections import Catalogue, ModelFilter
from projections.database import open_writer
from projections.fold import Folder
from services.clock import new_id
from services.jetstream import streams
from services.jetstream.api import ask, stream_info
from services.jetstream.messages import info
from services.jetstream.server import Server
from services.projector.follow import Follower
from tests.support.catalogues import facts_alone, rows
from tests.support.logs import ACME, FACTS_TOLD, tell
from tests.support.nats import connected, killed, running
from tests.support.projected import AT, Projected, added, append
from tests.support.refreshing import audit, eventually, told

pytestmark = [pytest.mark.nats, pytest.mark.process]

COUNT = "SELECT count(*) FROM models WHERE provider = 'big'"


async def test_it_catches_up_and_follows(projected: Projected) -> None:
    async with projected.projector() as process:
        caught_up = projected.seq()
        last = await append(projected.nc, added("new", "newer"))
        await projected.reached(last)
        code = await process.stop()
    fresh = await projected.fresh()

    assert (caught_up, last) == (FACTS_TOLD, FACTS_TOLD + 2)
    assert code == 0
    assert facts_alone(rows(projected.link)) == facts_alone(rows(fresh))
    assert rows(projected.link)["refreshes"] == rows(fresh)["refreshes"]


async def test_it_says_when_it_starts_and_stops(projected: Projected) -> None:
    await projected.once()
    found = await audit(projected.nc, "audit.service.projector.*")

    assert [type(one).__name__ for one in found] == ["ServiceStarted", "ServiceStopped"]


async def test_it_goes_on_where_it_was_killed(projected: Projected) -> None:
    async with projected.projector() as process:
        await process.kill()
    await append(projected.nc, added("meanwhile"))
    await projected.once()
    fresh = await projected.fresh()

    assert facts_alone(rows(projected.link)) == facts_alone(rows(fresh))


async def test_a_batch_is_seen_whole_or_not_at_all(projected: Projected) -> None:
    """A reader polls while batches of a thousand come in."""
    seen: set[int] = set()
    async with projected.projector():
        with Catalogue.open(projected.link) as catalogue:
            before = len(catalogue.by_provider("big"))
            for number in range(3):
                batch = added(*(f"{number}-{n:03}" for n in range(1000)), provider="big")
                last = await append(projected.nc, batch, "big")
                async with asyncio.timeout(10):
                    while catalogue.seq() < last:
                        counted = catalogue.query(COUNT)
                        seen.add(counted.rows[0][0])
                        await asyncio.sleep(0)
            after = len(catalogue.by_provider("big"))

    assert (before, after) == (0, 3000)
    assert {count % 1000 for count in seen} == {0}


async def test_it_stops_catching_up_behind_a_batch_and_never_within_one(
    projected: Projected,
) -> None:
    """The server may be asked how far the log is while it stores a batch."""
    generation = open_writer(projected.link)
    epochs = {stream: (await info(projected.nc, stream)).epoch for stream in (FACTS, AUDIT)}
    follower = Follower(projected.nc, Folder(generation.db, epochs), {})
    await follower.run({FACTS: 3}, stop=True)  # the second batch is of 2 to 4
    generation.close()
    at = follower.at[FACTS]
    await projected.once()

    assert at >= 4
    assert projected.seq() == FACTS_TOLD


async def test_sighup_does_not_end_it(projected: Projected) -> None:
    async with projected.projector() as process:
        process.send(signal.SIGHUP)
        await projected.reached(await append(projected.nc, added("after")))
        assert await process.stop() == 0


# What stops it


async def test_an_event_that_does_not_apply_stops_it(projected: Projected) -> None:
    await projected.once()
    before = rows(projected.link)
    nobody = ModelRecord(id="nobody", name="nobody")
    seq = await append(
        projected.nc, [ModelUpdated(at=AT, provider="acme", model=nobody, changed=[])]
    )
    answers = [await projected.halts() for _ in range(2)]
    after = rows(projected.link)
    failed = await audit(projected.nc, "audit.service.projector.failed")

    for answer in answers:
        assert answer.code == 1
        last = answer.err.strip().splitlines()[-1]
        assert f"sequence {seq}" in last
        assert "log.model.acme.updated.nobody" in last
        assert "Traceback" not in answer.err
    assert len(failed) == 2
    assert facts_alone(after) == facts_alone(before)


@pytest.mark.parametrize("payload", [b'{"type": "model.added"}', b"{", b"[]"], ids=repr)
async def test_an_event_that_does_not_decode_stops_it(payload: bytes, projected: Projected) -> None:
    await projected.once()
    headers = {"Nats-Msg-Id": new_id()}
    ack = await projected.nc.request("log.model.acme.added.x", payload, headers=headers)
    seq = msgspec.json.decode(ack.data)["seq"]
    answer = await projected.halts()

    assert answer.code == 1
    assert f"sequence {seq}" in answer.err.strip().splitlines()[-1]
    assert projected.seq() == seq - 1


async def test_what_came_before_such_an_event_serves_where_nothing_else_does(
    projected: Projected,
) -> None:
    """More of it than one transaction holds: in a transaction it is all or nothing."""
    for start in range(0, 6_000, 1_000):
        await append(projected.nc, added(*(f"m{start + n}" for n in range(1_000))))
    await projected.nc.request("log.model.acme.added.x", b"{", headers={"Nats-Msg-Id": new_id()})
    answers = [await projected.halts() for _ in range(2)]

    assert [answer.code for answer in answers] == [1, 1]
    with Catalogue.open(projected.link) as opened:
        assert len(opened.by_provider("acme")) >= 1_000
        assert len(opened.search(ModelFilter(text="m7"))) > 0


async def test_an_event_of_a_newer_version_is_kept_raw(projected: Projected) -> None:
    payload = b'{"type": "model.sung", "at": "2027-01-01T00:00:00.000Z"}'
    async with projected.projector() as process:
        headers = {"Nats-Msg-Id": new_id()}
        ack = await projected.nc.request("log.model.acme.sung.x", payload, headers=headers)
        await projected.reached(msgspec.json.decode(ack.data)["seq"])
        await projected.reached(await append(projected.nc, added("behind it")))
        assert await process.stop() == 0
    with Catalogue.open(projected.link) as catalogue:
        assert catalogue.unknown_events() == 1
        assert catalogue.get("acme", "behind it") is not None


async def _streams(nc: Client, *, facts: dict[str, object]) -> None:
    """Create the streams as they must not be: some fields of the facts' are other ones."""
    await ask(nc, f"STREAM.CREATE.{FACTS}", streams.facts(new_id(), new_id()) | facts)
    await ask(nc, f"STREAM.CREATE.{AUDIT}", streams.audit(new_id()))


@pytest.mark.parametrize("missing", [1, 3], ids=["the first", "one in the middle"])
async def test_a_gap_in_the_log_stops_it(
    missing: int, nats_server: Server, nc: Client, tmp_path: Path
) -> None:
    await _streams(nc, facts={"deny_delete": False})
    for number in range(5):
        await append(nc, added(f"m{number}"))
    await ask(nc, f"STREAM.MSG.DELETE.{FACTS}", {"seq": missing, "no_erase": True})
    projected = Projected(tmp_path, nc, nats_server.url)
    answer = await projected.halts()

    assert answer.code == 1
    assert f"sequence {missing} is missing" in answer.err.strip().splitlines()[-1]
    assert projected.seq() < missing


async def test_a_torn_batch_stops_it(
    nats_server: Server, projected: Projected, tmp_path: Path
) -> None:
    """The disk lost the end of the last batch, and somebody has appended behind it since."""
    last = await append(projected.nc, added("a", "b", "c"))
    await projected.nc.close()
    await killed(nats_server)
    _cut(nats_server.store)
    async with running(nats_server.store) as server, connected(server.url) as nc:
        assert (await stream_info(nc, FACTS))["state"]["last_seq"] == last - 1
        await append(nc, added("d"))
        damaged = Projected(tmp_path, nc, server.url)
        answer = await damaged.halts()

    assert answer.code == 1
    assert f"has no end before {last}" in answer.err.strip().splitlines()[-1]
    assert damaged.seq() < last - 2


def _cut(store: Path) -> None:
    """Cut the last message of the facts off their file."""
    folder = next(store.glob(f"**/streams/{FACTS}/msgs"))
    block = max(folder.glob("*.blk"))
    os.truncate(block, block.stat().st_size - 8)
    for index in folder.glob("index.db"):
        index.unlink()


async def test_a_log_that_lost_its_end_stops_it(
    nats_server: Server, projected: Projected, tmp_path: Path
) -> None:
    await projected.nc.close()
    await killed(nats_server)
    shutil.copytree(nats_server.store, tmp_path / "older")
    async with running(nats_server.store) as server, connected(server.url) as nc:
        newer = Projected(tmp_path, nc, server.url)
        await append(nc, added("late"))
        await newer.once()
    async with running(tmp_path / "older") as server, connected(server.url) as nc:
        answer = await Projected(tmp_path, nc, server.url).halts()

    assert answer.code == 1
    assert "ends at sequence" in answer.err.strip().splitlines()[-1]


# Generations


async def test_a_catalogue_of_another_projection_is_built_anew(projected: Projected) -> None:
    await projected.once()
    old = projected.link.resolve()
    with closing(sqlite3.connect(old)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("DELETE FROM models")
        db.commit()
    await projected.once()
    fresh = await projected.fresh()

    assert projected.link.resolve() != old
    assert old.exists()  # for those who were just opening it
    assert facts_alone(rows(projected.link)) == facts_alone(rows(fresh))


async def test_a_deleted_catalogue_is_replayed(projected: Projected) -> None:
    await projected.once()
    before = facts_alone(rows(projected.link))
    for path in projected.data.glob("catalogue*"):
        path.unlink()
    await projected.once()

    assert facts_alone(rows(projected.link)) == before


async def test_the_catalogue_of_another_log_is_built_anew(
    projected: Projected, tmp_path: Path
) -> None:
    await projected.once()
    old = projected.link.resolve()
    async with running(tmp_path / "another") as server, connected(server.url) as nc:
        await tell(nc, ACME[:1])
        other = Projected(tmp_path, nc, server.url)
        async with other.projector() as process:
            said = await process.line("rebuilds", "the log is another one")
            assert await process.stop() == 0
        fresh = await other.fresh()

    assert "generation=2" in said
    assert projected.link.resolve() != old
    assert facts_alone(rows(projected.link)) == facts_alone(rows(fresh))


# The audit trail has an age


async def _age(nc: Client, *, keep: int) -> None:
    """Let time take the audit trail but for its last *keep* messages."""
    config = (await stream_info(nc, AUDIT))["config"]
    await ask(nc, f"STREAM.UPDATE.{AUDIT}", {**config, "max_msgs": keep or 1})
    if not keep:
        await ask(
            nc,
            f"STREAM.UPDATE.{AUDIT}",
            {**config, "max_age": 100_000_000, "duplicate_window": 100_000_000},
        )

    async def gone() -> bool:
        return int((await stream_info(nc, AUDIT))["state"]["messages"]) <= keep

    await eventually(gone)
    await ask(nc, f"STREAM.UPDATE.{AUDIT}", config)


@pytest.mark.parametrize("keep", [0, 3], ids=["all of it", "most of it"])
async def test_what_age_took_from_the_audit_trail_is_no_gap(
    keep: int, projected: Projected
) -> None:
    await _age(projected.nc, keep=keep)
    fresh = await projected.fresh()
    async with projected.projector() as process:
        await process.stop()

    assert facts_alone(rows(projected.link)) == facts_alone(rows(fresh))
    assert len(told(await audit(projected.nc))) == keep + 2
