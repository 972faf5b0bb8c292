"""Schedules: what is shown of a small log, with its server and without one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from events.audit import RefreshStarted
from events.base import elapsed
from events.codec import FactEvent
from services import clock
from services.settings import Schedule
from tests.support.cli import modelog, on_terminal
from tests.support.logs import TOLD, catalogue, registered, runs, tell
from tests.support.nats import connected, running
from tests.support.processes import spawned
from tests.support.refreshing import configuration

pytestmark = [pytest.mark.nats, pytest.mark.process]

AT = "2026-03-01T00:00:00.000Z"
COLUMNS = (
    *("name", "enabled", "priority", "interval", "interval_seconds", "timeout", "attempts"),
    *("base_delay", "max_delay", "multiplier", "retry_on", "running", "last_refresh_at"),
    *("last_outcome", "next_due_at"),
)


def scheduled(name: str, *, enabled: bool = True, priority: int = 0, **plan: object) -> FactEvent:
    return msgspec.structs.replace(
        registered(name, AT), enabled=enabled, priority=priority, schedule=plan
    )


FACTS = [
    *TOLD,
    scheduled("beta", priority=5, interval=600.0, attempts=5, max_delay=60.0),
    scheduled("gamma", enabled=False, interval=60.0),
]
OPERATIONS = [
    *runs(AT, "run-1", models=1),
    RefreshStarted(at="2026-03-01T01:00:00.000Z", provider="beta", run_id="run-2"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalogue, and neither log nor server."""
    folder = tmp_path_factory.mktemp("schedules")
    catalogue(folder / ".modelog", FACTS, OPERATIONS)
    return folder


def test_each_provider_has_its_schedule(folder: Path) -> None:
    answer = modelog("schedules", "list", "--json", cwd=folder)
    acme, beta, gamma = answer.json
    plain = Schedule()

    assert (answer.code, answer.err) == (0, "")
    assert tuple(acme) == COLUMNS
    assert (acme["interval"], acme["interval_seconds"], acme["attempts"]) == ("5m", 300.0, 3)
    assert acme["retry_on"] == list(plain.retry_on)
    assert (acme["last_refresh_at"], acme["last_outcome"], acme["running"]) == (
        AT,
        "succeeded",
        False,
    )
    assert (beta["interval"], beta["attempts"], beta["max_delay"]) == ("10m", 5, "1m")
    assert (beta["priority"], beta["running"], beta["last_outcome"]) == (5, True, "started")
    assert (gamma["enabled"], gamma["last_refresh_at"]) == (False, None)
    assert {row["next_due_at"] for row in answer.json} == {None}, "no server tells whose log it is"


def test_a_limit_cuts_the_list(folder: Path) -> None:
    answer = modelog("schedules", "list", "--json", "--limit", 1, cwd=folder)

    assert [row["name"] for row in answer.json] == ["acme"]


def test_a_server_that_cannot_be_reached_is_not_needed(folder: Path) -> None:
    env = {"MODELOG_NATS_URL": "nats://127.0.0.1:1"}
    answer = modelog("schedules", "list", "--json", cwd=folder, env=env)

    assert (answer.code, len(answer.json)) == (0, 3)
    assert answer.err == "no log can be reached: when each is next is unknown\n"


def test_a_terminal_gets_the_totals(folder: Path) -> None:
    screen = on_terminal("schedules", "list", cwd=folder)

    assert screen.code == 0
    assert "3 schedules: 2 enabled, 1 disabled, 1 running; every 7m30s on average" in screen.text
    assert max(map(len, screen.lines)) <= 80
    assert "3 attempts, 1s to 30s, x2" in screen.text


async def test_a_running_server_tells_when_each_is_next(tmp_path: Path) -> None:
    async with running(tmp_path / "nats") as server, connected(server.url) as nc:
        await tell(nc)
        (tmp_path / "modelog.toml").write_text(configuration())
        env = {"MODELOG_NATS_URL": server.url}
        async with spawned(tmp_path, "run", "projector", env=env) as projector:
            await projector.line(" ready ")
            words = ("schedules", "list", "--json")
            before = clock.system().now()
            answer = await asyncio.to_thread(modelog, *words, cwd=tmp_path, env=env)
            await projector.stop()

    (row,) = answer.json
    assert timedelta() < elapsed(before, row["next_due_at"]) <= timedelta(seconds=330)


def test_without_a_catalogue_it_says_so(tmp_path: Path) -> None:
    assert modelog("schedules", "list", cwd=tmp_path).code == 4
