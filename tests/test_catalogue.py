from __future__ import annotations

import json
import shutil
from pathlib import Path
from threading import Timer

import msgspec
import pytest

from events.audit import (
    Absent,
    AuditEvent,
    Failure,
    Held,
    RefreshFailed,
    RefreshQuarantined,
    RefreshStarted,
    RefreshSucceeded,
)
from events.codec import FactEvent
from events.decide.providers import Settings
from events.providers import ProviderUnregistered
from events.subjects import AUDIT, FACTS
from projections import Catalogue, ModelFilter
from projections.catalogue import NotReadable
from projections.checkpoint import Checkpoint
from projections.database import (
    CannotOpen,
    NoCatalogue,
    NotACatalogue,
    create,
    open_writer,
    settle,
)
from projections.rows import Provider
from tests.support.builders import (
    DAYS,
    added,
    catalogue,
    configured,
    folder,
    missing,
    raw,
    record,
    stored,
    told,
)

M = record("m", capabilities={"chat": True, "tools": True, "vision": False})
ABSENT = Absent(count=7, hash="h", since=DAYS[6])
HELD = [Held(since=DAYS[1], paths=["prices.input"], models=["m"])]
RUNS: list[AuditEvent] = [
    RefreshStarted(at=DAYS[1], provider="acme", run_id="one"),
    RefreshSucceeded(
        at=DAYS[2],
        provider="acme",
        run_id="one",
        attempts=2,
        models=9,
        added=4,
        updated=3,
        missing=2,
        removed=1,
        skipped=5,
        duplicates=6,
        complete=True,
        not_modified=True,
        duration_ms=412,
        held=HELD,
        observed_at=DAYS[1],
    ),
    RefreshStarted(at=DAYS[3], provider="beta", run_id="two", force=True, reason="command"),
    RefreshStarted(at=DAYS[4], provider="acme", run_id="three"),
    RefreshFailed(
        at=DAYS[5],
        provider="acme",
        run_id="three",
        error=Failure(class_="credential", message="refused", status=401),
    ),
    RefreshQuarantined(
        at=DAYS[6],
        provider="gamma",
        run_id="four",
        absent=ABSENT,
    ),
]


# models


def test_one_model_is_found_by_provider_and_id() -> None:
    with catalogue([*added(M), *added(M, provider="beta")]) as opened:
        found = opened.get("beta", "m")

        assert found is not None
        assert found.provider == "beta"
        assert opened.get("beta", "n") is None
        assert opened.by_provider("beta") == [found]
        assert len(opened.by_capability("tools")) == 2
        assert opened.by_capability("vision") == []
        assert opened.search() == opened.search(ModelFilter())


def test_capabilities_that_are_not_known_true_are_named() -> None:
    with catalogue(added(M)) as opened:
        assert opened.capabilities("acme", "m") == {"chat": True, "tools": True, "vision": False}
        assert opened.validate("acme", "m", ["tools", "chat"]) == {}
        assert opened.validate("acme", "m", ["vision", "chat", "batch"]) == {
            "vision": False,
            "batch": None,
        }
        with pytest.raises(ValueError, match="'flying' is no capability; there are chat"):
            opened.validate("acme", "m", ["flying"])
        with pytest.raises(KeyError, match="acme/x"):
            opened.validate("acme", "x", [])


def test_models_providers_and_versions_are_counted() -> None:
    facts = [configured(), *added(M), *added(record("n")), missing("n", at=DAYS[1])]
    with catalogue(facts) as opened:
        assert opened.counts() == {
            "providers": 1, "models": 2, "listed": 1, "missing": 1, "versions": 3,
        }  # fmt: skip


# providers


def test_a_provider_is_its_settings_its_models_and_its_last_run() -> None:
    facts: list[FactEvent] = [configured(at=DAYS[0], priority=3), *added(M)]
    with catalogue(facts, RUNS) as opened:
        assert opened.provider("acme") == Provider(
            name="acme",
            dialect="openai",
            base_url="https://acme.example/v1",
            enabled=True,
            priority=3,
            origin="config",
            status="inactive",
            status_cause="unchecked",
            status_since=DAYS[0],
            stale=False,
            model_count=1,
            refreshed_at=DAYS[5],
            refresh_outcome="failed",
            registered_at=DAYS[0],
        )
        assert opened.providers() == [opened.provider("acme")]
        assert opened.provider("beta") is None


def test_a_provider_never_refreshed_has_no_outcome() -> None:
    with catalogue([configured(enabled=False)]) as opened:
        (found,) = opened.providers()

    assert (found.refreshed_at, found.refresh_outcome, found.model_count) == (None, None, 0)
    assert (found.status, found.status_cause) == ("inactive", "disabled")


