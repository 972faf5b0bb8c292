"""Everything on one machine: what dies is started again, what is told to stop stops, whole."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from events.subjects import COMMAND, FACTS
from projections import Catalogue
from services.demo import faults
from services.demo.simulator import Simulator, Site
from services.directory import DataDirectory
from services.projector.replay import replay
from tests.support.catalogues import facts_alone, rows
from tests.support.cli import Answer, modelog
from tests.support.nats import connected, until
from tests.support.processes import Process, alive, descendants, kill, spawned
from tests.support.refreshing import audit, configuration, eventually, facts, recorded, table, told

pytestmark = [pytest.mark.nats, pytest.mark.process]

NAMES = {
    "nats-server": "nats-server.conf",
    "refresher": "run refresher",
    "health-monitor": "run health-monitor",
    "projector": "run projector",
}


class Up:
    """A system over one provider."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.folder = folder
        self.site = site
        self.file = folder / "modelog.toml"
        self.directory = DataDirectory(folder / ".modelog")
        self.file.write_text(configuration(table(site)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Process]:
        async with spawned(self.folder, "up") as process:
            for name in ("refresher", "projector", "health-monitor"):
                await process.line(" ready ", f"process={name}")
            try:
                yield process
            finally:
                left = descendants(process.pid)
                await process.kill()
                await until(lambda: not any(alive(pid) for pid in left), 4)

    async def ask(self, *words: str) -> Answer:
        return await asyncio.to_thread(modelog, *words, cwd=self.folder)

    async def refresh(self) -> None:
        answer = await self.ask("providers", "refresh", "acme")
        while answer.code == 4:  # it is just being started again
            answer = await self.ask("providers", "refresh", "acme")
        assert answer.code == 0, answer.err

    @asynccontextmanager
    async def log(self) -> AsyncIterator[Client]:
        url = self.directory.live_url()
        assert url is not None
        async with connected(url) as nc:
            yield nc

    def models(self) -> list[str]:
        with Catalogue.open(self.directory.catalogue) as catalogue:
            return [one.id for one in catalogue.by_provider("acme")]

    async def whole(self) -> None:
        """Make sure that each fact is there once, and that the catalogue is their fold."""
        async with self.log() as nc:
            found = [one for one in told(await facts(nc)) if one.startswith("added")]
            assert len(found) == len(set(found))
            seqs = [one.seq for one in await recorded(nc, FACTS, "log.>")]
            assert seqs == list(range(1, len(seqs) + 1))
            await eventually(lambda: self._replayed(nc), 20)

    async def _replayed(self, nc: Client) -> bool:
        """Tell whether the catalogue is a replay of the log as it is now: facts may still come."""
        fresh = self.folder / "fresh.db"
        await replay(nc, fresh, 1 << 40, lambda _done, _total: None)
        return facts_alone(rows(self.directory.catalogue)) == facts_alone(rows(fresh))


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[Up]:
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect="openrouter")
        site.models = ["a", "b"]
        yield Up(tmp_path, site)


def child(up: Process, name: str) -> int:
    """Return the process id of a child of *up*."""
    (pid,) = (pid for pid, line in descendants(up.pid).items() if NAMES[name] in line)
    return pid


async def test_up_fills_the_catalogue_from_the_providers(system: Up) -> None:
    async with system.running() as process:
        await until(lambda: system.models() == ["a", "b"])
        await system.whole()
        code = await process.stop()

    assert code == 0


@pytest.mark.chaos
async def test_what_was_stored_is_there_after_a_restart(system: Up) -> None:
    async with system.running() as process:
        await until(lambda: system.models() == ["a", "b"])
        async with system.log() as nc:
            before = await recorded(nc, FACTS, "log.>")
        assert await process.stop() == 0
    system.site.models = ["a", "b", "c"]
    async with system.running() as process:
        await until(lambda: system.models() == ["a", "b", "c"])
        async with system.log() as nc:
            after = await recorded(nc, FACTS, "log.>")
        await system.whole()
        assert await process.stop() == 0

    assert after[: len(before)] == before


@pytest.mark.chaos
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_up_stops_within_ten_seconds_also_while_a_provider_hangs(
    number: signal.Signals, system: Up
) -> None:
    async with system.running() as process:
        await until(lambda: system.models() == ["a", "b"])
        system.site.faults.always(faults.hang())
        asking = asyncio.create_task(system.ask("providers", "refresh", "acme"))
        await until(lambda: len(system.site.requests) == 2)
        pids = descendants(process.pid)
        process.send(number)
        code = await process.ended(10)
        answer = await asking

    assert code == 0
    assert answer.code != 0
    assert "Traceback" not in process.text + answer.err
    assert not any(alive(pid) for pid in pids)
    assert not system.directory.url_file.exists()


