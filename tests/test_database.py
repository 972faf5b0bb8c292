from __future__ import annotations

import os
import sqlite3
from pathlib import Path, PosixPath

import pytest

from events.subjects import AUDIT, FACTS
from projections import Catalogue, ModelFilter, database
from projections.database import CannotOpen, NotACatalogue, create, finished, open_writer, switch
from projections.fold import PROJECTION
from projections.reader import open_reader
from tests.support.builders import DAYS, added, configured, folder, record, stored, told

LINK = "catalogue.db"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _other(path: Path) -> None:
    """Leave a database of another program at *path*."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE mine (a)")
    db.close()


def test_the_first_generation_serves_at_once(tmp_path: Path) -> None:
    generation = open_writer(tmp_path / "new" / LINK)

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
        "refreshes_by_provider", "models_by_id", "models_by_price", "capabilities_by_name",
        "history_by_model", "history_by_id", "history_by_end",
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

    again = open_writer(tmp_path / LINK)
    assert not finished(again.db)
    assert (
        again.db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'models_by_id'").fetchall() == []
    )

    again.finish()
    with Catalogue.open(tmp_path / LINK) as opened:
        assert len(opened.search(ModelFilter(text="word7"))) == 1
    again.close()


PAST = """
WITH RECURSIVE n (seq) AS (VALUES (2) UNION ALL SELECT seq + 1 FROM n WHERE seq <= ?)
INSERT INTO model_history
SELECT 'p', 'm-' || (seq % 50), seq, seq + 50, 'at', 'at', 'updated', '[]', '{}' FROM n
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
    generation.close()

    assert _names(tmp_path) == ["catalogue.2.db", LINK]


def test_an_unfinished_successor_is_begun_anew(tmp_path: Path) -> None:
    told(tmp_path / LINK, added(record())).close()
    _stale(tmp_path / LINK)
    half = open_writer(tmp_path / LINK)
    folder(half.db).fold(FACTS, stored([configured()]))
    half.close()
    generation = open_writer(tmp_path / LINK)

    assert folder(generation.db).at(FACTS) == 0
    generation.finish()
    generation.close()

    assert _names(tmp_path) == ["catalogue.2.db", LINK]


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
    assert again.serves
    again.close()


def test_a_link_to_nothing_leads_to_a_new_generation(tmp_path: Path) -> None:
    (tmp_path / LINK).symlink_to("catalogue.7.db")
    generation = open_writer(tmp_path / LINK)

    assert generation.path.name == "catalogue.8.db"
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


def test_a_damaged_generation_is_not_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "catalogue.1.db").write_bytes(b"SQLite format 9, or something else" * 99)
    (tmp_path / LINK).symlink_to("catalogue.1.db")
    with pytest.raises(NotACatalogue, match="file is not a database"):
        open_writer(tmp_path / LINK)


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
