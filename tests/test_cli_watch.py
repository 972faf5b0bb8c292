from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from events.models import ModelAdded
from events.record import ModelRecord
from services.cli.tail import Placed, merged
from services.directory import DataDirectory
from services.jetstream.append import Log
from services.jetstream.read import Stored
from tests.support.cli import COMMAND, environment, modelog, on_terminal
from tests.support.logs import FACTS_TOLD, HOSTILE, sealed, stored_log, tell
from tests.support.nats import Servers, connected

pytestmark = [pytest.mark.nats, pytest.mark.process]

KEYS = ["stream", "seq", "subject", "recorded_at", "id", "correlationid", "event"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose data directory holds a log, and no server."""
    folder = tmp_path_factory.mktemp("kept")
    stored_log(folder / ".modelog")
    return folder


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_the_stored_log_is_watched_without_a_server(kept: Path, tmp_path: Path) -> None:
    folder = copied(kept, tmp_path)
    answer = modelog("watch", "--since", 0, "--json", cwd=folder)

    told = lines(answer.out)
    facts = [one for one in told if one["stream"] == "MODELOG"]
    assert answer.code == 0
    assert "nothing follows" in answer.err
    assert [one["seq"] for one in facts] == list(range(1, FACTS_TOLD + 1))
    assert [one["seq"] for one in told if one["stream"] == "MODELOG_AUDIT"] == list(range(1, 9))
    assert all(list(one) == KEYS for one in told)
    assert told == sorted(told, key=lambda one: one["recorded_at"])
    assert facts[1]["subject"] == "modelog.model.acme.added.gpt-4=2E1"
    assert facts[1]["correlationid"] == "run-1"
    assert facts[1]["event"]["model"]["prices"] == {"input": "3", "output": "12"}
    assert facts[3]["event"]["model"]["id"] == HOSTILE.id
    assert told[0]["subject"] == "modelog.audit.refresh.acme.started"


@pytest.mark.parametrize(
    ("pattern", "since", "seqs"),
    [
        ("modelog.model.>", "0", [2, 4, 5, 6, 7]),
        ("modelog.model.*.removed.>", "2026-01-01", [7]),
        ("modelog.model.acme.updated.gpt-4=2E1", "0", [5]),
        ("modelog.capability.*.gained.chat.>", "0", [3]),
        ("modelog.provider.>", "0", [1]),
        ("modelog.model.>", "4", [5, 6, 7]),
        ("modelog.model.>", "7", []),
        ("modelog.model.>", "2026-01-01T00:00:01Z", [5, 6, 7]),
        ("modelog.model.>", "2026-02-28", [7]),
        ("modelog.model.>", "1d", []),
        ("modelog.audit.>", "0", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("modelog.audit.>", "2026-01-15", [5, 6, 7, 8]),
        ("modelog.audit.*.*.succeeded", "4", [4, 6, 8]),
        ("modelog.audit.discovery.>", "0", []),
    ],
)
def test_a_pattern_and_a_moment_choose(
    pattern: str, since: str, seqs: list[int], kept: Path, tmp_path: Path
) -> None:
    folder = copied(kept, tmp_path)
    answer = modelog("watch", pattern, "--since", since, "--no-follow", "--json", cwd=folder)

    assert (answer.code, answer.err) == (0, "")
    assert [one["seq"] for one in lines(answer.out)] == seqs


def test_people_get_a_sentence_an_event(kept: Path, tmp_path: Path) -> None:
    folder = copied(kept, tmp_path)
    answer = modelog("watch", "modelog.model.>", "--since", 0, "--no-follow", cwd=folder)

    since = "missing since 2026-02-01 00:00:00"
    assert answer.out.splitlines() == [
        "2026-01-01 00:00:01  model.added            acme/gpt-4.1  128k tokens, $3 in, $12 out",
        "2026-01-01 00:00:01  model.added            acme/evil\\x1b[31m/m:1",
        "2026-02-01 00:00:00  model.updated          acme/gpt-4.1  prices.input 3 → 2.5",
        "2026-02-01 00:00:00  model.missing          acme/evil\\x1b[31m/m:1  not in the list",
        f"2026-03-01 00:00:00  model.removed          acme/evil\\x1b[31m/m:1  delisted; {since}",
    ]


def test_a_terminal_gets_lines_that_fit_and_nothing_is_cut(kept: Path, tmp_path: Path) -> None:
    folder = copied(kept, tmp_path)
    screen = on_terminal("watch", "--since", 0, "--no-follow", cwd=folder)

    assert screen.code == 0
    assert max(map(len, screen.lines)) < 80
    assert "evil\\x1b[31m/m:1 delisted; missing since 2026-02-01 00:00:00" in " ".join(
        screen.text.split()
    )
    assert "evil\x1b" not in screen.raw


def test_without_a_server_there_is_nothing_live(tmp_path: Path) -> None:
    answer = modelog("watch", cwd=tmp_path)

    assert answer.code == 4
    assert "no server runs on" in answer.err
    assert not (tmp_path / ".modelog").exists()


def test_without_a_log_there_is_no_past(tmp_path: Path) -> None:
    answer = modelog("watch", "--since", "7d", cwd=tmp_path)

    assert answer.code == 4
    assert "there is no log" in answer.err
    assert not (tmp_path / ".modelog").exists()


def test_a_sequence_that_is_not_there_yet_is_refused(kept: Path, tmp_path: Path) -> None:
    answer = modelog("watch", "--since", 999, "--no-follow", cwd=copied(kept, tmp_path))

    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith("--since: the log ends before sequence 999; ")


def test_a_directory_in_use_is_not_read_behind_its_holders_back(kept: Path, tmp_path: Path) -> None:
    folder = copied(kept, tmp_path)
    with DataDirectory(folder / ".modelog").lock():
        answer = modelog("watch", "--since", 0, cwd=folder)

    assert answer.code == 1
    assert "in use by process" in answer.err


@pytest.mark.chaos
def test_credentials_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    url = 'url = "nats://127.0.0.1:1"'
    (tmp_path / "modelog.toml").write_text(f'[nats]\n{url}\ncredentials = {{ file = "/no/such" }}')
    answer = modelog("watch", cwd=tmp_path)

    assert answer.code == 1
    assert answer.err == "nats.credentials: file /no/such: No such file or directory\n"


def test_a_url_where_nobody_listens_is_named(tmp_path: Path) -> None:
    env = {"MODELOG_NATS_URL": "nats://127.0.0.1:1"}
    answer = modelog("watch", cwd=tmp_path, env=env)

    assert answer.code == 4
    assert "no NATS server at nats://127.0.0.1:1" in answer.err


def test_a_server_that_says_nothing_is_told_as_one_without_an_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"nats://127.0.0.1:{silent.getsockname()[1]}"
        answer = modelog("watch", cwd=tmp_path, env={"MODELOG_NATS_URL": url})

    assert answer.code == 4
    assert f"no NATS server at {url} (no answer); start one" in answer.err


class Watching:
    """A watch that goes on."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            line = await self._process.stdout.readline()
        return dict(json.loads(line))

    async def seqs(self, count: int) -> list[int]:
        return [(await self.line())["seq"] for _ in range(count)]

    async def interrupted(self) -> tuple[int, str]:
        """End it by Ctrl-C; return its exit code, and what it printed besides."""
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            out, _ = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, out.decode()


@asynccontextmanager
async def watching(url: str, cwd: Path, *arguments: str) -> AsyncIterator[Watching]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "watch",
        *arguments,
        "--json",
        cwd=cwd,
        env=environment(MODELOG_NATS_URL=url),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Watching(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def add(log: Log, first: int, count: int) -> None:
    facts = [
        ModelAdded(
            at="2026-04-01T00:00:00.000Z",
            provider="acme",
            model=ModelRecord(id=f"m{number}", name=f"m{number}"),
        )
        for number in range(first, first + count)
    ]
    expected = await log.last("model", "acme")
    await log.append(sealed(facts), family="model", provider="acme", expected=expected)


async def test_past_and_present_join_without_gap_or_double(
    servers: Servers, tmp_path: Path
) -> None:
    async with connected(servers.url) as nc:
        await tell(nc)
        log = await Log.open(nc)
        async with watching(servers.url, tmp_path, "modelog.model.>", "--since", "0") as watch:
            for number in range(0, 300, 10):
                await add(log, number, 10)
            seqs = await watch.seqs(5 + 300)
            ended = await watch.interrupted()

    assert seqs == [2, 4, 5, 6, 7, *range(8, 308)]
    assert ended == (0, "")


async def test_a_server_that_restarts_makes_no_gap(servers: Servers, tmp_path: Path) -> None:
    async with connected(servers.url) as nc:
        await tell(nc)
        log = await Log.open(nc)
        async with watching(servers.url, tmp_path, "modelog.model.>", "--since", "6") as watch:
            before = await watch.seqs(1)
            await servers.kill()
            await servers.start()
            await add(log, 0, 3)
            await add(log, 3, 3)
            after = await watch.seqs(6)
            ended = await watch.interrupted()

    assert before == [7]
    assert after == [8, 9, 10, 11, 12, 13]
    assert ended == (0, "")


async def test_without_a_past_only_the_present_is_told(servers: Servers, tmp_path: Path) -> None:
    async with connected(servers.url) as nc:
        await tell(nc)
        log = await Log.open(nc)
        async with watching(servers.url, tmp_path, "modelog.model.>") as watch:
            first = asyncio.create_task(watch.line())
            for number in range(100):
                if first.done():
                    break
                await add(log, number, 1)
                await asyncio.wait([first], timeout=0.1)
            told = await first
            ended = await watch.interrupted()

    assert told["seq"] > 7
    assert told["subject"].startswith("modelog.model.acme.added.m")
    assert ended[0] == 0


async def test_a_reader_that_has_enough_ends_it_in_silence(
    servers: Servers, tmp_path: Path
) -> None:
    async with connected(servers.url) as nc:
        await tell(nc)
    command = f"{sys.executable} -m services.cli watch --since 0 | head -n 1"
    process = await asyncio.create_subprocess_shell(
        f"set -o pipefail; {command}",
        executable="/bin/bash",
        cwd=tmp_path,
        env=environment(MODELOG_NATS_URL=servers.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with connected(servers.url) as nc:
        log = await Log.open(nc)
        ended = asyncio.create_task(process.communicate())
        for number in range(200):
            await asyncio.wait([ended], timeout=0.1)
            if ended.done():
                break
            await add(log, number, 1)
    out, err = await ended

    assert process.returncode == 0
    assert out.count(b"\n") == 1
    assert err == b""


def copied(kept: Path, target: Path) -> Path:
    """Return a copy of *kept* of its own, for the directory is locked while it is read."""
    shutil.copytree(kept, target, dirs_exist_ok=True)
    return target


async def test_streams_are_merged_by_time_and_each_keeps_its_order() -> None:
    async def reader(stream: str, *pages: list[tuple[int, int]]) -> AsyncIterator[list[Placed]]:
        for page in pages:
            yield [Placed(stream, Stored(seq, "", at, {}, b"")) for seq, at in page]

    facts = reader("F", [(1, 10), (2, 30)], [(3, 20), (4, 50)])
    audit = reader("A", [], [(1, 5), (2, 25)], [(3, 60)])
    found = [(one.stream, one.stored.seq) async for page in merged([facts, audit]) for one in page]

    assert found == [
        ("A", 1), ("F", 1), ("A", 2), ("F", 2), ("F", 3), ("F", 4), ("A", 3)
    ]  # fmt: skip
