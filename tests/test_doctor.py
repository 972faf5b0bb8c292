"""Doctor: each thing that is wrong is named with its remedy, and nothing is changed."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client

from events.decide.providers import Settings
from events.subjects import AUDIT, FACTS
from projections.fold import PROJECTION
from services.clock import Clock, new_id
from services.demo.simulator import Simulator
from services.directory import DataDirectory
from services.doctor.catalogue import catalogue as examined
from services.doctor.catalogue import clock
from services.doctor.examine import examine
from services.doctor.finding import Finding
from services.doctor.log import log
from services.doctor.machine import files, machine, sqlite
from services.doctor.providers import providers
from services.jetstream.api import ask, stream_info
from services.jetstream.server import Server
from services.jetstream.setup import compare, ensure
from services.jetstream.state import beat
from services.settings import Nats
from tests.support.cli import modelog, on_terminal
from tests.support.logs import catalogue, registered, tell
from tests.support.refreshing import table
from tests.support.shelf import FACTS as SHELF
from tests.support.shelf import OPERATIONS

NOW = "2026-11-24T12:00:00.000Z"


def levels(found: list[Finding]) -> dict[str, str]:
    return {one.what: one.level for one in found}


def of(found: list[Finding], what: str) -> Finding:
    return next(one for one in found if one.what == what)


async def told(url: str | None, folder: Path, **more: object) -> list[Finding]:
    return await log(Nats(url=url, **more), DataDirectory(folder))  # type: ignore[arg-type]  # its fields


@pytest.mark.process
def test_nothing_is_needed_and_nothing_is_made(tmp_path: Path) -> None:
    answer = modelog("doctor", "--json", cwd=tmp_path)
    found = {one["what"]: one for one in answer.json["findings"]}

    assert (answer.code, answer.json["ok"], answer.err) == (0, True, "")
    assert "modelog up" in found["nats"]["remedy"]
    assert "modelog demo" in found["catalogue"]["remedy"]
    assert found["nats-server"]["level"] == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
@pytest.mark.parametrize("columns", [80, 120])
def test_what_is_bad_ends_with_one_and_fits(columns: int, tmp_path: Path) -> None:
    catalogue(tmp_path / ".modelog", SHELF, OPERATIONS)
    screen = on_terminal("doctor", cwd=tmp_path, columns=columns)
    table = screen.lines[:-1]

    assert screen.code == 1
    assert all(len(line) <= columns for line in table)
    assert any(line.startswith("BAD   provider router") for line in table)
    assert screen.lines[-1].startswith("1 thing is wrong, first: provider router: ")


@pytest.mark.process
def test_every_mistake_of_the_configuration_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text('x = 1\n[refresh]\ninterval = "soon"\n')
    answer = modelog("doctor", "--json", cwd=tmp_path)
    wrong = [one for one in answer.json["findings"] if one["what"] == "configuration"]

    assert answer.code == 1
    assert [one["level"] for one in wrong] == ["bad", "bad"]


async def test_a_provider_that_was_registered_by_command_is_examined_too(tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text('[[providers]]\nname = "ollama"\n')
    by_hand = msgspec.structs.replace(
        registered("mine", NOW), origin="command", credential={"file": "no/such/key"}
    )
    catalogue(tmp_path / ".modelog", [by_hand, registered("router", NOW)])
    found = await examine(None, None, environ={}, cwd=tmp_path, clock=Clock())

    assert of(found, "configuration").level == "ok"
    assert of(found, "keys").message == "those of 1 of 2 providers are in order"
    assert of(found, "provider mine").level == "bad"


async def test_keys_are_named_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key"
    key.write_text("sk-very-secret")
    key.chmod(0o644)
    monkeypatch.setenv("GOOD_KEY", "sk-very-secret")
    monkeypatch.delenv("NO_KEY", raising=False)

    def one(name: str, **fields: object) -> Settings:
        return Settings(name=name, dialect="openai", base_url="http://127.0.0.1:9/v1", **fields)  # type: ignore[arg-type]  # its fields

    found = await providers(
        [
            one("good", credential={"env": "GOOD_KEY"}),
            one("unset", credential={"env": "NO_KEY"}),
            one("open", credential={"file": str(key)}),
            one("gone", credential={"file": str(tmp_path / "nowhere")}),
            one("off", credential={"env": "NO_KEY"}, enabled=False),
            one("vllm", credential={"env": "NO_KEY"}),
        ]
    )

    assert levels(found) == {
        "keys": "ok",
        "provider unset": "bad",
        "provider open": "bad",
        "provider gone": "bad",
        "provider vllm": "note",
        "hosts": "note",
        "network": "ok",
    }
    assert of(found, "keys").message == "those of 2 of 5 providers are in order"
    assert of(found, "provider open").remedy == f"`chmod 600 {key}`"
    assert "NO_KEY" in of(found, "provider unset").message
    assert "sk-very-secret" not in str(found)


async def test_a_host_that_does_not_exist_is_told_from_no_network() -> None:
    def one(name: str, host: str) -> Settings:
        return Settings(name=name, dialect="openai", base_url=f"http://{host}/v1")

    alone = await providers([one("a", "a.invalid")])
    beside = await providers([one("a", "a.invalid"), one("b", "localhost")])

    assert of(alone, "network").level == "note"
    assert of(beside, "provider a").level == "bad"
    assert levels(await providers([])) == {"providers": "note"}


async def test_each_provider_is_asked_once_where_that_is_wanted(tmp_path: Path) -> None:
    async with Simulator() as simulator:
        good, down = simulator.provider("good"), simulator.provider("down")
        down.refuse()
        tables = [table(good), table(down), table(good, name="keyless", api_key={"env": "NO_KEY"})]
        (tmp_path / "modelog.toml").write_text("\n".join(tables))
        found = await examine(None, None, environ={}, cwd=tmp_path, clock=Clock(), ask=True)
        asked = len(good.requests)

    told = {one.what: one for one in found if one.what.startswith("provider ")}
    assert asked == 1
    assert {what: one.level for what, one in told.items()} == {
        "provider good": "ok",
        "provider down": "bad",
        "provider keyless": "bad",
    }


@pytest.mark.parametrize(
    ("version", "level"),
    [((3, 40, 1), "note"), ((3, 51, 2), "note"), ((3, 50, 7), "ok"), ((3, 51, 3), "ok")],
)
def test_versions_of_sqlite_are_judged(version: tuple[int, int, int], level: str) -> None:
    assert sqlite(version).level == level


def test_limits_of_open_files_are_judged() -> None:
    found = [files(limit).level for limit in (64, 512, 4096, resource.RLIM_INFINITY)]

    assert found == ["bad", "note", "ok", "ok"]


def test_a_clock_before_the_last_event_is_wrong() -> None:
    assert clock("2026-11-24T12:02:00.000Z", NOW).level == "bad"
    assert clock("2026-11-24T12:00:30.000Z", NOW).level == "ok"
    assert clock(None, NOW).level == "ok"


def test_the_holder_of_the_lock_and_what_a_killed_server_left_are_told(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    free = of(list(machine(directory)), "lock")
    directory.publish_url("nats://127.0.0.1:9")
    left = of(list(machine(directory)), "lock")
    with directory.lock():
        held = of(list(machine(directory)), "lock")

    assert [one.level for one in (free, left, held)] == ["ok", "note", "ok"]
    assert "which runs" in held.message


def test_a_file_in_the_place_of_the_data_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    found = list(machine(DataDirectory(tmp_path / "data")))

    assert of(found, "data directory").level == "bad"


def _old(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {PROJECTION - 1}")


def _foreign(path: Path) -> None:
    path.write_bytes(b"no database at all, and long enough to be looked at")


def _unknown(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO event_unknown VALUES ('MODELOG', 99, 'log.x', 'id', '{}')")


@pytest.mark.parametrize(
    ("damage", "what"),
    [(_old, "catalogue"), (_foreign, "catalogue"), (_unknown, "unknown events")],
)
def test_a_catalogue_that_is_not_as_it_must_be_is_told(
    damage: Callable[[Path], None], what: str, tmp_path: Path
) -> None:
    catalogue(tmp_path, SHELF, OPERATIONS)
    link = DataDirectory(tmp_path).catalogue
    damage(link.resolve())
    found = of(list(examined(link, NOW)), what)

    assert found.level == "bad"
    assert found.remedy


@pytest.mark.nats
async def test_a_log_in_order_is_told(nats_server: Server, nc: Client, tmp_path: Path) -> None:
    catalogue(tmp_path / "data", SHELF, OPERATIONS)
    await ensure(nc, audit_max_age=400 * 86_400.0, monitor_url=None)
    await beat(nc, "refresher", new_id())
    await beat(nc, "health-monitor", new_id())
    with DataDirectory(tmp_path / "data").lock("projector.lock"):
        found = await told(nats_server.url, tmp_path / "data", monitor_url=nats_server.monitor_url)

    assert set(levels(found).values()) == {"ok"}
    assert of(found, "streams").message == "5 of 5 streams and buckets are as they must be"


@pytest.mark.nats
async def test_what_is_wrong_with_the_log_is_told(
    nats_server: Server, nc: Client, tmp_path: Path
) -> None:
    await tell(nc)
    config = (await stream_info(nc, FACTS))["config"]
    await ask(nc, f"STREAM.UPDATE.{FACTS}", config | {"duplicate_window": 60_000_000_000})
    await ask(nc, "STREAM.DELETE.OBJ_modelog_snapshots")
    found = await told(nats_server.url, tmp_path / "data", audit_max_age=3600.0)

    assert {what: level for what, level in levels(found).items() if level != "ok"} == {
        "sync": "note",
        f"stream {FACTS}": "bad",
        f"stream {AUDIT}": "note",
        "stream OBJ_modelog_snapshots": "bad",
        "refresher": "bad",
        "health-monitor": "bad",
        "projector": "note",
    }
    assert "duplicate_window" in of(found, f"stream {FACTS}").message


@pytest.mark.nats
async def test_a_server_without_streams_gets_none(
    nats_server: Server, nc: Client, tmp_path: Path
) -> None:
    found = await told(nats_server.url, tmp_path)

    assert of(found, "streams").level == "note"
    assert set((await compare(nc, audit_max_age=None)).values()) == {None}


@pytest.mark.chaos
async def test_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    found = await told("nats://127.0.0.1:9", tmp_path)

    assert levels(found) == {"nats": "bad"}
