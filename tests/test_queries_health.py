"""Health and alerts asked over NATS: the answers of the command line, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from services.clock import Clock
from services.jetstream.setup import ensure
from services.jetstream.state import beat, living
from services.projector.queries import answering
from tests.support.cli import modelog
from tests.support.logs import catalogue
from tests.support.vitals import DOWN, FACTS, OPERATIONS, PAST, RETIRES, WORST

pytestmark = pytest.mark.nats

Answer = dict[str, Any]


async def ask(nc: Client, name: str, /, **said: object) -> Answer:
    payload = msgspec.json.encode(said)
    answer = await nc.request(f"rpc.modelog.query.{name}", payload, timeout=20)
    reply: Answer = msgspec.json.decode(answer.data)
    return reply


async def paged(nc: Client, name: str, /, **said: object) -> list[Answer]:
    """Return the items of all pages of one item each."""
    found = [await ask(nc, name, limit=1, **said)]
    while (after := found[-1]["next"]) is not None:
        found.append(await ask(nc, name, limit=1, after=after, **said))
    assert {len(page["items"]) for page in found} == {1}
    return [item for page in found for item in page["items"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalogue, and neither log nor server."""
    folder = tmp_path_factory.mktemp("vitals")
    catalogue(folder / ".modelog", FACTS, OPERATIONS)
    return folder


@pytest.fixture
async def asked(folder: Path, nc: Client) -> AsyncIterator[Client]:
    """A connection to a server with the buckets, and a query service over `folder`."""
    await ensure(nc, audit_max_age=None, monitor_url=None)
    async with answering(nc, folder / ".modelog" / "catalogue.db", Clock()):
        yield nc


@pytest.mark.process
async def test_items_are_what_the_command_line_prints(folder: Path, asked: Client) -> None:
    await beat(asked, "health-monitor", "one")
    env = {"MODELOG_NATS_URL": str(asked.connected_url and asked.connected_url.geturl())}
    for name, said, words in (
        ("health", {}, "health"),
        ("alerts", {}, "alerts list"),
        ("alerts", {"state": "all", "provider": "beta"}, "alerts list --state all --provider beta"),
    ):
        answer = await ask(asked, name, **said)
        printed = await asyncio.to_thread(modelog, *words.split(), "--json", cwd=folder, env=env)

        assert answer["items"] == printed.json != []
        assert answer["seq"] == len(FACTS)
    one = await ask(asked, "health", provider="beta")
    shown = await asyncio.to_thread(modelog, "health", "beta", "--json", cwd=folder, env=env)
    assert one["items"] == [shown.json]


async def test_the_summary_stands_beside_the_providers(asked: Client) -> None:
    """Without a heartbeat every provider is stale."""
    dead = await ask(asked, "health", limit=1)
    await beat(asked, "health-monitor", "one")
    await beat(asked, "health-monitor", "two")
    living = await ask(asked, "health")

    assert (dead["summary"]["monitors_alive"], dead["summary"]["stale"]) == (0, 4)
    assert [one["stale_reason"] for one in dead["items"]] == ["no_monitor"]
    assert (living["summary"]["monitors_alive"], living["summary"]["stale"]) == (2, 1)
    assert [one["stale"] for one in living["items"]] == [False, False, False, True]


async def test_where_no_log_was_created_no_monitor_lives(nc: Client) -> None:
    assert await living(nc, "health-monitor") == 0


async def test_pages_join_to_the_whole(asked: Client) -> None:
    for name, said in (
        ("health", {}),
        ("alerts", {"state": "all"}),
        ("health", {"provider": "beta", "part": "history"}),
        ("health", {"provider": "acme", "part": "checks"}),
    ):
        whole = await ask(asked, name, **said)

        assert await paged(asked, name, **said) == whole["items"]
        assert len(whole["items"]) > 1


async def test_the_past_of_a_provider_begins_with_the_newest(asked: Client) -> None:
    history = await ask(asked, "health", provider="beta", part="history")
    checks = await ask(asked, "health", provider="beta", part="checks")
    one = await ask(asked, "health", provider="beta")

    assert [item["cause"] for item in history["items"]] == ["outage", None, "outage", None]
    assert [item["verdict"] for item in checks["items"]] == ["FAIL", "OK"]
    assert one["items"][0]["history"] == history["items"]
    assert one["items"][0]["checks"] == checks["items"]


@pytest.mark.parametrize(
    ("said", "alerts"),
    [
        ({}, [RETIRES, WORST, DOWN]),
        ({"state": "resolved"}, [PAST]),
        ({"kind": "retirement"}, [RETIRES]),
        ({"state": "all", "severity": ["high"]}, [DOWN, PAST]),
        ({"kind": ["status_change"], "severity": "low"}, []),
        ({"provider": "nobody"}, []),
    ],
)
async def test_alerts_are_filtered(said: dict[str, Any], alerts: list[Any], asked: Client) -> None:
    answer = await ask(asked, "alerts", **said)

    assert [item["alert_id"] for item in answer["items"]] == [one.alert_id for one in alerts]


@pytest.mark.parametrize(
    ("name", "said", "code", "words"),
    [
        ("health", {"provider": "nobody"}, "not_found", 'no provider "nobody"'),
        ("health", {"part": "history"}, "invalid", "part: goes with the name of a provider"),
        ("health", {"provider": "beta", "part": "all"}, "invalid", "$.part"),
        ("health", {"after": "x"}, "invalid", "after"),
        ("alerts", {"state": "shut"}, "invalid", "open, resolved, all"),
        ("alerts", {"kind": "rumour"}, "invalid", "retirement"),
        ("alerts", {"severity": ["hi"]}, "invalid", "critical"),
    ],
)
async def test_what_is_no_question_is_refused(
    name: str, said: dict[str, Any], code: str, words: str, asked: Client
) -> None:
    error = (await ask(asked, name, **said))["error"]

    assert error["code"] == code
    assert words in error["message"]
