"""What happens to the catalogue's file, and what the projector makes of it: no row is lost."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from nats.aio.client import Client

from events.subjects import FACTS
from projections import Catalogue, database, upkeep
from projections.database import NotACatalogue, create, open_writer
from projections.generations import JOURNAL, serving, size, switch
from services.projector import watch
from services.projector.projecting import CannotWrite, Projecting
from services.projector.serving import Serving
from tests.support.catalogues import facts_alone, rows
from tests.support.logs import FACTS_TOLD, tell
from tests.support.nats import until
from tests.support.projected import Projected, added, append

pytestmark = [pytest.mark.nats, pytest.mark.chaos]


@asynccontextmanager
async def kept(nc: Client, link: Path) -> AsyncIterator[asyncio.Task[None]]:
    """The projector's core in this process, caught up; yields its task."""
    ready = asyncio.Event()

    async def told() -> None:
        ready.set()

    task = asyncio.create_task(Serving(nc, link).run(told))
    try:
        async with asyncio.timeout(20):
            await asyncio.wait(
                (task, asyncio.ensure_future(ready.wait())), return_when=asyncio.FIRST_COMPLETED
            )
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def shows(link: Path, id: str) -> None:
    """Wait until the catalogue behind *link*, whichever file it is, lists a model."""

    def listed() -> bool:
        try:
            with Catalogue.open(link) as catalogue:
                return catalogue.get("acme", id) is not None
        except (database.NoCatalogue, NotACatalogue, sqlite3.DatabaseError):
            return False

    await until(listed, 20)


# The file goes away


def _delete_all(folder: Path) -> None:
    for path in folder.glob("catalogue*"):
        path.unlink()


async def test_a_catalogue_deleted_while_it_is_followed_is_built_anew(
    nc: Client, tmp_path: Path
) -> None:
    await tell(nc)
    link = tmp_path / "catalogue.db"
    async with kept(nc, link) as task:
        before = facts_alone(rows(link))
        _delete_all(tmp_path)
        await until(link.exists)
        await append(nc, added("after"))
        await shows(link, "after")
        assert not task.done()
        with Catalogue.open(link) as catalogue:
            assert catalogue.seq() == FACTS_TOLD + 1

    assert set(before["models"]) <= set(facts_alone(rows(link))["models"])