def test_new_settings_leave_the_day_of_registration() -> None:
    old = Settings(name="acme", dialect="openai", base_url="https://acme.example/v1")
    new = configured(old, at=DAYS[2], priority=9, dialect="anthropic", origin="command")
    with catalogue([configured(at=DAYS[1]), new]) as opened:
        (found,) = opened.providers()

    assert (found.registered_at, found.priority, found.origin) == (DAYS[1], 9, "command")


def test_an_unregistered_provider_is_none_and_may_come_back() -> None:
    gone = ProviderUnregistered(at=DAYS[1], provider="acme", reason="config")
    with catalogue([configured(), gone]) as opened:
        assert opened.providers() == []
    with catalogue([configured(), gone, configured(at=DAYS[2])], RUNS) as opened:
        assert [one.registered_at for one in opened.providers()] == [DAYS[2]]


def test_settings_are_told_with_the_references_to_keys() -> None:
    given = {
        "credential": {"env": "ACME_KEY"},
        "credentials": {"secret": {"file": "/run/secrets/acme"}},
        "headers": {"x-team": "a"},
        "options": {"region": "eu"},
        "schedule": {"interval": 300.0},
        "health": {"enabled": True},
    }
    acme = msgspec.structs.replace(configured(), **given)
    with catalogue([acme, configured(name="beta")]) as opened:
        assert opened.settings("acme") == given
        assert opened.settings("beta")["credential"] is None
        assert opened.settings("gamma") == {}


def test_a_judged_provider_shows_its_status(tmp_path: Path) -> None:
    generation = told(tmp_path / "catalogue.db", [configured(), configured(name="beta")])
    generation.db.execute(
        "INSERT INTO provider_status VALUES ('acme', 'active', NULL, ?, 1)", [DAYS[7]]
    )
    with Catalogue.open(tmp_path / "catalogue.db") as opened:
        acme, beta = opened.providers()
    generation.close()

    assert (acme.status, acme.status_cause, acme.status_since) == ("active", None, DAYS[7])
    assert (acme.stale, beta.stale, beta.status) == (True, False, "inactive")


# runs


def test_a_run_is_a_row_with_the_fields_of_its_events() -> None:
    with catalogue([], RUNS[:2]) as opened:
        (run,) = opened.refreshes()

    assert msgspec.to_builtins(run) == {
        "run_id": "one",
        "provider": "acme",
        "outcome": "succeeded",
        "reason": "schedule",
        "force": False,
        "started_at": DAYS[1],
        "ended_at": DAYS[2],
        "observed_at": DAYS[1],
        "attempts": 2,
        "models": 9,
        "added": 4,
        "updated": 3,
        "missing": 2,
        "removed": 1,
        "skipped": 5,
        "duplicates": 6,
        "complete": True,
        "not_modified": True,
        "duration_ms": 412,
        "held": [{"since": DAYS[1], "paths": ["prices.input"], "models": ["m"]}],
        "absent": None,
        "error_class": None,
        "error_message": None,
        "error_status": None,
        "seq": 2,
    }


def test_runs_are_told_newest_first_of_one_provider_or_of_all() -> None:
    with catalogue([], RUNS) as opened:
        assert [one.run_id for one in opened.refreshes()] == ["four", "three", "two", "one"]
        assert [one.run_id for one in opened.refreshes("acme")] == ["three", "one"]
        assert [one.run_id for one in opened.refreshes(limit=1)] == ["four"]


def test_a_run_that_goes_on_has_no_end_and_a_failed_one_a_reason() -> None:
    with catalogue([], RUNS) as opened:
        four, three, two, _ = opened.refreshes()

    assert (two.outcome, two.reason, two.force, two.ended_at) == ("started", "command", True, None)
    assert (three.outcome, three.error_class, three.error_message, three.error_status) == (
        "failed", "credential", "refused", 401,
    )  # fmt: skip
    assert four.outcome == "quarantined"
    assert four.absent == msgspec.to_builtins(ABSENT)
    assert four.started_at is None  # the age limit took it


# the log


def test_it_knows_how_far_it_is() -> None:
    with catalogue(added(M), RUNS) as opened:
        assert opened.seq() == 3
        at = opened.checkpoint()
        assert {name: (one.seq, one.event_id, one.epoch) for name, one in at.items()} == {
            FACTS: (3, "id-3", "epoch-1"),
            AUDIT: (6, "id-6", "epoch-2"),
        }
        assert all(isinstance(one, Checkpoint) for one in at.values())


def test_before_the_first_event_it_is_at_none(tmp_path: Path) -> None:
    generation = create(tmp_path / "catalogue.db")
    generation.finish()
    generation.close()
    with Catalogue.open(tmp_path / "catalogue.db") as opened:
        assert (opened.seq(), opened.checkpoint(), opened.search()) == (0, {}, [])


