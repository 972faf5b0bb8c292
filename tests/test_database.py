from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path, PosixPath

import pytest

from events.subjects import AUDIT, FACTS
from projections import Catalogue, ModelFilter, database
from projections.database import (
    CannotOpen,
    Damaged,
    Generation,
    NotACatalogue,
    connect,
    create,
    finished,
    open_writer,
    settle,
)
from projections.fold import PROJECTION
from projections.generations import JOURNAL, size, switch
from projections.reader import open_reader
from projections.upkeep import BUSY_MS, counts, damage, relieve
from tests.support.builders import DAYS, added, configured, folder, record, stored, told

LINK = "catalogue.db"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _other(path: Path) -> None:
    """Leave a database of another program at *path*."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE mine (a)")
    db.close()


def test_the_first_generation_serves_when_it_is_finished(tmp_path: Path) -> None:
    generation = open_writer(tmp_path / "new" / LINK)

    assert not generation.serves
    with pytest.raises(database.NoCatalogue, match="it is being filled; ask again"):
        Catalogue.open(tmp_path / "new" / LINK)
    generation.finish()

    assert generation.serves
    assert (tmp_path / "new" / LINK).readlink() == Path("catalogue.1.db")
    with Catalogue.open(tmp_path / "new" / LINK) as opened:
        assert opened.search() == []
    generation.close()

    assert _names(tmp_path / "new") == ["catalogue.1.db", LINK]


def test_a_moved_data_directory_is_whole(tmp_path: Path) -> None:
    told(tmp_path / "here" / LINK, added(record())).close()
    (tmp_path / "here").rename(tmp_path / "there")
    with Catalogue.open(tmp_path / "there" / LINK) as opened:
        assert len(opened.search()) == 1


def test_what_was_written_is_there_at_the_next_start(tmp_path: Path) -> None:
    told(tmp_path / LINK, added(record())).close()
    generation = open_writer(tmp_path / LINK)

    assert generation.path.name == "catalogue.1.db"
    assert folder(generation.db).at(FACTS) == 1
    generation.close()


def test_the_writer_keeps_a_journal_and_one_application_id(tmp_path: Path) -> None:
    generation = open_writer(tmp_path / LINK)
    generation.finish()
    found = {
        name: generation.db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in (
            *("journal_mode", "synchronous", "recursive_triggers"),
            *("application_id", "user_version"),
        )
    }
    generation.close()

    assert found == {
        "journal_mode": "wal",
        "synchronous": 1,
        "recursive_triggers": 1,
        "application_id": database.APPLICATION_ID,
        "user_version": PROJECTION,
    }


def test_indexes_and_words_are_added_when_a_generation_is_finished(tmp_path: Path) -> None:
    generation = open_writer(tmp_path / LINK)
    db = generation.db
    folder(db).fold(FACTS, stored(added(record())))

    assert not finished(db)

    generation.finish()
    generation.finish()

    assert finished(db)
    indexes = db.execute("SELECT name FROM sqlite_schema WHERE type = 'index'").fetchall()
    assert {
        "refreshes_by_provider", "models_by_id", "models_by_filter", "capabilities_by_name",
        "history_by_model", "history_by_id", "history_by_end",
        "history_by_filter",
    } <= {name for (name,) in indexes}  # fmt: skip
    generation.close()


def test_finishing_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    generation = open_writer(tmp_path / LINK)
    models = [
        added(record(f"m-{number}", description=f"word{number} " * 250)) for number in range(60)
    ]
    folder(generation.db).fold(FACTS, stored(one for facts in models for one in facts))
    pages = generation.db.execute("PRAGMA page_count").fetchone()[0]
    generation.db.execute(f"PRAGMA max_page_count = {pages + 12}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        generation.finish()
    generation.close()

    half = sqlite3.connect(generation.path)
    assert not finished(half)
    assert half.execute("SELECT 1 FROM sqlite_schema WHERE name = 'models_by_id'").fetchall() == []
    half.close()

    again = open_writer(tmp_path / LINK)
    assert not folder(again.db).at(FACTS)
    folder(again.db).fold(FACTS, stored(one for facts in models for one in facts))
    again.finish()
    with Catalogue.open(tmp_path / LINK) as opened:
        assert len(opened.search(ModelFilter(text="word7"))) == 1
    again.close()


PAST = """
WITH RECURSIVE n (seq) AS (VALUES (2) UNION ALL SELECT seq + 1 FROM n WHERE seq <= ?)
INSERT INTO model_history
SELECT 'p', 'm-' || (seq % 50), seq, seq + 50, 'at', 'at', 'updated', '[]', '{}',
  NULL, NULL, 'active', NULL, 0, NULL FROM n
