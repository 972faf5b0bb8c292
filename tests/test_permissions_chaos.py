"""Every process and command at work, each as its own role at a server that allows no more."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services import clock as clocks
from services.clock import VARIABLE
from services.demo import faults
from services.demo.simulator import Simulator, Site
from services.directory import DataDirectory
from services.projector.snapshotting import restored, snapshot
from tests.support.cli import Answer, modelog
from tests.support.http import Server, reply, serving
from tests.support.permitted import Permitted, permitting
from tests.support.processes import Process, spawned
from tests.support.refreshing import configuration, eventually, table

pytestmark = [
    pytest.mark.nats,
    pytest.mark.process,
    pytest.mark.chaos,
    pytest.mark.timeout(180),
]

SPEED = 20
PROCESSES = ("refresher", "health-monitor", "projector", "notifier")


class System:
    """All of modelog in a folder, against a server that somebody else runs."""

    def __init__(self, permitted: Permitted, folder: Path, hook: Server, *sites: Site) -> None:
        self.permitted = permitted
        self.folder = folder
        self.site, self.other = sites
        now = time.time()
        secret = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
        self.env = {VARIABLE: f"{now},{SPEED},{now}", "HOOK_SECRET": secret}
        (folder / "modelog.toml").write_text(
            configuration(table(self.site))
            + permitted.section()
            + '[health]\ninterval = "10s"\n[enrichment]\nsources = []\n[notify]\ngroup = "200ms"\n'
            f'[[notify.webhooks]]\nname = "hook"\nurl = "{hook.url}"\n'
            'secret = { env = "HOOK_SECRET" }\n'
        )

    async def does(self, *words: object, code: int = 0) -> Answer:
        """Run a command that must end with *code*."""
        answer = await asyncio.to_thread(modelog, *words, cwd=self.folder, env=self.env)
        assert (words, answer.code) == (words, code), answer.err
        assert "iolation" not in answer.err
        return answer

    async def told(self, *words: object) -> Any:  # noqa: ANN401 - whatever was printed
        return (await self.does(*words, "--json")).json

    async def comes(self, *words: object, **wanted: object) -> Mapping[str, Any]:
        """Wait until a list has a row like *wanted*, and return it."""
        found: list[Mapping[str, Any]] = []

        async def look() -> bool:
            rows = await self.told(*words)
            found[:] = [row for row in rows if wanted.items() <= row.items()]
            return bool(found)

        await eventually(look, 30)
        return found[0]


@asynccontextmanager
async def system(folder: Path) -> AsyncIterator[tuple[System, Server]]:
    (folder / "server").mkdir()
    with permitting(folder / "server") as permitted:
        async with Simulator() as simulator, serving(reply("", 204)) as hook:
            sites = [simulator.provider(name) for name in ("acme", "beta")]
            for site in sites:
                site.models = ["m0", "m1", "m2"]
            yield System(permitted, folder, hook, *sites), hook


async def test_all_processes_work_with_the_rights_of_their_roles(tmp_path: Path) -> None:
    async with system(tmp_path) as (made, hook):
        async with spawned(tmp_path, "up", env=made.env) as up:
            for name in PROCESSES:
                await up.line(" ready ", f"process={name}", seconds=30)
            await _refreshes_and_checks(made)
            await _tells_an_outage(made, hook)
            await _takes_commands(made)
            await _outlives_a_restart(made)
            await _is_read(made)
            await _is_asked_directly(made)
            assert await up.stop() == 0
        await _works_alone(made)

        assert made.permitted.violations() == []
        assert "iolation" not in up.text
        assert [role for role in made.permitted.keys if made.permitted.key(role) in up.text] == []


async def _refreshes_and_checks(made: System) -> None:
    await made.does("providers", "refresh", "acme")
    await made.comes("models", "list", provider="acme", id="m0")
    await made.does("providers", "check", "acme")
    await made.comes("health", provider="acme", status="active")


async def _tells_an_outage(made: System, hook: Server) -> None:
    made.site.faults.always(faults.status(500))
    alert = await made.comes("alerts", "list", provider="acme", state="open")
    await asyncio.wait_for(hook.arrived.wait(), 20)
    assert json.loads(hook.asked[0].body)["type"] == "alert.opened"
    await made.does("alerts", "ack", alert["alert_id"])
    await made.does("alerts", "silence", alert["alert_id"])
    made.site.faults.clear()
    await made.comes("health", provider="acme", status="active")


async def _takes_commands(made: System) -> None:
    given = ("--dialect", made.other.dialect, "--base-url", made.other.base_url)
    await made.does("providers", "add", "beta", *given)
    await made.comes("models", "list", provider="beta", id="m2")
    await made.does("providers", "disable", "beta")
    await made.does("providers", "remove", "beta")
    await made.does("rebuild")


async def _outlives_a_restart(made: System) -> None:
    """Every connection says anew who it is, and makes sure of the log before it writes."""
    made.permitted.server.restart()

    async def look() -> bool:
        words = ("providers", "refresh", "acme", "--force")
        answer = await asyncio.to_thread(modelog, *words, cwd=made.folder, env=made.env)
        return answer.code == 0

    await eventually(look, 30)
    await made.does("providers", "refresh", "--all", "--force")


async def _is_read(made: System) -> None:
    await made.does("schedules", "list")
    status = await made.told("status")
    assert status["processes"] == {"refresher": 1, "health-monitor": 1}, status
    watched = await made.does("watch", "--since", 1, "--no-follow", "--json")
    assert "service.started" in watched.out
    await made.does("backup", "log.jsonl.gz")
    await made.does("verify")
    await made.does("replay", "--to", "then.db")
    doctor = await made.told("doctor")
    assert [one for one in doctor["findings"] if one["level"] == "bad"] == [], doctor


async def _is_asked_directly(made: System) -> None:
    """What other programs ask, and the snapshots, for which a log must be long."""
    async with made.permitted.connected("reader") as reader:
        answer = json.loads((await reader.request("rpc.modelog.query.models", b"{}")).data)
        assert {one["id"] for one in answer["items"]} == {"m0", "m1", "m2"}
        health = json.loads((await reader.request("rpc.modelog.query.health", b"{}")).data)
        assert health["items"]
        info = json.loads((await reader.request("$SRV.STATS.modelog", b"", timeout=5)).data)
        assert info["name"] == "modelog"
    catalogue = DataDirectory(made.folder / ".modelog").catalogue
    elsewhere = DataDirectory(made.folder / "elsewhere")
    elsewhere.catalogue.parent.mkdir()
    async with made.permitted.connected("projector") as projector:
        # the third one takes the place of the first
        for _ in range(3):
            await snapshot(projector, catalogue, clocks.system())
        begun = await restored(projector, elsewhere.catalogue)
        assert begun is not None
        begun.close()


async def _works_alone(made: System) -> None:
    """Commands that do themselves what no process is there to do."""
    await made.does("rebuild")
    await made.does("verify")
    answer = await made.does("providers", "refresh", "acme", code=4)
    assert "no refresher answers" in answer.err


async def test_restore_is_let_in_for_as_long_as_it_takes(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    with permitting(tmp_path / "old") as old, permitting(tmp_path / "new") as new:
        config = tmp_path / "modelog.toml"
        config.write_text("providers = []\n" + old.section())
        assert modelog("init", cwd=tmp_path).code == 0
        async with spawned(tmp_path, "run", "refresher") as refresher:
            await _stopped(refresher)
        assert modelog("backup", "log.jsonl.gz", cwd=tmp_path).code == 0

        config.write_text("providers = []\n" + new.section())
        refused = modelog("restore", "log.jsonl.gz", cwd=tmp_path)
        assert (refused.code, "refuses the role restore" in refused.err) == (4, True)
        new.let_restore_in()
        answer = modelog("restore", "log.jsonl.gz", cwd=tmp_path)
        assert answer.code == 0, answer.err
        watched = modelog("watch", "--since", 0, "--no-follow", "--json", cwd=tmp_path)

        assert "service.started" in watched.out
        assert old.violations() + new.violations() == []


async def _stopped(process: Process) -> None:
    await process.line(" ready ")
    assert await process.stop() == 0