@pytest.mark.chaos
async def test_a_second_up_is_refused_and_a_dead_one_blocks_nobody(system: Up) -> None:
    async with system.running() as first:
        second = await system.ask("up")
        await first.kill()
    async with system.running() as process:
        await until(lambda: system.models() == ["a", "b"])
        assert await process.stop() == 0

    assert second.code == 1
    (line,) = second.err.strip().splitlines()
    assert f"in use by process {first.pid} " in line


async def test_when_up_is_killed_all_its_processes_end_within_two_seconds(system: Up) -> None:
    async with system.running() as process:
        pids = descendants(process.pid)
        await process.kill()
        await until(lambda: not any(alive(pid) for pid in pids), 2)

    assert len(pids) >= 4  # the guard of their group is one of them


@pytest.mark.chaos
@pytest.mark.parametrize("name", NAMES)
async def test_a_child_that_is_killed_is_started_again_and_nothing_is_lost(
    name: str, system: Up
) -> None:
    async with system.running() as process:
        await until(lambda: system.models() == ["a", "b"])
        first = child(process, name)
        system.site.models = ["a", "b", "c"]
        kill(first)
        await process.line("restarts", f"process={name}")
        await until(lambda: any(NAMES[name] in one for one in descendants(process.pid).values()))
        await system.refresh()
        system.site.models = ["a", "b", "c", "d"]
        await system.refresh()
        await until(lambda: system.models() == ["a", "b", "c", "d"], 20)
        second = child(process, name)
        await system.whole()
        code = await process.stop()

    assert first != second
    assert code == 0


@pytest.mark.chaos
async def test_a_run_cut_off_with_its_process_gets_its_outcome(system: Up) -> None:
    async with system.running() as process:
        await until(lambda: system.models() == ["a", "b"])
        system.site.faults.next(faults.hang())
        async with system.log() as nc:
            await nc.request(COMMAND + "refresh", b"{}", timeout=5)
            await until(lambda: len(system.site.requests) == 2)
            kill(child(process, "refresher"))
            await process.line("refreshed", count=2)
            events = await audit(nc, "audit.refresh.>")

    assert told(events) == ["started", "succeeded", "started", "failed", "started", "succeeded"]
    assert getattr(events[3], "error").class_ == "interrupted"  # noqa: B009 - of a union


async def test_sighup_reloads_and_a_broken_file_changes_nothing(system: Up) -> None:
    async with Simulator() as more, system.running() as process:
        other = more.provider("other", dialect="openai")
        other.models = ["o"]
        pids = descendants(process.pid)
        system.file.write_text(configuration(table(system.site, priority=2), table(other)))
        process.send(signal.SIGHUP)
        await process.line("refreshed", "provider=other")
        system.file.write_text(configuration(table(system.site), "priority = 'high'\n"))
        process.send(signal.SIGHUP)
        said = await process.line("not reloaded")
        with Catalogue.open(system.directory.catalogue) as catalogue:
            kept = [one.name for one in catalogue.providers()]
        system.file.write_text(configuration(table(other)))
        process.send(signal.SIGHUP)
        await process.line("unregistered", "provider=acme")

        async def registry() -> bool:
            answer = await system.ask("providers", "list", "--json")
            return [one["name"] for one in answer.json] == ["other"]

        await eventually(registry)
        async with system.log() as nc:
            subjects = [one.subject for one in await recorded(nc, FACTS, "log.provider.>")]
        assert descendants(process.pid).keys() == pids.keys()
        assert await process.stop() == 0

    assert "priority" in said
    assert kept == ["acme", "other"]
    assert [subject.removeprefix("log.provider.") for subject in subjects] == [
        "acme.registered",
        "acme.reconfigured",
        "other.registered",
        "acme.unregistered",
    ]


async def test_the_processes_are_in_a_group_of_their_own(system: Up) -> None:
    async with system.running() as process:
        groups = {os.getpgid(pid) for pid in descendants(process.pid)}
        ours = os.getpgid(process.pid)
        assert await process.stop() == 0

    assert len(groups) == 1
    assert groups != {ours}