"""


@pytest.mark.parametrize("versions", [1, 12_000])
@pytest.mark.parametrize("column", ["provider = 'p' AND model_id", "model_id", "seq", "until_seq"])
def test_a_version_is_looked_up_by_an_index_however_many_there_were(
    tmp_path: Path, column: str, versions: int
) -> None:
    generation = open_writer(tmp_path / LINK)
    folder(generation.db).fold(FACTS, stored(added(record())))
    generation.db.execute(PAST, [versions])
    generation.finish()
    ((*_, plan),) = generation.db.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM model_history WHERE {column} = 1"  # noqa: S608 - ours
    ).fetchall()
    generation.close()

    assert plan.startswith("SEARCH")


# generations


def _stale(path: Path) -> None:
    """Make the catalogue at *path* one of an older projection."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 1")
    db.close()


def test_a_file_of_another_projection_serves_until_its_successor_is_finished(
    tmp_path: Path,
) -> None:
    told(tmp_path / LINK, added(record())).close()
    _stale(tmp_path / LINK)
    generation = open_writer(tmp_path / LINK)

    assert not generation.serves
    assert generation.path.name == "catalogue.2.db"
    with Catalogue.open(tmp_path / LINK) as opened:
        assert len(opened.search()) == 1
        generation.finish()

        assert generation.serves
        assert opened.search() == []
    assert (tmp_path / "catalogue.1.db").exists()  # for those who just open it
    generation.close()
    open_writer(tmp_path / LINK).close()

    assert _names(tmp_path) == ["catalogue.2.db", LINK]


def test_an_unfinished_successor_is_begun_anew(tmp_path: Path) -> None:
    told(tmp_path / LINK, added(record())).close()
    _stale(tmp_path / LINK)
    half = open_writer(tmp_path / LINK)
    folder(half.db).fold(FACTS, stored([configured()]))
    half.close()
    generation = open_writer(tmp_path / LINK)

    assert folder(generation.db).at(FACTS) == 0
    assert generation.reason == "the catalogue is of projection 1, not " + str(PROJECTION)
    generation.close()


def test_a_start_deletes_what_an_unfinished_generation_left(tmp_path: Path) -> None:
    old = told(tmp_path / LINK, added(record()))
    half = create(tmp_path / LINK, old.path)
    assert half.number == 2
    half.close()
    old.close()
    generation = open_writer(tmp_path / LINK)
    generation.close()

    assert generation.number == 1
    assert _names(tmp_path) == ["catalogue.1.db", LINK]


def test_a_second_successor_spares_the_generation_that_readers_may_still_open(
    tmp_path: Path,
) -> None:
    first = told(tmp_path / LINK)
    second = create(tmp_path / LINK, first.path)
    second.finish()
    third = create(tmp_path / LINK, second.path)
    for generation in (first, second, third):
        generation.close()

    assert _names(tmp_path) == ["catalogue.1.db", "catalogue.2.db", "catalogue.3.db", LINK]


def test_a_reader_keeps_the_generation_that_it_has_open(tmp_path: Path) -> None:
    old = told(tmp_path / LINK, added(record()))
    db = open_reader(tmp_path / LINK)
    new = create(tmp_path / LINK, old.path)
    old.close()
    new.finish()

    assert db.execute("SELECT count(*) FROM models").fetchone() == (1,)
    db.close()
    new.close()


@pytest.mark.parametrize("left", ["", "-wal", "-shm"])
def test_a_deleted_catalogue_is_built_anew(tmp_path: Path, left: str) -> None:
    generation = told(tmp_path / LINK, added(record()))
    for suffix in {"", "-wal", "-shm"} - {left}:
        Path(f"{generation.path}{suffix}").unlink(missing_ok=True)
    (tmp_path / LINK).unlink()
    generation.close()
    if left:
        Path(f"{generation.path}{left}").write_bytes(b"left behind" * 99)
    again = open_writer(tmp_path / LINK)

    assert folder(again.db).at(FACTS) == 0
    again.finish()
    assert again.serves
    again.close()


