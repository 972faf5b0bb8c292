"""Everything on this machine, started by the real command line."""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from services.directory import DataDirectory
from tests.support.cli import COMMAND, environment, modelog
from tests.support.nats import until

pytestmark = [pytest.mark.nats, pytest.mark.process]

NO_PROVIDERS = "providers = []\n[enrichment]\nsources = []\n"


@asynccontextmanager
async def started(cwd: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that goes on, ended with the block however it behaves."""
    with (cwd / "out.txt").open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, cwd=cwd, env=environment(), stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(15):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def ended(process: asyncio.subprocess.Process, number: signal.Signals) -> int:
    process.send_signal(number)
    async with asyncio.timeout(10):
        return await process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_up_runs_everything_and_stops_in_order(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "modelog.toml").write_text(NO_PROVIDERS)
    directory = DataDirectory(tmp_path / ".modelog")
    async with started(tmp_path, "up") as process:
        await until(lambda: told(tmp_path).count(" ready ") == 3, 30)
        second = await asyncio.to_thread(modelog, "up", cwd=tmp_path)
        status = await asyncio.to_thread(modelog, "status", "--json", cwd=tmp_path)
        refreshed = await asyncio.to_thread(modelog, "providers", "refresh", "nobody", cwd=tmp_path)
        code = await ended(process, number)

    assert second.code == 1
    assert f"in use by process {process.pid}" in second.err
    assert status.json["server"]["url"].startswith("nats://127.0.0.1:")
    assert refreshed.code == 3
    assert code == 0
    assert directory.live_url() is None
    assert not directory.url_file.exists()


def told(folder: Path) -> str:
    return (folder / "out.txt").read_text()


@pytest.mark.chaos
@pytest.mark.timeout(120)
def test_the_demo_plays_and_what_it_names_works_afterwards(tmp_path: Path) -> None:
    answer = modelog("demo", "--speed", 12, cwd=tmp_path)
    tries = re.findall(r"^  \S*modelog (.+)$", answer.out, re.MULTILINE)

    assert answer.code == 0
    assert len(tries) == 3
    for command in tries:
        tried = modelog(*shlex.split(command), cwd=tmp_path)
        assert (command, tried.code) == (command, 0)
        assert tried.out
    assert DataDirectory(tmp_path / ".modelog-demo").live_url() is None


def test_the_demo_leaves_the_directory_of_others_alone(tmp_path: Path) -> None:
    modelog("init", "--data", "mine", cwd=tmp_path)
    before = sorted((tmp_path / "mine").rglob("*"))
    answer = modelog("demo", "--data", "mine", cwd=tmp_path)

    assert answer.code == 1
    assert "belongs to `modelog up`" in answer.err
    assert [path for path in before if not path.exists()] == []
    assert not (tmp_path / "mine" / "demo.toml").exists()


async def test_a_demo_that_is_interrupted_ends_everything(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / ".modelog-demo")
    async with started(tmp_path, "demo") as process:
        await until(directory.url_file.exists, 30)
        code = await ended(process, signal.SIGINT)

    assert code == 130
    assert directory.live_url() is None
    with directory.lock():
        pass
