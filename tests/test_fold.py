from __future__ import annotations

import sqlite3
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import chain
from events.audit import RefreshStarted, ServiceStarted
from events.codec import FactEvent
from events.envelope import Stored
from events.models import CapabilityLost, ModelRemoved
from events.providers import ProviderReconfigured, ProviderUnregistered
from events.subjects import AUDIT, FACTS
from projections import checkpoint, moments
from projections.database import open_writer
from projections.faults import CannotFold, Fenced, MissingRow
from projections.fold import PROJECTION, Folder
from tests.support.builders import (
    DAYS,
    EPOCHS,
    World,
    added,
    batches,
    configured,
    empty,
    folder,
    missing,
    raw,
    record,
    returned,
    rows,
    stored,
    updated,
    worlds,
)

M = record("m", capabilities={"chat": True, "vision": False})
HUGE = record("huge", context_window=2**63)
DEAR = record("dear", prices={"input": "a lot"})
STARTED = RefreshStarted(at=DAYS[0], provider="acme", run_id="r")


def _rows(world: World) -> object:
    db = empty()
    fold = folder(db)
    fold.fold(FACTS, stored(world.facts))
    fold.fold(AUDIT, stored(world.operations))
    return rows(db)


@settings(deadline=None)
@given(worlds(), st.data())
def test_neither_batches_nor_how_the_streams_interleave_change_a_row(
    world: World, data: st.DataObject
) -> None:
    facts = data.draw(batches(stored(world.facts)))
    operations = data.draw(batches(stored(world.operations)))
    turns = data.draw(st.permutations([FACTS] * len(facts) + [AUDIT] * len(operations)))
    waiting = {FACTS: iter(facts), AUDIT: iter(operations)}
    db = empty()
    fold = folder(db)
    for stream in turns:
        fold.fold(stream, next(waiting[stream]))

    assert rows(db) == _rows(world)


@settings(deadline=None)
@given(worlds(), st.data())
def test_an_event_delivered_twice_is_folded_once(world: World, data: st.DataObject) -> None:
    facts, operations = stored(world.facts), stored(world.operations)
    db = empty()
    fold = folder(db)
    for end in data.draw(st.lists(st.integers(0, len(facts)), max_size=4)):
        fold.fold(FACTS, facts[:end])
        fold.fold(AUDIT, operations[:end])
    fold = folder(db)
    fold.fold(FACTS, [*facts, *facts])
    fold.fold(AUDIT, operations)

    assert rows(db) == _rows(world)


@settings(max_examples=25, deadline=None)
@given(worlds(), st.data())
def test_a_catalogue_that_serves_while_it_is_folded_ends_as_one_built_beside(
    world: World, data: st.DataObject
) -> None:
    facts = stored(world.facts)
    cut = data.draw(st.integers(0, len(facts)))
    with TemporaryDirectory() as name:
        generation = open_writer(Path(name) / "catalogue.db")
        db = generation.db
        fold = folder(db)
        fold.fold(FACTS, facts[:cut])
        generation.finish()
        fold.fold(FACTS, facts[cut:])
        fold.fold(AUDIT, stored(world.operations))
        db.execute("INSERT INTO models_fts (models_fts) VALUES ('integrity-check')")
        found = rows(db)
        generation.close()

    assert found == _rows(world)


@settings(deadline=None)
@given(worlds())
def test_the_checkpoint_knows_the_past_by_its_hash(world: World) -> None:
    facts = stored(world.facts)
    db = empty()
    folder(db).fold(FACTS, facts)
    at = checkpoint.read(db)

    assert at[FACTS] == (
        FACTS,
        len(facts),
        f"id-{len(facts)}",
        "epoch-1",
        reduce(chain.link, facts, chain.start(FACTS)),
        PROJECTION,
    )
    assert at[AUDIT] == (AUDIT, 0, "", "epoch-2", chain.start(AUDIT), PROJECTION)


def test_a_folder_goes_on_where_the_last_one_stopped() -> None:
    db = empty()
    first = folder(db)
    first.fold(FACTS, stored(added(M)))
    second = folder(db)

    assert first.at(FACTS) == second.at(FACTS) == 2
    assert second.at(AUDIT) == 0


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(updated(record("x"), record("x", name="X"), at=DAYS[1]), id="update"),
        pytest.param(missing("x", at=DAYS[1]), id="absence"),
        pytest.param(returned("x", at=DAYS[1], since=DAYS[0]), id="return"),
        pytest.param(
            ModelRemoved(
                at=DAYS[1],
                provider="acme",
                model_id="x",
                missing_since=DAYS[0],
                scans=3,
                reason="delisted",
                model=record("x"),
            ),
            id="removal",
        ),
        pytest.param(
            CapabilityLost(at=DAYS[1], provider="acme", model_id="m", capability="vision"),
            id="loss",
        ),
        pytest.param(ProviderUnregistered(at=DAYS[1], provider="acme", reason="config"), id="end"),
        pytest.param(
            ProviderReconfigured(
                at=DAYS[1],
                provider="acme",
                dialect="openai",
                base_url="https://acme.example",
                enabled=True,
                priority=0,
                origin="config",
            ),
            id="new settings",
        ),
    ],
)
def test_an_event_about_nothing_known_is_a_missing_row(then: FactEvent) -> None:
    db = empty()
    fold = folder(db)
    fold.fold(FACTS, stored(added(M)))
    before = rows(db)
    with pytest.raises(MissingRow, match=r"MODELOG: sequence 3 \(log\.\w+\.acme\."):
        fold.fold(FACTS, stored([then], after=2))

    assert rows(db) == before


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(stored(added(M), after=2)[0], id="a model added twice"),
        pytest.param(stored(added(M), after=1)[1], id="a capability gained twice"),
        pytest.param(stored(added(HUGE), after=2)[0], id="a number without room"),
        pytest.param(stored(added(DEAR), after=2)[0], id="a price that is none"),
        pytest.param(stored([STARTED], after=2)[0], id="an audit event in the log"),
        pytest.param(raw(3, b"{"), id="half a payload"),
        pytest.param(raw(3, b'{"type":"model.missing","at":1}'), id="a field of another type"),
        pytest.param(raw(3, b'{"type":"model.new","x":"\xff"}'), id="a newer event, no UTF-8"),
    ],
)
def test_a_broken_event_halts_and_leaves_nothing_of_its_batch(message: Stored) -> None:
    db = empty()
    fold = folder(db)
    fold.fold(FACTS, stored(added(M)))
    before = rows(db)
    extra = stored(added(record("other"), at=DAYS[3]), after=2)
    with pytest.raises(CannotFold, match=r"MODELOG: sequence 4 \((log|audit)\."):
        fold.fold(FACTS, [*extra, message._replace(seq=4)])

    assert rows(db) == before
    assert fold.at(FACTS) == 2


