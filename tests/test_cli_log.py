"""What needs the log: init, replay, and asking for a refresh."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.directory import DataDirectory
from services.jetstream.setup import ensure
from services.jetstream.streams import facts as facts_request
from tests.support.cli import Answer, modelog, on_terminal
from tests.support.logs import FACTS_TOLD, stored_log, tell
from tests.support.nats import Servers, connected

pytestmark = [pytest.mark.nats, pytest.mark.process]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose data directory holds a log, and no server."""
    stored_log(tmp_path / ".modelog")
    return tmp_path


def test_the_log_is_replayed_into_a_file(folder: Path) -> None:
    answer = modelog("replay", "--to", "was/catalogue.db", cwd=folder)
    listed = modelog("models", "list", "--data", "was", "--json", cwd=folder)

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"was/catalogue.db: {FACTS_TOLD + 8} events in ")
    assert answer.out.endswith(f"/s), at sequence {FACTS_TOLD}\n")
    assert [row["id"] for row in listed.json] == ["gpt-4.1"]
    assert listed.json[0]["prices"]["input"] == "2.5"


@pytest.mark.parametrize(
    ("until", "prices"),
    [("4", ["3", None]), ("2026-01-15", ["3", None]), ("5", ["2.5", None]), ("1", [])],
)
def test_the_log_is_replayed_up_to_a_moment(
    until: str, prices: list[str | None], folder: Path
) -> None:
    answer = modelog("replay", "--to", "was.db", "--until", until, cwd=folder)
    with sqlite3.connect(folder / "was.db") as db:
        rows = db.execute("select prices from models order by provider, id desc").fetchall()
    db.close()

    assert answer.code == 0
    assert [json.loads(row[0]).get("input") for row in rows] == prices


def test_a_file_is_not_overwritten_unasked(folder: Path) -> None:
    (folder / "was.db").write_text("precious")
    refused = modelog("replay", "--to", "was.db", cwd=folder)
    kept = (folder / "was.db").read_text()
    forced = modelog("replay", "--to", "was.db", "--force", cwd=folder)

    assert (refused.code, refused.out) == (1, "")
    assert "was.db exists" in refused.err
    assert kept == "precious"
    assert forced.code == 0
    assert (folder / "was.db").read_bytes().startswith(b"SQLite format 3")


def test_a_sequence_beyond_the_log_does_not_exist(folder: Path) -> None:
    answer = modelog("replay", "--to", "was.db", "--until", 99, cwd=folder)

    assert answer.code == 3
    assert "the log ends at sequence 7" in answer.err
    assert not (folder / "was.db").exists()


def test_replay_shows_progress_on_a_terminal(folder: Path) -> None:
    screen = on_terminal("replay", "--to", "was.db", cwd=folder)

    assert screen.code == 0
    assert screen.lines[-1].startswith("was.db: 15 events in ")


def test_without_a_log_nothing_is_replayed(tmp_path: Path) -> None:
    answer = modelog("replay", "--to", "was.db", cwd=tmp_path)

    assert answer.code == 4
    assert "there is no log in" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_the_log_is_created_once_and_then_checked(tmp_path: Path) -> None:
    first, second = (modelog("init", "--json", cwd=tmp_path) for _ in range(2))

    assert (first.code, second.code) == (0, 0)
    assert set(first.json["streams"].values()) == {"created"}
    assert set(second.json["streams"].values()) == {"checked"}
    assert {"MODELOG", "MODELOG_AUDIT"} <= first.json["streams"].keys()
    assert first.json["sync"] == "always"
    assert first.json["epoch"] == second.json["epoch"]
    assert not DataDirectory(tmp_path / ".modelog").url_file.exists()


def test_init_tells_what_it_did_and_proved(tmp_path: Path) -> None:
    out = modelog("init", cwd=tmp_path).out

    assert ["MODELOG", "created"] in [line.split() for line in out.splitlines()]
    assert "on the disk before it is acknowledged (proven)" in out


async def test_init_refuses_a_stream_that_is_not_ours(servers: Servers, tmp_path: Path) -> None:
    async with connected(servers.url) as nc:
        request = facts_request("e", "i", 1) | {"deny_delete": False}
        await create(nc, "MODELOG", request)
    answer = await asyncio.to_thread(
        modelog, "init", cwd=tmp_path, env={"MODELOG_NATS_URL": servers.url}
    )

    assert answer.code == 1
    assert "stream MODELOG: deny_delete is" in answer.err
    assert answer.err.count("\n") == 1


async def test_init_shows_what_differs_and_changes_it_by_apply_alone(
    servers: Servers, tmp_path: Path
) -> None:
    async def init(*more: str) -> Answer:
        env = {"MODELOG_NATS_URL": servers.url}
        return await asyncio.to_thread(modelog, "init", *more, cwd=tmp_path, env=env)

    await init()
    async with connected(servers.url) as nc:
        await nc.request("audit.service.one.started.1", b"{}")
    (tmp_path / "modelog.toml").write_text('[nats]\naudit_max_age = "2h"\n')
    shown, told = await init(), await init("--json")
    applied, again = await init("--apply", "--json"), await init("--apply")

    assert (shown.code, told.code, applied.code, again.code) == (1, 1, 0, 0)
    row = ["MODELOG_AUDIT", "audit_max_age", "400d", "2h", "`modelog", "init", "--apply`"]
    assert row in [line.split()[:7] for line in shown.out.splitlines()]
    assert "2h instead of 400d would drop what is older for good, by now 0 audit" in shown.err
    assert told.json == {
        "differences": [
            {
                "stream": "MODELOG_AUDIT",
                "setting": "audit_max_age",
                "is": "400d",
                "wanted": "2h",
                "remedy": "`modelog init --apply` changes it",
            }
        ],
        "drops": 0,
    }
    assert applied.json["changes"] == [
        {"stream": "MODELOG_AUDIT", "setting": "audit_max_age", "was": "400d", "is": "2h"}
    ]
    assert applied.json["streams"]["MODELOG_AUDIT"] == "changed"
    assert "instead of 400d drops what is older for good" in applied.err
    assert "changed" not in again.out
    assert again.err == ""


