"""What other programs and other processes see of a catalogue, and what is none."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlite_utils

from events.subjects import FACTS
from projections import Catalogue
from projections.database import NoCatalogue, NotACatalogue, create, open_writer
from tests.support.builders import added, catalogue, configured, folder, record, stored, told

LINK = "catalogue.db"
MODELS = [
    fact
    for number in range(40)
    for fact in added(record(f"m-{number}", description="x" * 400, capabilities={"chat": True}))
]
COLUMNS = {
    "providers": "name dialect base_url enabled priority origin status status_cause status_since"
    " stale model_count refreshed_at refresh_outcome registered_at",
    "models": "provider id name owned_by family description created knowledge_cutoff"
    " context_window max_input_tokens max_output_tokens open_weights input_modalities"
    " output_modalities capabilities prices lifecycle aliases sources price_input price_output"
    " lifecycle_state retires_on availability first_seen_at updated_at missing_since seq",
    "model_capabilities": "provider model_id capability",
    "model_history": "provider model_id seq until_seq at until change changed record",
    "refreshes": "provider run_id force reason attempts models added updated missing removed"
    " skipped duplicates complete not_modified duration_ms held absent error_class error_message"
    " error_status",
    "moments": "seq at",
    "models_fts": "id name description family",
    "checkpoint": "stream seq event_id epoch",
}
"""The columns that never change their meaning."""


@pytest.mark.parametrize("table", COLUMNS)
def test_a_table_has_the_columns_that_never_change(table: str) -> None:
    with catalogue() as opened:
        there = {row[1] for row in opened.query(f"PRAGMA table_info({table})").rows}

    assert set(COLUMNS[table].split()) <= there


def test_sqlite_utils_opens_lists_and_searches_it(tmp_path: Path) -> None:
    cafe = record("cafe-1", name="Café One", capabilities={"chat": True})
    told(tmp_path / LINK, [configured(), *added(cafe)]).close()
    db = sqlite_utils.Database(tmp_path / LINK)
    try:
        assert {"models", "model_capabilities", "model_history", "moments", "refreshes"} <= set(
            db.table_names()
        )
        assert "providers" in db.view_names()
        assert db.table("models").pks == ["provider", "id"]
        assert db.table("model_capabilities").pks == ["provider", "model_id", "capability"]
        assert db.table("models").detect_fts() == "models_fts"
        assert [row["id"] for row in db.table("models").search("cafe")] == ["cafe-1"]
        assert db.table("models").get(("acme", "cafe-1"))["name"] == "Café One"
        assert next(iter(db.query("SELECT * FROM providers")))["model_count"] == 1
    finally:
        db.close()


READER = """
import sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True, isolation_level=None)
db.execute("PRAGMA busy_timeout = 5000")
print("ready", flush=True)
seen = set()
while max(seen, default=0) < int(sys.argv[2]):
    db.execute("BEGIN")
    seq, = db.execute("SELECT max(seq) FROM checkpoint").fetchone()
    models, = db.execute("SELECT count(*) FROM models").fetchone()
    versions, = db.execute("SELECT count(*) FROM model_history").fetchone()
    capabilities, = db.execute("SELECT count(*) FROM model_capabilities").fetchone()
    db.execute("COMMIT")
    assert seq == 2 * models == 2 * versions == 2 * capabilities, (seq, models, capabilities)
    seen.add(seq)
"""


@pytest.mark.process
def test_another_process_reads_whole_transactions_while_the_projector_writes(
    tmp_path: Path,
) -> None:
    generation = told(tmp_path / LINK)
    fold = folder(generation.db)
    facts = stored(MODELS)
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path / LINK), str(len(facts))],
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
            for start in range(0, len(facts), 2):
                fold.fold(FACTS, facts[start : start + 2])

            assert reader.wait(30) == 0
        finally:
            reader.kill()
    generation.close()


def test_a_long_read_neither_holds_up_the_writer_nor_sees_it(tmp_path: Path) -> None:
    generation = told(tmp_path / LINK, MODELS[:2])
    reader = sqlite3.connect(f"file:{tmp_path / LINK}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    count = "SELECT count(*) FROM models"
    before = reader.execute(count).fetchone()
    folder(generation.db).fold(FACTS, stored(MODELS))

    assert reader.execute(count).fetchone() == before == (1,)

    reader.execute("COMMIT")

    assert reader.execute(count).fetchone() == (40,)
    reader.close()
    generation.close()


def test_a_transaction_that_is_open_during_a_switch_keeps_its_view(tmp_path: Path) -> None:
    old = told(tmp_path / LINK, MODELS[:2])
    reader = sqlite3.connect(f"file:{tmp_path / LINK}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    count = "SELECT count(*) FROM models"
    assert reader.execute(count).fetchone() == (1,)
    new = create(tmp_path / LINK, old.path)
    folder(new.db).fold(FACTS, stored(MODELS))
    old.close()
    new.finish()

    assert reader.execute(count).fetchone() == (1,)
    with Catalogue.open(tmp_path / LINK) as opened:
        assert opened.counts()["models"] == 40
    reader.close()
    new.close()


@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.5, 0.9])
def test_a_truncated_generation_is_not_a_catalogue(tmp_path: Path, share: float) -> None:
    generation = told(tmp_path / LINK, MODELS)
    generation.close()
    os.truncate(generation.path, int(generation.path.stat().st_size * share))
    with pytest.raises(NotACatalogue, match="move it away, and the log is replayed"):
        Catalogue.open(tmp_path / LINK)
    successor = open_writer(tmp_path / LINK)
    assert not successor.serves
    successor.close()


@pytest.mark.parametrize("name", ["catalogue.1.db", LINK])
def test_a_link_to_nothing_is_no_catalogue(tmp_path: Path, name: str) -> None:
    (tmp_path / LINK).symlink_to(name)
    with pytest.raises(NoCatalogue):
        Catalogue.open(tmp_path / LINK)


@pytest.mark.parametrize("name", ["elsewhere.db", LINK, "catalogue.1.db"])
def test_a_link_to_nothing_is_mended_by_the_writer(tmp_path: Path, name: str) -> None:
    (tmp_path / LINK).symlink_to(name)
    generation = open_writer(tmp_path / LINK)
    generation.finish()

    assert generation.serves
    with Catalogue.open(tmp_path / LINK) as opened:
        assert opened.search() == []
    generation.close()


def test_a_folder_in_the_place_of_the_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / LINK / "kept").mkdir(parents=True)
    with pytest.raises(NotACatalogue, match="no link to a generation"):
        open_writer(tmp_path / LINK)

    assert (tmp_path / LINK / "kept").is_dir()
