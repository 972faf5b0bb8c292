"""Verify: what is wrong with a log or a catalogue is named, with its place and the way out."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client

from events.codec import FactEvent
from events.models import ModelAdded, ModelUpdated
from events.record import ModelRecord
from events.subjects import AUDIT, FACTS
from projections.database import NotACatalogue
from projections.verify import Difference, Ids, Unsound, copied, differences, incomparable, sound
from services.clock import new_id
from services.directory import DataDirectory
from services.jetstream import streams
from services.jetstream.api import ask, stream_info
from services.jetstream.append import Log
from services.jetstream.server import Server
from services.jetstream.verify import Finding
from services.projector.replay import replay
from services.projector.verify import Report, verify
from tests.support.cli import modelog, on_terminal
from tests.support.logs import FACTS_TOLD, catalogue, runs, sealed, stored_log, tell
from tests.support.nats import connected, running

AT = "2026-04-01T00:00:00.000Z"


def added(*ids: str) -> list[FactEvent]:
    return [ModelAdded(at=AT, provider="acme", model=ModelRecord(id=one, name=one)) for one in ids]


async def append(nc: Client, facts: list[FactEvent]) -> int:
    log = await Log.open(nc)
    expected = await log.last("model", "acme")
    done = await log.append(sealed(facts), family="model", provider="acme", expected=expected)
    return done.last


async def folded(nc: Client, folder: Path) -> Path:
    """A catalogue at the end of the log."""
    link = DataDirectory(folder / "data").catalogue
    await replay(nc, link, 1 << 40, lambda _done, _total: None)
    return link


async def verified(nc: Client, link: Path) -> Report:
    link.parent.mkdir(exist_ok=True)
    report = await verify(nc, link, link.parent, lambda _done, _total: None)
    assert not list(link.parent.glob(".verify*"))
    return report


def by_hand(path: Path, *statements: str) -> None:
    """Run *statements*, in which names of streams stand between percent signs."""
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement.replace("%facts%", FACTS).replace("%audit%", AUDIT))
        db.commit()


def places(report: Report) -> list[tuple[str, str | None, int | None]]:
    return [(one.kind, one.table or one.stream, one.seq) for one in report.findings]


@pytest.mark.nats
async def test_a_whole_log_and_its_catalogue_are_equal(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = await folded(nc, tmp_path)
    report = await verified(nc, link)

    assert (report.findings, report.unproven) == ([], [])
    assert report.events == FACTS_TOLD + 8
    assert {name: one.checkpoint for name, one in report.streams.items()} == {
        FACTS: FACTS_TOLD,
        AUDIT: 8,
    }


@pytest.mark.nats
async def test_the_log_may_be_ahead_of_the_catalogue(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = await folded(nc, tmp_path)
    await append(nc, added("new", "newer"))
    log = await Log.open(nc)
    await log.record(sealed(runs(AT, "later", models=2)))
    report = await verified(nc, link)

    assert report.findings == []
    assert report.streams[FACTS].last_seq == FACTS_TOLD + 2


@pytest.mark.nats
async def test_without_a_catalogue_the_log_alone_is_read(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    report = await verified(nc, tmp_path / "data" / "catalogue.db")

    assert report.findings == []
    assert report.events == FACTS_TOLD + 8
    assert "only the log was read" in report.unproven[0]


@pytest.mark.nats
async def test_a_catalogue_of_another_version_is_not_compared(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = await folded(nc, tmp_path)
    by_hand(link, "PRAGMA user_version = 99", "DELETE FROM models")
    report = await verified(nc, link)

    assert report.findings == []
    assert "version 99" in report.unproven[0]


# A catalogue edited by hand


@pytest.mark.nats
@pytest.mark.parametrize(
    ("statement", "table", "told"),
    [
        ("UPDATE models SET name = 'x'", "models", "name: not what the log makes of it"),
        ("DELETE FROM models", "models", "the log makes it, and the catalogue lacks it"),
        (
            "INSERT INTO model_capabilities VALUES ('acme', 'gpt-4.1', 'vision')",
            "model_capabilities",
            "the log does not make it",
        ),
        ("UPDATE model_history SET at = 'x' WHERE seq > 4", "model_history", "(3 rows differ)"),
        ("UPDATE refreshes SET models = 9 WHERE run_id = 'run-1'", "refreshes", "run_id run-1"),
        ("UPDATE provider_settings SET priority = 7", "provider_settings", "name acme"),
    ],
)
async def test_a_row_edited_by_hand_is_named(
    statement: str, table: str, told: str, nc: Client, tmp_path: Path
) -> None:
    await tell(nc)
    link = await folded(nc, tmp_path)
    by_hand(link, statement)
    report = await verified(nc, link)

    (found,) = report.findings
    assert (found.kind, found.table) == ("row", table)
    assert told in found.message
    assert "modelog rebuild" in found.remedy
    assert (found.seq is None) == (table == "model_capabilities")


@pytest.mark.nats
async def test_a_damaged_page_of_the_catalogue_is_found(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = await folded(nc, tmp_path)
    with link.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)
    report = await verified(nc, link)

    assert [(one.kind, "rebuild" in one.remedy) for one in report.findings] == [("catalogue", True)]
    assert report.events == FACTS_TOLD + 8


# A log that is not what it was


@pytest.mark.nats
async def test_a_log_that_is_gone_is_named(nats_server: Server, nc: Client, tmp_path: Path) -> None:
    del nats_server
    report = await verified(nc, tmp_path / "data" / "catalogue.db")

    assert places(report) == [("gone", FACTS, None), ("gone", AUDIT, None)]


@pytest.mark.nats
async def test_another_log_is_named(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = await folded(nc, tmp_path)
    by_hand(link, "UPDATE checkpoint SET epoch = 'another' WHERE stream = '%facts%'")
    report = await verified(nc, link)

    assert places(report) == [("epoch", FACTS, None)]
    assert "not compared" in report.unproven[0]


@pytest.mark.nats
async def test_an_altered_message_is_found_by_the_hash(nc: Client, tmp_path: Path) -> None:
    """The same ids at the same places, and another past: the hash alone tells."""
    await tell(nc)
    link = await folded(nc, tmp_path)
    by_hand(link, "UPDATE checkpoint SET rolling_hash = x'00' WHERE stream = '%facts%'")
    report = await verified(nc, link)

    assert places(report) == [("history", FACTS, FACTS_TOLD)]
    assert "restore" in report.findings[0].remedy


async def _streams(nc: Client) -> None:
    """Streams whose messages can be deleted, which ours cannot."""
    await ask(
        nc,
        f"STREAM.CREATE.{FACTS}",
        streams.facts(new_id(), new_id()) | {"deny_delete": False, "deny_purge": False},
    )
    await ask(nc, f"STREAM.CREATE.{AUDIT}", streams.audit(new_id()))


@pytest.mark.nats
async def test_missing_sequences_are_named_each(nc: Client, tmp_path: Path) -> None:
    await _streams(nc)
    for number in range(9):
        await append(nc, added(f"m{number}"))
    link = await folded(nc, tmp_path)
    for seq in (3, 4, 7, 9):
        await ask(nc, f"STREAM.MSG.DELETE.{FACTS}", {"seq": seq, "no_erase": True})
    report = await verified(nc, link)

    assert places(report) == [("missing", FACTS, 3), ("missing", FACTS, 7), ("missing", FACTS, 9)]
    assert "sequences 3 to 4" in report.findings[0].message
    assert "not compared" in report.unproven[0]


@pytest.mark.nats
async def test_a_log_without_its_beginning_is_named(nc: Client, tmp_path: Path) -> None:
    await _streams(nc)
    for number in range(5):
        await append(nc, added(f"m{number}"))
    await ask(nc, f"STREAM.PURGE.{FACTS}", {"seq": 3})
    report = await verified(nc, tmp_path / "data" / "catalogue.db")

    assert places(report) == [("missing", FACTS, 1)]
    assert "sequences 1 to 2" in report.findings[0].message


@pytest.mark.nats
async def test_where_much_is_wrong_the_rest_is_not_listed(nc: Client, tmp_path: Path) -> None:
    await _streams(nc)
    for number in range(60):
        await append(nc, added(f"m{number}"))
    for seq in range(1, 60, 2):
        await ask(nc, f"STREAM.MSG.DELETE.{FACTS}", {"seq": seq, "no_erase": True})
    report = await verified(nc, tmp_path / "data" / "catalogue.db")

    assert len(report.findings) == 20
    assert any("more wrong behind" in one for one in report.unproven)


@pytest.mark.nats
@pytest.mark.parametrize("deleted", [3, 4], ids=["inside", "its end"])
async def test_a_torn_batch_is_named(deleted: int, nc: Client, tmp_path: Path) -> None:
    """Its hole is what is told; where the stream ends within it, that."""
    await _streams(nc)
    await append(nc, added("first"))
    await append(nc, added("a", "b", "c"))
    await ask(nc, f"STREAM.MSG.DELETE.{FACTS}", {"seq": deleted, "no_erase": True})
    report = await verified(nc, tmp_path / "data" / "catalogue.db")

    assert ("missing", FACTS, deleted) in places(report)


@pytest.mark.nats
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(lambda _: {}, id="none"),
        pytest.param(lambda _: {"Nats-Msg-Id": new_id(), "ce-id": new_id()}, id="two"),
        pytest.param(lambda known: {"ce-id": known}, id="without a message id"),
    ],
)
async def test_a_message_without_its_id_is_named(
    headers: Callable[[str], dict[str, str]], nc: Client, tmp_path: Path
) -> None:
    await tell(nc)
    await nc.request("log.model.acme.sung.x", b'{"type": "model.sung"}', headers=headers("x"))
    report = await verified(nc, tmp_path / "data" / "catalogue.db")

    assert places(report) == [("id", FACTS, FACTS_TOLD + 1)]


@pytest.mark.nats
async def test_an_id_that_is_there_twice_is_named(nc: Client, tmp_path: Path) -> None:
    """Past the window in which the server remembers it."""
    await _streams(nc)
    config = (await stream_info(nc, FACTS))["config"]
    await ask(nc, f"STREAM.UPDATE.{FACTS}", {**config, "duplicate_window": 100_000_000})
    headers = {"Nats-Msg-Id": (one := new_id()), "ce-id": one}
    stored: list[int] = []

    async def publish() -> None:
        while len(stored) < 2:
            payload = msgspec.json.encode(added("m")[0])
            ack = await nc.request("log.model.acme.added.m", payload, headers=headers)
            answer = msgspec.json.decode(ack.data)
            if not answer.get("duplicate"):
                stored.append(answer["seq"])

    await asyncio.wait_for(publish(), 10)
    report = await verified(nc, tmp_path / "data" / "catalogue.db")

    assert places(report) == [("id", FACTS, 2)]
    assert f"the id {one} of sequence 1" in report.findings[0].message


@pytest.mark.nats
async def test_an_event_that_does_not_apply_is_named(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = await folded(nc, tmp_path)
    nobody = ModelRecord(id="nobody", name="nobody")
    wrong = [ModelUpdated(at=AT, provider="acme", model=nobody, changed=[])]
    seq = await append(nc, [*added("good"), *wrong])
    by_hand(link, f"UPDATE checkpoint SET seq = {seq}, event_id = '' WHERE stream = '%facts%'")  # noqa: S608 - a number
    report = await verified(nc, link)

    assert places(report) == [("event", FACTS, seq)]
    assert "cannot be applied" in report.findings[0].message


# The audit trail has an age


async def _aged(nc: Client, keep: int) -> None:
    config = (await stream_info(nc, AUDIT))["config"]
    await ask(nc, f"STREAM.UPDATE.{AUDIT}", {**config, "max_msgs": keep})
    await ask(nc, f"STREAM.UPDATE.{AUDIT}", config)


@pytest.mark.nats
async def test_what_age_took_is_not_compared(nc: Client, tmp_path: Path) -> None:
    """Of run 2 only the end is left, of run 3 all."""
    await tell(nc)
    link = await folded(nc, tmp_path)
    await _aged(nc, 3)
    report = await verified(nc, link)

    assert report.findings == []
    assert any("its hash proves nothing" in one for one in report.unproven)
    assert any("provider_refreshes" in one for one in report.unproven)


@pytest.mark.nats
async def test_what_age_left_is_compared(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = await folded(nc, tmp_path)
    await _aged(nc, 3)
    by_hand(link, "UPDATE refreshes SET models = 99 WHERE run_id IN ('run-0', 'run-3')")
    report = await verified(nc, link)

    (found,) = report.findings
    assert (found.table, found.key) == ("refreshes", {"run_id": "run-3"})


# The command


def _catalogue_of(data: Path) -> Path:
    async def make() -> Path:
        async with running(DataDirectory(data).nats_store) as server, connected(server.url) as nc:
            await replay(nc, DataDirectory(data).catalogue, 1 << 40, lambda _done, _total: None)
        return DataDirectory(data).catalogue

    return asyncio.run(make())


@pytest.mark.process
def test_the_command_runs_a_server_of_its_own_and_answers_in_one_line(tmp_path: Path) -> None:
    stored_log(tmp_path / "data")
    link = _catalogue_of(tmp_path / "data")
    good = modelog("verify", "--data", "data", cwd=tmp_path)
    as_json = modelog("verify", "--data", "data", "--json", cwd=tmp_path)
    by_hand(link, "UPDATE models SET name = 'x'", "UPDATE provider_settings SET priority = 7")
    bad = modelog("verify", "--data", "data", cwd=tmp_path)
    bad_json = modelog("verify", "--data", "data", "--json", cwd=tmp_path)

    assert (good.code, good.err) == (0, "")
    assert good.out.startswith("the log is whole (MODELOG to 7, MODELOG_AUDIT to 8; 15 events")
    assert good.out.endswith("the catalogue is what it makes\n")
    assert (as_json.json["ok"], as_json.json["findings"]) == (True, [])
    assert (bad.code, bad.out) == (1, "")
    assert bad.err.splitlines()[-1] == (
        "models (provider acme, id gpt-4.1): name: not what the log makes of it (and 1 more); "
        "`modelog rebuild` makes it anew from the log"
    )
    assert bad_json.code == 1
    assert bad_json.json["ok"] is False
    assert bad_json.json["findings"][0] == {
        "kind": "row",
        "message": "models (provider acme, id gpt-4.1): name: not what the log makes of it",
        "remedy": "`modelog rebuild` makes it anew from the log",
        "seq": 5,
        "table": "models",
        "key": {"provider": "acme", "id": "gpt-4.1"},
    }


@pytest.mark.process
def test_on_a_terminal_what_is_unproven_is_said(tmp_path: Path) -> None:
    stored_log(tmp_path / "data")
    screen = on_terminal("verify", "--data", "data", cwd=tmp_path, columns=200)

    assert screen.code == 0
    assert "only the log was read" in screen.text
    assert "the log is whole" in screen.text


@pytest.mark.process
def test_without_a_log_it_says_so(tmp_path: Path) -> None:
    answer = modelog("verify", cwd=tmp_path)

    assert answer.code == 4
    assert "there is no log in" in answer.err


# The comparison by itself


def _two(tmp_path: Path) -> tuple[Path, Path]:
    paths = []
    for name in ("live", "fresh"):
        target = tmp_path / f"{name}.db"
        copied(DataDirectory(catalogue(tmp_path / name)).catalogue, target)
        paths.append(target)
    # ids of events differ, and the checkpoint is not compared
    return paths[0], paths[1]


def test_equal_catalogues_have_no_difference(tmp_path: Path) -> None:
    live, fresh = _two(tmp_path)
    sound(live)

    assert list(differences(live, fresh)) == []


def test_a_table_that_is_missing_or_too_many_is_a_difference(tmp_path: Path) -> None:
    live, fresh = _two(tmp_path)
    by_hand(live, "CREATE TABLE notes (a, b)", "DROP TABLE moments")

    assert list(differences(live, fresh)) == [
        Difference("moments", "missing", {}, None, [], 0),
        Difference("notes", "extra", {}, None, [], 0),
    ]


def test_a_table_without_a_key_is_compared_by_all_its_columns(tmp_path: Path) -> None:
    live, fresh = _two(tmp_path)
    by_hand(live, "CREATE TABLE notes (a, b)", "INSERT INTO notes VALUES (1, 2)")
    by_hand(fresh, "CREATE TABLE notes (a, b)")

    assert list(differences(live, fresh)) == [
        Difference("notes", "extra", {"a": 1, "b": 2}, None, [], 1)
    ]


def test_unknown_events_of_aged_audit_are_passed_over(tmp_path: Path) -> None:
    live, fresh = _two(tmp_path)
    by_hand(
        live,
        "INSERT INTO event_unknown VALUES ('%audit%', 3, 'audit.x', 'id', '{}')",
        "INSERT INTO event_unknown VALUES ('%facts%', 3, 'log.x', 'id', '{}')",
    )

    assert [one.key for one in differences(live, fresh, audit_from=4)] == [
        {"stream": FACTS, "seq": 3}
    ]
    assert [one.rows for one in differences(live, fresh)] == [2]


def test_an_index_of_words_that_misses_some_is_unsound(tmp_path: Path) -> None:
    live, _ = _two(tmp_path)
    by_hand(live, "DROP TRIGGER models_au", "UPDATE models SET name = 'other words'")
    with pytest.raises(Unsound, match="malformed"):
        sound(live)


def test_an_index_that_contradicts_its_table_is_unsound(tmp_path: Path) -> None:
    live, _ = _two(tmp_path)
    with closing(sqlite3.connect(live)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'models_by_id'")
        db.commit()
    with pytest.raises(Unsound):
        sound(live)


def test_what_cannot_be_copied_is_unsound(tmp_path: Path) -> None:
    path = DataDirectory(catalogue(tmp_path / "data")).catalogue.resolve()
    with path.open("r+b") as file:
        file.truncate(4096)
    with pytest.raises((Unsound, NotACatalogue)):
        copied(path, tmp_path / "copy.db")


def test_nothing_is_incomparable_where_audit_is_whole() -> None:
    assert incomparable(1) == []
    assert "provider_refreshes" in incomparable(2)


def test_ids_are_remembered(tmp_path: Path) -> None:
    with closing(Ids(tmp_path / "ids.db")) as ids:
        first = list(ids.repeated([("a", 1), ("b", 2)]))
        second = list(ids.repeated([("c", 3), ("a", 4), ("d", 5), ("d", 6)]))

    assert first == []
    assert second == [("a", 4, 1), ("d", 6, 5)]


def test_a_finding_is_small_in_json() -> None:
    found = Finding(kind="gone", message="m", remedy="r")

    assert msgspec.to_builtins(found) == {"kind": "gone", "message": "m", "remedy": "r"}
