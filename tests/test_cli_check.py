"""Checks and alerts at work: a system of three processes, and one provider that refuses us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.demo import faults
from services.demo.simulator import Simulator
from tests.support.cli import Answer, modelog
from tests.support.nats import until
from tests.support.refreshing import configuration, eventually, table
from tests.support.system import up

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]

HEALTH = '[health]\ninterval = "10s"\nblock_threshold = 1\n'


async def ask(folder: Path, *words: str) -> Answer:
    return await asyncio.to_thread(modelog, *words, cwd=folder)


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """A folder in which a system runs over the providers `bad` and `good`."""
    async with Simulator() as simulator:
        bad, good = simulator.provider("bad"), simulator.provider("good", host="127.0.0.2")
        bad.models = good.models = ["one"]
        bad.faults.always(faults.status(401))
        (tmp_path / "modelog.toml").write_text(configuration(table(bad), table(good)) + HEALTH)
        async with up(tmp_path):
            told = tmp_path / "out.txt"
            await until(lambda: told.read_text().count(" ready ") == 3, 30)
            yield tmp_path


@pytest.mark.chaos
async def test_people_check_look_and_see_to_an_alert(folder: Path) -> None:
    """One system, as one person uses it: a start takes longer than all of this."""
    found: list[dict[str, Any]] = []

    async def told() -> bool:
        answer = await ask(folder, "alerts", "list", "--provider", "bad", "--json")
        found[:] = answer.json if answer.code == 0 else []
        return any(one["kind"] == "status_change" for one in found)

    await eventually(told, 30)
    alert = next(one["alert_id"] for one in found if one["kind"] == "status_change")

    good = await ask(folder, "providers", "check", "good", "--json")
    both = await ask(folder, "providers", "check", "--all")
    nobody = await ask(folder, "providers", "check", "nobody")
    neither = await ask(folder, "providers", "check")
    assert (good.code, [one["verdict"] for one in good.json]) == (0, ["OK"])
    assert (both.code, both.err) == (1, "1 of 2 failed: bad; see `modelog health bad`\n")
    assert "BLOCKED" in both.out
    assert (nobody.code, neither.code) == (3, 2)

    one = (await ask(folder, "health", "bad", "--json")).json
    totals = (await ask(folder, "health", "--summary", "--json")).json
    assert (one["status"], one["status_cause"], one["stale"]) == ("error", "credential", False)
    assert "401" in one["checks"][-1]["error_message"]
    assert (totals["healthy"], totals["blocked"], totals["monitors_alive"]) == (1, 1, 1)

    seen = await ask(folder, "alerts", "ack", alert, "--json")
    quiet = await ask(folder, "alerts", "silence", alert[:-1], "--for", "2h")
    absent = await ask(folder, "alerts", "ack", "019aaaaa-0000-7000-8000-000000000000")
    assert (seen.code, seen.json["accepted"]) == (0, True)
    assert quiet.out.startswith(f"silenced {alert} until ")
    assert absent.code == 3

    async def kept() -> bool:
        row = (await ask(folder, "alerts", "show", alert, "--json")).json
        return bool(row["acknowledged_at"] and row["silenced_until"])

    await eventually(kept)
    ended = await ask(folder, "alerts", "silence", alert, "--end")
    assert ended.out.startswith(f"ended the silence of {alert}, at sequence ")
    assert msgspec.json.decode(seen.out)["seq"] < int(ended.out.split()[-1])


async def test_without_a_monitor_nothing_is_checked(tmp_path: Path) -> None:
    answer = await ask(tmp_path, "providers", "check", "--all")

    assert answer.code == 4
