"""compose.yaml as data: there may be no engine to run it here, but everything in it can be held
against what it names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli import COMMANDS
from services.config import load
from services.jetstream.server import binary
from tests.support.cli import modelog

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
READ = {"MODELOG_NATS_URL", "MODELOG_DATA", "MODELOG_CONFIG"}


def test_the_processes_that_there_are_have_a_service_each() -> None:
    ours = {"refresher", "health-monitor", "projector", "notifier"}

    assert set(SERVICES) == {"nats", "init", *ours}


@pytest.mark.process
@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_that_the_program_has(name: str, tmp_path: Path) -> None:
    command = SERVICES[name]["command"]
    answer = modelog(*command, "--help", cwd=tmp_path)

    assert command[0] in COMMANDS
    assert answer.code == 0


@pytest.mark.process
def test_every_process_is_one_that_can_be_run(tmp_path: Path) -> None:
    for name in OURS:
        command = SERVICES[name]["command"]
        if command[0] == "run":
            answer = modelog(*command, cwd=tmp_path)
            assert answer.code == 4, "known, and there is no server"


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_the_program_reads(name: str) -> None:
    assert set(SERVICES[name]["environment"]) == READ


def test_health_checks_run_commands_that_there_are() -> None:
    tests = {
        name: one["healthcheck"]["test"] for name, one in SERVICES.items() if "healthcheck" in one
    }

    assert set(tests) >= {"nats", "projector"}
    assert tests["projector"][1:] == ["modelog", "status"]
    assert "status" in COMMANDS


def test_everything_that_is_mounted_is_declared() -> None:
    volumes, configs, secrets = (COMPOSE.get(key, {}) for key in ("volumes", "configs", "secrets"))
    for service in SERVICES.values():
        assert {mount.split(":")[0] for mount in service.get("volumes", [])} <= set(volumes)
        assert {config["source"] for config in service.get("configs", [])} <= set(configs)
        assert set(service.get("secrets", [])) <= set(secrets)
    assert all("content" in config for config in configs.values())


def test_a_secret_is_a_file_that_is_there_by_default() -> None:
    for secret in COMPOSE["secrets"].values():
        default = re.fullmatch(r"\$\{\w+:-(.+)\}", secret["file"])
        assert default is not None
        assert Path(default[1]).exists()


def test_what_depends_on_another_waits_until_it_is_well() -> None:
    assert SERVICES["init"]["depends_on"] == {"nats": {"condition": "service_healthy"}}
    for name in ("refresher", "health-monitor", "projector", "notifier"):
        done = {"init": {"condition": "service_completed_successfully"}}
        assert SERVICES[name]["depends_on"] == done


def test_the_configuration_in_it_is_one(tmp_path: Path) -> None:
    file = tmp_path / "modelog.toml"
    file.write_text(COMPOSE["configs"]["modelog"]["content"])
    environ = {name: str(value) for name, value in SERVICES["refresher"]["environment"].items()}
    config = load(file, environ=environ)

    assert [one.name for one in config.providers] == ["openrouter", "openai"]
    assert config.providers[1].credential == {"file": "/run/secrets/openai"}
    assert config.nats.url == "nats://nats:4222"
    assert config.nats.monitor_url == "http://nats:8222"


def test_the_server_s_configuration_is_one_and_syncs_every_write(tmp_path: Path) -> None:
    text = COMPOSE["configs"]["nats"]["content"]
    file = tmp_path / "nats.conf"
    file.write_text(text.replace("/data", str(tmp_path / "data")))
    done = subprocess.run(
        [binary(), "-t", "-c", str(file)], capture_output=True, text=True, check=False, timeout=20
    )

    assert done.returncode == 0, done.stderr
    assert "sync_interval: always" in text


def test_the_image_is_built_of_files_that_are_there() -> None:
    builds = {SERVICES[name]["build"]["dockerfile_inline"] for name in OURS}
    (text,) = builds
    sources = [
        word
        for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE)
        for word in line.split()[:-1]
    ]

    assert len(sources) >= 4
    assert all((ROOT / source).exists() for source in sources)
    assert {"events", "projections", "services", "requirements.lock"} <= set(sources)
    assert "--require-hashes" in text
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