def test_who_has_appended_waits_for_the_sequence(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    told(path, added(M)).close()

    def fold() -> None:
        generation = open_writer(path)
        folder(generation.db).fold(FACTS, stored(added(record("n")), after=3))
        generation.close()

    with Catalogue.open(path) as opened:
        assert opened.wait(3, timeout=0)
        assert not opened.wait(4, timeout=0.02)

        later = Timer(0.05, fold)
        later.start()
        assert opened.wait(4, timeout=10)
        assert opened.get("acme", "n") is not None
        later.join(10)


def test_events_of_a_newer_version_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    generation = told(path)
    folder(generation.db).fold(FACTS, [raw(1, b'{"type":"model.renamed"}')])
    generation.close()
    with Catalogue.open(path) as opened:
        assert opened.unknown_events() == 1


# SQL


def test_any_question_in_sql_is_answered_with_its_columns() -> None:
    with catalogue(added(M)) as opened:
        assert opened.query("SELECT id, seq AS s FROM models WHERE id = ?", ["m"]) == (
            ["id", "s"],
            [("m", 1)],
        )
        assert opened.query("SELECT id FROM models_fts WHERE models_fts MATCH 'm'").rows == [("m",)]
        assert opened.query("SELECT value FROM json_each('[1]')").rows == [(1,)]
        assert opened.query("PRAGMA table_info(checkpoint)").columns[1] == "name"
        assert opened.query("PRAGMA integrity_check").rows == [("ok",)]
        assert opened.query("-- nothing") == ([], [])


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM models",
        "INSERT INTO moments VALUES (9, 'x')",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t (a)",
        "DROP VIEW providers",
        "VACUUM",
        "VACUUM INTO '{tmp}/out.db'",
        "ATTACH '{tmp}/out.db' AS out",
        "PRAGMA query_only = 0",
        "PRAGMA user_version = 7",
        "BEGIN IMMEDIATE",
        "SAVEPOINT s",
    ],
)
def test_sql_that_would_write_is_refused_and_leaves_no_file(sql: str, tmp_path: Path) -> None:
    with catalogue(added(M)) as opened:
        with pytest.raises(NotReadable, match="readonly"):
            opened.query(sql.format(tmp=tmp_path))

        assert len(opened.search()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT x FROM models", "no such column"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT ?", "binding"),
        ("SELECT '\udcff'", "utf-8"),
        ("SELECT 1\0", "null"),
    ],
)
def test_sql_that_is_wrong_says_why(sql: str, why: str) -> None:
    with catalogue() as opened, pytest.raises(NotReadable, match=why):
        opened.query(sql)


# the file


def test_no_file_is_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(NoCatalogue, match=r"no catalogue at .*catalogue\.db; `modelog up`"):
        Catalogue.open(tmp_path / "catalogue.db")


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be read as one" * 9])
def test_another_file_is_not_a_catalogue(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalogue.db"
    path.write_bytes(content)
    with pytest.raises(NotACatalogue, match=r"is not a catalogue \(.*move it away"):
        Catalogue.open(path)

    assert path.read_bytes() == content


def test_a_folder_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match="cannot open"):
        Catalogue.open(tmp_path)


def test_a_reader_follows_to_the_next_generation(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    old = told(path, added(M))
    with Catalogue.open(path) as opened:
        held = opened.query("SELECT count(*) FROM models")
        new = create(path, old.path)
        folder(new.db).fold(FACTS, stored([*added(M), *added(record("n"))]))

        assert len(opened.search()) == 1

        old.close()
        new.finish()

        assert held.rows == [(1,)]
        assert len(opened.search()) == 2
    new.close()


def test_a_reader_follows_to_a_file_of_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    told(path, added(M)).close()
    with Catalogue.open(path) as opened:
        shutil.rmtree(tmp_path)
        with pytest.raises(NoCatalogue):
            opened.search()
        tmp_path.mkdir()
        told(path).close()

        assert opened.search() == []


def test_a_replayed_file_is_a_catalogue_without_a_link(tmp_path: Path) -> None:
    generation = told(tmp_path / "catalogue.db", added(M))
    settle(generation.db)
    generation.close()
    generation.path.rename(tmp_path / "then.db")

    assert not list(tmp_path.glob("*-wal"))
    with Catalogue.open(str(tmp_path / "then.db")) as opened:
        assert len(opened.search()) == 1


def test_rows_are_what_json_prints() -> None:
    with catalogue([configured(), *added(M)], RUNS) as opened:
        for row in (*opened.search(), *opened.providers(), *opened.refreshes()):
            assert json.loads(msgspec.json.encode(row)) == msgspec.to_builtins(row)