def test_more_replicas_than_servers_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text("[nats]\nreplicas = 3\n")
    answer = modelog("init", cwd=tmp_path)

    assert answer.code == 1
    assert "3 replicas need as many servers" in answer.err
    assert answer.err.count("\n") == 1


async def create(nc: Client, name: str, request: dict[str, Any]) -> None:
    reply = await nc.request(f"$JS.API.STREAM.CREATE.{name}", json.dumps(request).encode())
    assert "error" not in json.loads(reply.data)


def test_replicas_that_differ_are_numbers_in_json(tmp_path: Path) -> None:
    modelog("init", cwd=tmp_path)
    (tmp_path / "modelog.toml").write_text("[nats]\nreplicas = 3\n")
    answer = modelog("init", "--json", cwd=tmp_path)

    assert answer.code == 1
    assert {(one["setting"], one["is"], one["wanted"]) for one in answer.json["differences"]} == {
        ("replicas", 1, 3)
    }


def test_init_waits_for_nobody_who_has_the_directory(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / ".modelog").lock():
        answer = modelog("init", cwd=tmp_path)

    assert answer.code == 1
    assert "in use by process" in answer.err


@pytest.mark.parametrize("command", ["run refresher", "providers refresh --all", "watch"])
def test_what_needs_a_server_says_how_to_get_one(command: str, tmp_path: Path) -> None:
    answer = modelog(*command.split(), cwd=tmp_path)

    assert answer.code == 4
    assert "modelog up" in answer.err
    assert answer.err.count("\n") == 1


OUTCOME = {
    "type": "refresh.succeeded",
    "at": "2026-01-01T00:00:00.000Z",
    "provider": "acme",
    "run_id": "run-1",
    "models": 12,
    "added": 2,
    "complete": True,
    "duration_ms": 1234,
}
FAILURE = {
    **OUTCOME,
    "type": "refresh.failed",
    "provider": "zeta",
    "error": {"class": "credential", "message": "the key\x1b[2J was refused", "status": 401},
}


@asynccontextmanager
async def answering(url: str, reply: dict[str, Any]) -> AsyncIterator[list[dict[str, Any]]]:
    """Somebody who answers for the refresher, and keeps what was asked."""
    asked: list[dict[str, Any]] = []

    async def answer(message: Msg) -> None:
        asked.append(json.loads(message.data))
        await message.respond(json.dumps(reply).encode())

    async with connected(url) as nc:
        await nc.subscribe("rpc.modelog.command.refresh", cb=answer)
        await nc.flush()
        yield asked


async def refreshed(url: str, cwd: Path, *arguments: str) -> Answer:
    env = {"MODELOG_NATS_URL": url}
    return await asyncio.to_thread(modelog, "providers", "refresh", *arguments, cwd=cwd, env=env)


async def test_a_refresh_tells_its_outcome(servers: Servers, tmp_path: Path) -> None:
    reply = {"accepted": True, "correlation_id": "c", "runs": [], "outcomes": [OUTCOME]}
    async with answering(servers.url, reply) as asked:
        words = await refreshed(servers.url, tmp_path, "acme", "--force")
        told = await refreshed(servers.url, tmp_path, "--all", "--json")

    assert words == (
        0,
        "PROVIDER  OUTCOME    SECONDS  WHAT\nacme      succeeded     1.23  12 models, 2 added\n",
        "",
    )
    assert told.json == [OUTCOME]
    assert asked == [
        {"provider": "acme", "force": True, "wait": True},
        {"provider": None, "force": False, "wait": True},
    ]


async def test_a_refresh_that_fails_is_exit_code_1(servers: Servers, tmp_path: Path) -> None:
    outcomes = [OUTCOME, FAILURE]
    reply = {"accepted": True, "correlation_id": "c", "runs": [], "outcomes": outcomes}
    async with answering(servers.url, reply):
        answer = await refreshed(servers.url, tmp_path, "--all")

    assert answer.code == 1
    assert "credential (401): the key\\x1b[2J was refused" in answer.out
    assert answer.err == "1 of 2 failed: zeta; see `modelog providers show zeta`\n"


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("not_found", 3), ("invalid", 2), ("unavailable", 4), ("internal", 1), ("conflict", 1)],
)
async def test_a_refused_refresh_says_why(
    code: str, exit_code: int, servers: Servers, tmp_path: Path
) -> None:
    async with answering(servers.url, {"error": {"code": code, "message": "no, for a reason"}}):
        answer = await refreshed(servers.url, tmp_path, "acme")

    assert answer == (exit_code, "", "no, for a reason\n")


async def test_without_a_refresher_a_refresh_fails_at_once(
    servers: Servers, tmp_path: Path
) -> None:
    async with connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
    answer = await refreshed(servers.url, tmp_path, "acme")

    assert answer.code == 4
    assert "no refresher answers" in answer.err


async def test_a_replay_reads_a_running_server_without_the_lock(
    servers: Servers, tmp_path: Path
) -> None:
    async with connected(servers.url) as nc:
        await tell(nc)
    directory = DataDirectory(tmp_path / ".modelog")
    with directory.lock():
        directory.publish_url(servers.url)
        answer = await asyncio.to_thread(modelog, "replay", "--to", "was.db", cwd=tmp_path)

    assert answer.code == 0
