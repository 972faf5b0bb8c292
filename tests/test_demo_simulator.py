"""The simulator as a process: one configuration, the recording, the shared clock."""

import asyncio
import json
import os
import signal
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from events.base import Instant
from services import clock
from services.demo.configuration import KEY, prepare, text
from services.demo.recorded import Recording, Timeline, load
from services.demo.serve import populate
from services.demo.shapes import SHAPES
from services.demo.simulator import Simulator

HEADERS = {"x-api-key": KEY, "x-goog-api-key": KEY, "authorization": f"Bearer {KEY}"}
HEADERS["anthropic-version"] = "2023-06-01"


@pytest.fixture(scope="module")
def recording() -> Recording:
    return load()


class Stopped(clock.Clock):
    """A clock that stands still."""

    def __init__(self, at: Instant) -> None:
        super().__init__()
        self.at = at

    def now(self) -> Instant:
        return self.at


@asynccontextmanager
async def playing(recording: Recording, config: Path, at: Instant) -> AsyncIterator[Stopped]:
    hands = Stopped(at)
    async with Simulator(now=hands.now) as simulator:
        populate(simulator, recording, hands, config)
        yield hands


def tables(config: Path) -> dict[str, dict[str, Any]]:
    return {table["name"]: table for table in tomllib.loads(config.read_text("utf-8"))["providers"]}


async def ask(client: httpx.AsyncClient, table: dict[str, Any]) -> httpx.Response:
    return await client.get(table["base_url"] + SHAPES[table["dialect"]].path, headers=HEADERS)


def test_the_configuration_is_toml_whatever_the_path(recording: Recording, tmp_path: Path) -> None:
    folder = tmp_path / 'a "quoted" \\ folder'
    config = prepare(folder, recording)
    found = tables(config)

    assert list(found) == sorted(recording.providers)
    for table in found.values():
        assert Path(table["api_key"]["file"]).read_text("utf-8").strip() == KEY
    assert len({table["base_url"].split("/")[2] for table in found.values()}) == len(found)


def test_the_key_is_for_its_owner_alone(recording: Recording, tmp_path: Path) -> None:
    config = prepare(tmp_path, recording)

    assert (config.parent / "demo.key").stat().st_mode & 0o077 == 0
    assert KEY not in text(recording, dict.fromkeys(recording.providers, 1), tmp_path)


async def test_the_lists_are_those_of_the_modelled_moment(
    recording: Recording, tmp_path: Path
) -> None:
    config = prepare(tmp_path, recording)
    timeline = Timeline(recording)
    async with (
        playing(recording, config, recording.start) as hands,
        httpx.AsyncClient(timeout=5) as client,
    ):
        for at in (recording.start, "2026-03-01T00:00:00.000Z", recording.end):
            hands.at = at
            rows = (await ask(client, tables(config)["openai"])).json()["data"]
            expected = timeline.list_at("openai", at)
            assert [row["id"] for row in rows] == [model["id"] for model in expected]


async def test_a_staged_incident_stands_and_passes(recording: Recording, tmp_path: Path) -> None:
    config = prepare(tmp_path, recording)
    incident = next(one for one in recording.incidents if one.fault == "503")
    async with (
        playing(recording, config, incident.start) as hands,
        httpx.AsyncClient(timeout=5) as client,
    ):
        during = await ask(client, tables(config)[incident.provider])
        hands.at = incident.end
        after = await ask(client, tables(config)[incident.provider])

    assert (during.status_code, after.status_code) == (503, 200)


async def test_a_taken_port_is_said(recording: Recording, tmp_path: Path) -> None:
    config = prepare(tmp_path, recording)
    port = int(tables(config)["openai"]["base_url"].split(":")[2].split("/")[0])
    blocker = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", port)
    with pytest.raises(OSError, match="in use"):
        async with playing(recording, config, recording.start):
            pass
    blocker.close()


@pytest.mark.process
async def test_it_runs_as_a_process_on_the_shared_clock(
    recording: Recording, tmp_path: Path
) -> None:
    config = prepare(tmp_path, recording)
    at = "2026-04-01T00:00:00.000Z"
    start = datetime.fromisoformat(at).timestamp()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.demo", str(config)),
        env={**os.environ, "MODELOG_CLOCK": f"{clock.Clock().unix()},1,{start}"},
    )
    try:
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=8)) as client:
            document = (await ask(client, tables(config)["openai"])).json()
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert code == 0
    expected = [model["id"] for model in Timeline(recording).list_at("openai", at)]
    assert [row["id"] for row in document["data"]] == expected
    assert json.dumps(document)
