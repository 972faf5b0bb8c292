"""What `status`, `providers list --status` and `providers show` tell, from the catalogue alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from nats.aio.client import Client

from services.clock import new_id
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from services.jetstream.state import beat
from tests.support.cli import modelog, on_terminal
from tests.support.logs import catalogue
from tests.support.shelf import FACTS, OPERATIONS

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("status")
    catalogue(folder / ".modelog", FACTS, OPERATIONS)
    return folder


def test_the_status_tells_of_health_alerts_generation_and_journal(folder: Path) -> None:
    told = modelog("status", "--json", cwd=folder).json
    words = modelog("status", cwd=folder).out

    assert told["processes"] is None
    assert (told["health"]["total"], told["health"]["open_alerts"]) == (3, 0)
    assert told["catalogue"]["generation"] == 1
    assert told["catalogue"]["wal_bytes"] >= 0
    assert "(generation 1, " in words
    assert "none open" in words


@pytest.mark.nats
async def test_the_status_tells_who_lives(nats_server: Server, nc: Client, folder: Path) -> None:
    await ensure(nc, audit_max_age=None, monitor_url=None)
    await beat(nc, "refresher", new_id())
    env = {"MODELOG_NATS_URL": nats_server.url}
    told = modelog("status", "--json", cwd=folder, env=env).json

    assert told["processes"] == {"refresher": 1, "health-monitor": 0}
    assert "refresher: 1, health-monitor: none" in modelog("status", cwd=folder, env=env).out


def test_the_effective_configuration_has_every_section(tmp_path: Path) -> None:
    told = modelog("status", "--config", cwd=tmp_path).json

    assert list(told) == [
        "source",
        "data",
        "nats",
        "refresh",
        "health",
        "enrichment",
        "notify",
        "providers",
    ]
    assert told["nats"]["audit_max_age"] == "400d"
    assert all(isinstance(one["refresh"]["interval"], str) for one in told["providers"])


def test_the_effective_configuration_has_every_health_setting(tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text(
        '[health]\ninterval = "30s"\n[[providers]]\nname = "ollama"'
    )
    told = modelog("status", "--config", cwd=tmp_path).json

    assert (told["health"]["interval"], told["health"]["failure_threshold"]) == ("30s", 3)
    assert told["providers"][0]["health"] == told["health"]


@pytest.mark.chaos
def test_a_server_that_cannot_be_reached_is_named(folder: Path, tmp_path: Path) -> None:
    env = {"MODELOG_NATS_URL": "nats://127.0.0.1:1"}
    without, beside = (
        modelog("status", cwd=tmp_path, env=env),
        modelog("status", cwd=folder, env=env),
    )

    assert (without.code, without.err.partition(" (")[0]) == (
        4,
        "no NATS server at nats://127.0.0.1:1",
    )
    assert (beside.code, "nats://127.0.0.1:1 cannot be reached; start it" in beside.out) == (
        0,
        True,
    )


def test_providers_are_listed_by_status(folder: Path) -> None:
    def names(*statuses: str) -> list[str]:
        options = [word for one in statuses for word in ("--status", one)]
        rows = modelog("providers", "list", *options, "--json", cwd=folder).json
        return [row["name"] for row in rows]

    everyone = names()
    assert sorted(names("inactive", "active", "degraded", "error")) == sorted(everyone)
    assert names("degraded") == []
    assert modelog("providers", "list", "--status", "fine", cwd=folder).code == 2
    both = modelog("providers", "list", "--available", "--status", "active", cwd=folder)
    assert (both.code, both.out) == (2, "")


def test_a_provider_is_shown_with_what_its_models_can(folder: Path) -> None:
    told = modelog("providers", "show", "openai", "--json", cwd=folder).json
    words = modelog("providers", "show", "openai", cwd=folder).out

    assert told["capabilities"] == {"chat": 1, "completion": 1, "tools": 1, "vision": 1}
    assert (told["health"]["open_alerts"], told["health"]["uptime_24h"]) == (0, None)
    assert [run["outcome"] for run in told["refreshes"]] == ["succeeded"]
    assert "chat 1, completion 1, tools 1, vision 1" in words


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", ["status", "providers show openai"])
def test_every_view_fits(command: str, columns: int, folder: Path) -> None:
    screen = on_terminal(*command.split(), cwd=folder, columns=columns)

    assert screen.code == 0
    assert max(map(len, screen.lines)) <= columns