async def test_a_deleted_file_behind_the_link_is_built_anew(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = tmp_path / "catalogue.db"
    async with kept(nc, link):
        (tmp_path / "catalogue.1.db").unlink()
        await shows(link, "gpt-4.1")

    assert serving(link) == tmp_path / "catalogue.2.db"


async def test_a_link_deleted_alone_is_made_again(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = tmp_path / "catalogue.db"
    async with kept(nc, link):
        link.unlink()
        await until(link.exists)

    assert serving(link) == tmp_path / "catalogue.1.db"


async def test_a_file_in_the_place_of_the_link_stops_it(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = tmp_path / "catalogue.db"
    async with kept(nc, link) as task:
        link.unlink()
        link.write_text("of somebody else")
        with pytest.raises(NotACatalogue, match="no link to a generation"):
            await asyncio.wait_for(task, 10)

    assert link.read_text() == "of somebody else"


async def test_a_generation_switched_in_by_others_is_followed(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = tmp_path / "catalogue.db"
    async with kept(nc, link):
        other = create(link, tmp_path / "catalogue.1.db")
        other.complete()
        other.close()
        switch(link, other.path.name)
        await shows(link, "gpt-4.1")

    assert serving(link) == tmp_path / "catalogue.2.db"


# The file is damaged


def _harm(path: Path) -> None:
    """Overwrite everything behind the first page."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xde\xad\xbe\xef" * ((path.stat().st_size - 4096) // 4))


@pytest.mark.process
async def test_a_page_damaged_at_rest_is_found_at_the_next_start(projected: Projected) -> None:
    await projected.once()
    _harm(projected.link.resolve())
    async with projected.projector() as process:
        said = await process.line("rebuilds", "the catalogue is damaged")
        assert await process.stop() == 0
    fresh = await projected.fresh()

    assert "generation=2" in said
    assert facts_alone(rows(projected.link)) == facts_alone(rows(fresh))


async def test_a_page_damaged_while_it_is_followed_is_mended_by_a_rebuild(
    nc: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await tell(nc)
    link = tmp_path / "catalogue.db"
    with caplog.at_level("INFO", "modelog"):
        async with kept(nc, link) as task:
            # what is in memory would hide it: an index entry that SQLite meets and cannot follow
            with closing(sqlite3.connect(link, isolation_level=None)) as db:
                db.execute("PRAGMA writable_schema = ON")
                db.execute("UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'model_history'")
                db.execute("PRAGMA schema_version = 9999")
            await append(nc, added("after"))
            await until(lambda: serving(link) == tmp_path / "catalogue.2.db", 20)
            await shows(link, "after")
            assert not task.done()

    assert "the catalogue is damaged" in caplog.text


# The file takes nothing


async def test_a_full_disk_stops_it_at_its_checkpoint(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    generation = open_writer(tmp_path / "catalogue.db")
    projecting = await Projecting.begin(nc, generation)
    await projecting.fill()
    generation.serve()
    before = rows(generation.link)
    pages = generation.db.execute("PRAGMA page_count").fetchone()[0]
    generation.db.execute(f"PRAGMA max_page_count = {pages}")
    last = await append(nc, added(*(f"{n}-{'x' * 90}" for n in range(900))))
    with pytest.raises(CannotWrite, match=r"disk is full.*free some space"):
        await asyncio.wait_for(projecting.follow(), 10)
    assert rows(generation.link) == before
    assert projecting.at[FACTS] == FACTS_TOLD
    generation.db.execute("PRAGMA max_page_count = 1000000")
    await projecting.catch_up()
    generation.close()

    with Catalogue.open(generation.link) as catalogue:
        assert catalogue.seq() == last


@pytest.mark.process
async def test_a_disk_that_takes_no_more_ends_the_process_which_then_goes_on(
    projected: Projected,
) -> None:
    async with projected.projector() as process:
        before = facts_alone(rows(projected.link))
        room = size(Path(f"{projected.link.resolve()}{JOURNAL}")) + 8192
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, room))
        last = await append(projected.nc, added(*(f"m-{n:03}" for n in range(900))))
        assert await process.ended() == 1
    between = facts_alone(rows(projected.link))
    await projected.once()

    assert "cannot write" in process.text
    assert "Traceback" not in process.text
    assert between == before
    assert projected.seq() == last


def _hold(link: Path, held: threading.Event) -> None:
    """Hold the catalogue locked for a while, in a thread: who waits for it holds up the loop."""
    with closing(sqlite3.connect(link, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        held.set()
        time.sleep(0.3)
        db.execute("ROLLBACK")


async def test_a_lock_is_waited_for_and_then_told(
    nc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 500)
    monkeypatch.setattr(upkeep, "BUSY_MS", 500)
    await tell(nc)
    link = tmp_path / "catalogue.db"
    async with kept(nc, link) as task:
        held = threading.Event()
        briefly = asyncio.create_task(asyncio.to_thread(_hold, link, held))
        await asyncio.to_thread(held.wait, 5)
        await append(nc, added("waits"))
        await shows(link, "waits")
        await briefly
        with closing(sqlite3.connect(link, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            await append(nc, added("never"))
            with pytest.raises(CannotWrite, match=r"locked.*end the program"):
                await asyncio.wait_for(task, 10)
    with Catalogue.open(link) as catalogue:
        assert catalogue.get("acme", "never") is None


# A reader that never ends


async def test_a_journal_that_a_reader_holds_is_told_of_and_emptied_when_it_goes(
    nc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "LARGE_JOURNAL", 1 << 20)
    await tell(nc)
    link = tmp_path / "catalogue.db"
    journal = tmp_path / f"catalogue.1.db{JOURNAL}"
    with caplog.at_level("INFO", "modelog"):
        async with kept(nc, link):
            await until(lambda: size(journal) == 0)  # idle, and nobody reads
            with closing(sqlite3.connect(link, isolation_level=None)) as db:
                db.execute("BEGIN")
                db.execute("SELECT count(*) FROM models").fetchone()
                for number in range(3):
                    await append(nc, added(*(f"{number}-{n:03}" for n in range(900))))
                await shows(link, "2-899")
                held = size(journal)
                await until(lambda: "large journal" in caplog.text)
            await until(lambda: size(journal) == 0)

    assert held > 1 << 20
    assert "a reader holds it" in caplog.text
