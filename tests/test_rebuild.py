"""A new generation beside the one that serves: asked for, compared, and swapped in at once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client

from events.requests import COMMANDS, Rebuild
from events.subjects import AUDIT, FACTS
from projections import Catalogue
from projections.database import create, open_writer
from projections.generations import serving
from projections.reader import open_reader
from services.directory import PROJECTOR_LOCK, DataDirectory
from services.jetstream.server import Server
from services.projector.projecting import Projecting
from services.projector.rebuild import HistoryDiffers, Rebuilt, build, compared, rebuild, succeed
from services.projector.serving import NotNow, Serving
from tests.support.catalogues import facts_alone, rows
from tests.support.cli import modelog
from tests.support.logs import FACTS_TOLD, stored_log, tell
from tests.support.nats import until
from tests.support.processes import spawned
from tests.support.projected import Projected, added, append
from tests.support.refreshing import audit

pytestmark = pytest.mark.nats

SUBJECT = "rpc.modelog.command.rebuild"


def generations(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("catalogue.*.db"))


async def asked(nc: Client, payload: bytes = b"{}") -> dict[str, object]:
    reply: dict[str, object] = msgspec.json.decode((await nc.request(SUBJECT, payload, 5)).data)
    return reply


async def built(nc: Client, link: Path) -> Rebuilt:
    return await rebuild(nc, link, lambda _done, _total: None)


@asynccontextmanager
async def kept(nc: Client, link: Path, *, grace: float = 60) -> AsyncIterator[Serving]:
    """The projector's core, in this process, caught up."""
    serving_, ready = Serving(nc, link, grace=grace), asyncio.Event()

    async def told() -> None:
        ready.set()

    task = asyncio.create_task(serving_.run(told))
    waiting = asyncio.create_task(ready.wait())
    try:
        async with asyncio.timeout(20):
            await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield serving_
    finally:
        waiting.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# asked for by command


@pytest.mark.process
async def test_a_rebuild_is_accepted_audited_and_swapped_in_while_the_old_answers(
    projected: Projected,
) -> None:
    async with projected.projector() as process:
        reader = open_reader(projected.link)
        last = await append(projected.nc, added(*(f"m-{n:04}" for n in range(900))))
        reply = await asked(projected.nc)
        await process.line("serves", "generation=2")
        later = await append(projected.nc, added("later"))
        await projected.reached(later)
        accepted = await audit(projected.nc, "audit.command.rebuild.accepted")
        before = reader.execute("SELECT max(seq) FROM models").fetchone()[0]
        reader.close()
        assert await process.stop() == 0
    fresh = await projected.fresh()

    assert reply == {"accepted": True, "generation": 2}
    assert serving(projected.link) == projected.data / "catalogue.2.db"
    assert before <= last  # of the old generation, which was whole to the end
    assert len(accepted) == 1
    assert facts_alone(rows(projected.link)) == facts_alone(rows(fresh))


@pytest.mark.process
async def test_a_second_rebuild_is_a_conflict_and_nonsense_is_invalid(
    projected: Projected,
) -> None:
    for number in range(4):
        await append(projected.nc, added(*(f"{number}-{n:03}" for n in range(1000))))
    async with projected.projector() as process:
        replies = await asyncio.gather(asked(projected.nc), asked(projected.nc))
        nonsense = await asked(projected.nc, b'{"force": true}')
        await process.line("serves", "generation=2")
        again = await asked(projected.nc)
        await process.line("serves", "generation=3")
        rejected = await audit(projected.nc, "audit.command.rebuild.rejected")
        assert await process.stop() == 0
    refused = [one["error"] for one in replies if "error" in one]

    assert refused == [{"code": "conflict", "message": "generation 2 is being built already"}]
    assert nonsense["error"]["code"] == "invalid"  # type: ignore[index]  # JSON
    assert again == {"accepted": True, "generation": 3}
    assert len(rejected) == 2
    assert COMMANDS["rebuild"] is Rebuild


async def test_the_retired_generation_is_deleted_after_the_grace_period(
    nc: Client, tmp_path: Path
) -> None:
    await tell(nc)
    link = tmp_path / "catalogue.db"
    async with kept(nc, link, grace=0.5) as core:
        reader = open_reader(link)
        assert core.order() == 2
        with pytest.raises(NotNow, match="generation 2 is being built"):
            core.order()
        await until(lambda: serving(link) == tmp_path / "catalogue.2.db")
        there = (tmp_path / "catalogue.1.db").exists()
        await until(lambda: not (tmp_path / "catalogue.1.db").exists())
        still = reader.execute("SELECT count(*) FROM model_history").fetchone()
        reader.close()
        await append(nc, added("new"))
        with Catalogue.open(link) as catalogue:
            await until(lambda: catalogue.get("acme", "new") is not None)

    assert there
    assert still[0] > 0
    assert generations(tmp_path) == ["catalogue.2.db"]