def test_a_link_to_nothing_leads_to_a_new_generation(tmp_path: Path) -> None:
    (tmp_path / LINK).symlink_to("catalogue.7.db")
    generation = open_writer(tmp_path / LINK)

    assert generation.path.name == "catalogue.8.db"
    generation.finish()
    assert generation.serves
    generation.close()


def test_the_link_is_switched_at_once(tmp_path: Path) -> None:
    (tmp_path / ".catalogue.db.new").symlink_to("left by a crash")
    switch(tmp_path / LINK, "catalogue.3.db")
    switch(tmp_path / LINK, "catalogue.4.db")

    assert (tmp_path / LINK).readlink() == Path("catalogue.4.db")
    assert _names(tmp_path) == [LINK]


# what is no catalogue


def test_a_plain_file_is_left_alone(tmp_path: Path) -> None:
    _other(tmp_path / LINK)
    before = (tmp_path / LINK).read_bytes()
    with pytest.raises(NotACatalogue, match="no link to a generation"):
        open_writer(tmp_path / LINK)

    assert (tmp_path / LINK).read_bytes() == before


def test_a_link_to_elsewhere_is_left_alone(tmp_path: Path) -> None:
    _other(tmp_path / "mine.db")
    (tmp_path / LINK).symlink_to("mine.db")
    with pytest.raises(NotACatalogue, match="no link to a generation"):
        open_writer(tmp_path / LINK)


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    _other(tmp_path / "catalogue.1.db")
    before = (tmp_path / "catalogue.1.db").read_bytes()
    (tmp_path / LINK).symlink_to("catalogue.1.db")
    with pytest.raises(NotACatalogue, match="another program's database"):
        open_writer(tmp_path / LINK)
    with pytest.raises(NotACatalogue, match="another program's database"):
        open_reader(tmp_path / LINK)

    assert (tmp_path / "catalogue.1.db").read_bytes() == before
    assert _names(tmp_path) == ["catalogue.1.db", LINK]


def _harmful(folder: Path, share: float) -> Path:
    """Leave a catalogue in which some pages were overwritten, from *share* of its size on."""
    models = [added(record(f"m-{number}", description="x" * 900)) for number in range(300)]
    told(folder / LINK, [one for facts in models for one in facts]).close()
    path = folder / "catalogue.1.db"
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * share))
        file.write(b"\xde\xad\xbe\xef" * 4096)
    return path


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 9, or something else" * 99], ids=["empty", "nonsense"]
)
def test_a_file_in_the_place_of_a_generation_serves_until_a_new_one_is_finished(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "catalogue.1.db").write_bytes(content)
    (tmp_path / LINK).symlink_to("catalogue.1.db")
    generation = open_writer(tmp_path / LINK)

    assert not generation.serves
    assert generation.reason
    generation.finish()
    assert generation.serves
    generation.close()


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.8])
def test_a_damaged_generation_is_built_anew(share: float, tmp_path: Path) -> None:
    _harmful(tmp_path, share)
    generation = open_writer(tmp_path / LINK)

    assert "damaged" in generation.reason
    assert generation.number == 2
    assert folder(generation.db).at(FACTS) == 0
    generation.close()


def test_a_generation_is_checked_before_it_serves(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK, added(record("word")))
    generation.check()
    words = "INSERT INTO models_fts (models_fts, rowid, id) SELECT 'delete', rowid, id FROM models"
    generation.db.execute(words)
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        generation.check()
    generation.close()


def test_a_generation_with_a_damaged_page_does_not_serve(tmp_path: Path) -> None:
    path = _harmful(tmp_path, 0.5)
    damaged = Generation(tmp_path / LINK, path, connect(path))
    with pytest.raises(Damaged):
        damaged.check()
    damaged.close()


def test_what_sqlite_says_of_a_lock_is_no_damage(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK)
    other = connect(generation.path)
    other.execute("PRAGMA busy_timeout = 0")
    generation.db.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked") as raised:
        other.execute("BEGIN IMMEDIATE")
    other.close()
    generation.close()

    assert not damage(raised.value)
    assert not damage(sqlite3.OperationalError("of nobody's"))