def test_after_a_halt_the_same_folder_goes_on() -> None:
    db = empty()
    fold = folder(db)
    facts = stored([*added(M), *added(record("other"), at=DAYS[3])])
    with pytest.raises(CannotFold):
        fold.fold(FACTS, [*facts, raw(4, b"{")])
    fold.fold(FACTS, facts)

    other = empty()
    folder(other).fold(FACTS, facts)

    assert rows(db) == rows(other)


@pytest.mark.parametrize("seq", [3, 4, 9])
def test_a_gap_in_the_log_halts(seq: int) -> None:
    db = empty()
    fold = folder(db)
    fold.fold(FACTS, stored([configured()]))
    with pytest.raises(CannotFold, match=f"MODELOG: sequence {seq} follows 1: a gap"):
        fold.fold(FACTS, stored(added(M), after=seq - 1))

    assert fold.at(FACTS) == 1


def test_the_age_limit_of_audit_may_take_the_oldest_alone() -> None:
    db = empty()
    fold = folder(db)
    fold.fold(AUDIT, stored([STARTED], after=40))

    assert fold.at(AUDIT) == 41

    torn = [*stored([STARTED], after=41), *stored([STARTED], after=50)]
    with pytest.raises(CannotFold, match="MODELOG_AUDIT: sequence 51 follows 42: a gap"):
        fold.fold(AUDIT, torn)


def test_a_fact_in_the_audit_stream_halts() -> None:
    fold = folder(empty())
    with pytest.raises(CannotFold, match=r"model\.added is a fact"):
        fold.fold(AUDIT, stored(added(M)))


def test_an_event_of_a_newer_version_is_kept_raw_and_moves_the_checkpoint() -> None:
    db = empty()
    fold = folder(db)
    payload = b'{"type":"model.renamed","at":"2026-05-01T00:00:00.000Z","new":"x"}'
    fold.fold(FACTS, [raw(1, payload), raw(2, b'{"type":"model.renamed"}')])
    fold.fold(AUDIT, [raw(1, b'{"type":"audit.slept","at":7}', "audit.sleep.acme.slept")])

    assert db.execute("SELECT * FROM event_unknown").fetchall() == [
        ("MODELOG", 1, "log.model.acme.renamed.m", "id-1", payload.decode()),
        ("MODELOG", 2, "log.model.acme.renamed.m", "id-2", '{"type":"model.renamed"}'),
        ("MODELOG_AUDIT", 1, "audit.sleep.acme.slept", "id-1", '{"type":"audit.slept","at":7}'),
    ]
    assert (fold.at(FACTS), fold.at(AUDIT)) == (2, 1)
    assert moments.latest(db) == "2026-05-01T00:00:00.000Z"


def test_a_moment_that_is_none_of_a_newer_event_is_passed_over() -> None:
    db = empty()
    folder(db).fold(FACTS, [raw(1, b'{"type":"model.renamed","at":7}')])

    assert moments.latest(db) == ""


def test_a_second_writer_is_fenced() -> None:
    db = empty()
    slow, fast = folder(db), folder(db)
    fast.fold(FACTS, stored([configured()]))
    before = rows(db)
    with pytest.raises(Fenced, match="MODELOG: the checkpoint is not at 0"):
        slow.fold(FACTS, stored(added(M)))

    assert rows(db) == before


def test_a_catalogue_of_another_log_is_fenced() -> None:
    db = empty()
    folder(db)
    with pytest.raises(Fenced, match="epoch epoch-1, not epoch-9"):
        Folder(db, {**EPOCHS, FACTS: "epoch-9"})


def test_a_full_disk_loses_nothing_that_was_folded(tmp_path: Path) -> None:
    generation = open_writer(tmp_path / "catalogue.db")
    db = generation.db
    fold = folder(db)
    fold.fold(FACTS, stored([configured()]))
    before = rows(db)
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")
    models = [added(record(f"m-{number}", description="x" * 2000))[0] for number in range(90)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        fold.fold(FACTS, stored(models, after=1))

    assert rows(db) == before

    db.execute("PRAGMA max_page_count = 1000000")
    fold.fold(FACTS, stored(models, after=1))

    assert fold.at(FACTS) == 91
    generation.close()


def test_what_modelog_itself_did_besides_refreshes_leaves_no_row() -> None:
    db = empty()
    folder(db).fold(
        AUDIT,
        stored([ServiceStarted(at=DAYS[0], process="projector", instance="i", version="1")]),
    )

    assert [name for name, found in rows(db).items() if found] == ["checkpoint", "health_summary"]