async def test_before_it_has_caught_up_nothing_is_begun(nc: Client, tmp_path: Path) -> None:
    with pytest.raises(NotNow, match="just opening"):
        Serving(nc, tmp_path / "catalogue.db").order()


# compared before it serves


async def _two(nc: Client, folder: Path) -> tuple[Projecting, Projecting]:
    await tell(nc)
    link = folder / "catalogue.db"
    old = await Projecting.begin(nc, open_writer(link))
    await old.fill()
    old.generation.serve()
    fresh = create(link, old.generation.path, "asked for")
    return old, await build(nc, fresh, lambda _done, _total: None)


async def test_another_past_than_that_of_the_log_is_not_replaced(
    nc: Client, tmp_path: Path
) -> None:
    old, new = await _two(nc, tmp_path)
    old.generation.db.execute("UPDATE checkpoint SET rolling_hash = x'00' WHERE stream = 'MODELOG'")
    with pytest.raises(
        HistoryDiffers, match=f"MODELOG: up to sequence {FACTS_TOLD} the log is not"
    ):
        await succeed(nc, old, new)

    assert old.generation.serves
    for one in (old, new):
        one.generation.close()


async def test_a_row_deleted_by_hand_is_told_and_mended(
    nc: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = await _two(nc, tmp_path)
    old.generation.db.execute("DELETE FROM moments")
    with caplog.at_level("INFO", "modelog"):
        await succeed(nc, old, new)

    assert "rows differ" in caplog.text
    assert "moments 0 ->" in caplog.text
    assert new.generation.serves
    for one in (old, new):
        one.generation.close()


async def test_what_age_took_from_audit_is_no_difference(nc: Client, tmp_path: Path) -> None:
    old, new = await _two(nc, tmp_path)
    new.generation.db.execute("DELETE FROM refreshes")
    new.generation.db.execute(
        "UPDATE checkpoint SET rolling_hash = x'00' WHERE stream = ?", [AUDIT]
    )
    with pytest.raises(HistoryDiffers, match=AUDIT):
        compared(old.generation, new.generation, 1)

    assert compared(old.generation, new.generation, 5) == []
    for one in (old, new):
        one.generation.close()


async def test_generations_meet_at_one_sequence(nc: Client, tmp_path: Path) -> None:
    old, new = await _two(nc, tmp_path)
    last = await append(nc, added("late"))
    await new.catch_up()
    assert (old.at[FACTS], new.at[FACTS]) == (FACTS_TOLD, last)
    await succeed(nc, old, new)

    assert (old.at[FACTS], new.at[FACTS]) == (last, last)
    for one in (old, new):
        one.generation.close()


async def test_a_successor_that_was_deleted_does_not_serve(nc: Client, tmp_path: Path) -> None:
    old, new = await _two(nc, tmp_path)
    new.generation.path.unlink()
    with pytest.raises(FileNotFoundError, match="deleted while it was built"):
        await succeed(nc, old, new)

    assert old.generation.serves
    for one in (old, new):
        one.generation.close()


async def test_a_rebuild_that_fails_leaves_the_old_one_at_work(
    nc: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await tell(nc)
    link = tmp_path / "catalogue.db"
    with caplog.at_level("INFO", "modelog"):
        async with kept(nc, link) as core:
            with closing(sqlite3.connect(link)) as db:
                db.execute("UPDATE checkpoint SET rolling_hash = x'00' WHERE stream = 'MODELOG'")
                db.commit()
            # the follower knows its own hash: what it folds next puts it into the row again
            core.order()
            await until(lambda: "rebuild failed" in caplog.text)
            await append(nc, added("goes on"))
            with Catalogue.open(link) as catalogue:
                await until(lambda: catalogue.get("acme", "goes on") is not None)

    assert "HistoryDiffers" in caplog.text
    assert generations(tmp_path) == ["catalogue.1.db"]


@pytest.mark.process
async def test_it_can_be_stopped_in_the_middle(projected: Projected) -> None:
    for number in range(4):
        await append(projected.nc, added(*(f"{number}-{n:03}" for n in range(1000))))
    async with projected.projector() as process:
        await asked(projected.nc)
        assert await process.stop() == 0

    assert generations(projected.data) == ["catalogue.1.db"]
    assert "Traceback" not in process.text


# by itself, where nobody else writes


async def test_a_rebuild_alone_fills_what_there_is_and_succeeds_it_then(
    nc: Client, tmp_path: Path
) -> None:
    await tell(nc)
    link = tmp_path / "catalogue.db"
    first, second = [await built(nc, link) for _ in range(2)]
    (tmp_path / "catalogue.2.db").write_bytes(b"SQLite format 9, or something else" * 99)
    third = await built(nc, link)

    assert [one.path.name for one in (first, second, third)] == [
        "catalogue.1.db",
        "catalogue.2.db",
        "catalogue.3.db",
    ]
    assert serving(link) == third.path
    assert {one.events for one in (first, second, third)} == {FACTS_TOLD + third.seqs[AUDIT]}
    assert third.rows["models"] == 1


async def test_words_that_turn_out_damaged_on_the_way_are_no_obstacle(
    nc: Client, tmp_path: Path
) -> None:
    await tell(nc)
    link = tmp_path / "catalogue.db"
    await built(nc, link)
    await append(nc, added("next"))
    with closing(sqlite3.connect(link, isolation_level=None)) as db:
        db.execute("DELETE FROM models_fts_data WHERE id = 10")  # no quick check sees it
    done = await built(nc, link)

    assert serving(link) == done.path == tmp_path / "catalogue.2.db"
    assert done.seqs[FACTS] == FACTS_TOLD + 1


async def test_what_an_older_version_kept_raw_is_applied_by_a_rebuild(
    nc: Client, tmp_path: Path
) -> None:
    old, new = await _two(nc, tmp_path)
    db = old.generation.db  # as one left it that knew of no update yet
    db.execute("UPDATE models SET price_input = 3")
    raw = (FACTS, 5, "log.model.acme.updated.gpt-4=2E1", "id", "{}")
    db.execute("INSERT INTO event_unknown VALUES (?, ?, ?, ?, ?)", raw)
    await succeed(nc, old, new)
    with Catalogue.open(new.generation.link) as catalogue:
        assert catalogue.unknown_events() == 0
        found = catalogue.get("acme", "gpt-4.1")
    for one in (old, new):
        one.generation.close()

    assert found is not None
    assert found.price_input == 2.5


# the command line


@pytest.mark.process
async def test_the_command_asks_a_running_projector_and_waits(projected: Projected) -> None:
    async with projected.projector() as process:
        answer = await asyncio.to_thread(
            modelog, "rebuild", cwd=projected.folder, env=projected.env
        )
        assert await process.stop() == 0

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("catalogue.2.db: ")
    assert f"MODELOG {FACTS_TOLD}," in answer.out
    assert serving(projected.link) == projected.data / "catalogue.2.db"


@pytest.mark.process
async def test_the_command_rebuilds_by_itself_where_no_projector_runs(
    nats_server: Server, projected: Projected
) -> None:
    env = {"MODELOG_NATS_URL": nats_server.url}
    for number in (1, 2):
        answer = await asyncio.to_thread(modelog, "rebuild", cwd=projected.folder, env=env)
        assert (answer.code, answer.err) == (0, "")
        assert answer.out.startswith(f"catalogue.{number}.db: ")
    fresh = await projected.fresh()

    assert facts_alone(rows(projected.link)) == facts_alone(rows(fresh))


@pytest.mark.process
def test_the_command_rebuilds_by_itself_where_no_server_runs(tmp_path: Path) -> None:
    data = tmp_path / ".modelog"
    stored_log(data)
    first, second = (modelog("rebuild", cwd=tmp_path) for _ in range(2))
    path = data / "catalogue.2.db"
    with path.open("r+b") as file:
        file.truncate(5000)
    third = modelog("rebuild", cwd=tmp_path)

    for number, answer in enumerate((first, second, third), 1):
        assert (answer.code, answer.err) == (0, "")
        assert answer.out.startswith(f"catalogue.{number}.db: ")
    with Catalogue.open(data / "catalogue.db") as catalogue:
        assert catalogue.seq() == FACTS_TOLD


@pytest.mark.process
def test_the_command_says_who_writes_or_that_there_is_no_log(tmp_path: Path) -> None:
    nothing = modelog("rebuild", cwd=tmp_path)
    stored_log(tmp_path / ".modelog")
    with DataDirectory(tmp_path / ".modelog").lock(PROJECTOR_LOCK):
        held = modelog("rebuild", cwd=tmp_path)

    assert (nothing.code, held.code) == (4, 1)
    assert "there is no log" in nothing.err
    assert "is in use by process" in held.err


@pytest.mark.process
async def test_a_second_projector_on_the_same_directory_is_refused(projected: Projected) -> None:
    async with projected.projector() as process:
        answer = await projected.halts()
        assert await process.stop() == 0
    async with projected.projector() as process:
        await process.kill()  # whatever it left in the file
    await projected.once()

    assert answer.code == 1
    assert f"in use by process {process.pid}" not in answer.err  # that was the first one's
    assert "is in use by process" in answer.err
    assert "modelog run projector" in answer.err


@pytest.mark.process
async def test_the_deadline_of_the_command_is_told(projected: Projected) -> None:
    async with spawned(projected.folder, "rebuild", "--deadline", "0.5", env={}) as process:
        assert await process.ended() == 2
    assert "--deadline" in process.text