def test_a_file_that_another_program_locks_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 10)
    told(tmp_path / LINK).close()
    other = sqlite3.connect(tmp_path / LINK, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(CannotOpen, match="locked"):
        open_writer(tmp_path / LINK)
    other.close()


@pytest.mark.chaos
def test_a_file_that_somebody_reads_cannot_be_given_a_journal(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK)
    settle(generation.db)
    generation.close()
    other = sqlite3.connect(tmp_path / LINK, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM models").fetchone()
    with pytest.raises(CannotOpen, match="locked"):
        open_writer(tmp_path / LINK)
    other.close()


def test_a_deleted_or_replaced_file_is_lost_to_its_writer(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK)
    assert not generation.lost
    generation.path.rename(tmp_path / "away")
    assert generation.lost
    generation.path.write_bytes(b"")
    assert generation.lost
    generation.close()


def test_who_looks_with_a_shell_of_sqlite_takes_no_journal_from_the_writer(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK, added(record("before")))

    look = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT 1 FROM models')"
    subprocess.run([sys.executable, "-c", look, str(tmp_path / LINK)], check=True, timeout=30)
    generation.db.execute("UPDATE models SET id = 'after'")

    with Catalogue.open(tmp_path / LINK) as opened:
        assert [model.id for model in opened.search()] == ["after"]
    generation.close()


def test_a_journal_that_a_reader_holds_is_emptied_when_it_is_gone(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK, added(record()))
    journal = Path(f"{generation.path}{JOURNAL}")
    db = sqlite3.connect(tmp_path / LINK, isolation_level=None)
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM models").fetchone()
    folder(generation.db).fold(FACTS, stored(added(record("more")), after=1))

    assert not relieve(generation.db)
    assert size(journal) > 0
    db.close()
    assert relieve(generation.db)
    assert size(journal) == 0
    assert generation.db.execute("PRAGMA busy_timeout").fetchone() == (BUSY_MS,)
    generation.close()
    assert size(journal) == 0


def test_rows_are_counted_by_their_tables(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK, added(record()))
    found = counts(generation.db)
    generation.close()

    assert (found["models"], found["model_history"], found["checkpoint"]) == (1, 1, 2)
    assert not any(name.startswith("models_fts") for name in found)


def test_a_folder_in_the_place_of_a_generation_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "catalogue.1.db").mkdir()
    (tmp_path / LINK).symlink_to("catalogue.1.db")
    with pytest.raises(CannotOpen, match=r"cannot open .*; may this user read it"):
        open_writer(tmp_path / LINK)


class _Moving(PosixPath):
    """A link whose generation is replaced between the first and the second look at it."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        looked = Path(self).with_name("looked")
        if looked.exists():
            switch(Path(self), "catalogue.2.db")
        looked.touch()
        return super().stat(follow_symlinks=follow_symlinks)


def test_a_generation_that_goes_while_it_is_opened_leads_to_the_next(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK, added(record()))
    generation.close()
    generation.path.rename(tmp_path / "catalogue.2.db")
    (tmp_path / "catalogue.1.db").mkdir()
    db = open_reader(_Moving(tmp_path / LINK))

    assert db.execute("SELECT count(*) FROM models").fetchone() == (1,)
    assert (tmp_path / LINK).readlink() == Path("catalogue.2.db")
    db.close()


def test_a_journal_out_of_reach_is_told_as_such(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK)
    generation.close()
    Path(f"{generation.path}-wal").mkdir()
    for opens in (open_reader, open_writer):
        with pytest.raises(CannotOpen, match=r"cannot open .*unable to open database file"):
            opens(tmp_path / LINK)


def test_audit_and_facts_begin_with_the_first_folder(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK, added(record(), at=DAYS[1]))
    fold = folder(generation.db)

    assert (fold.at(FACTS), fold.at(AUDIT)) == (1, 0)
    generation.close()


def test_keys_without_rowid_come_first(tmp_path: Path) -> None:
    """Else SQLite 3.40 takes a sound file for a damaged one: `NULL value in …`, it says."""
    db = database.create(tmp_path / "catalogue.db").db
    asked = "SELECT name FROM sqlite_schema WHERE sql LIKE '%WITHOUT ROWID'"
    tables = db.execute(asked).fetchall()
    keys = {
        name: [column[5] for column in db.execute(f"PRAGMA table_info({name})") if column[5]]
        for (name,) in tables
    }
    places = {
        name: [column[0] + 1 for column in db.execute(f"PRAGMA table_info({name})") if column[5]]
        for (name,) in tables
    }

    assert tables
    assert keys == places
