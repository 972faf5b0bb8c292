from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from services.group import Group
from services.supervisor import Child, Supervisor
from tests.support.nats import until

pytestmark = pytest.mark.process


async def _lines(path: Path, count: int) -> list[str]:
    """Wait until *path* holds *count* lines."""
    await until(lambda: len(_read(path)) >= count)
    return _read(path)


def _read(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _writer(path: Path) -> list[str]:
    """Return a command that writes its pid into *path* and then waits."""
    program = (
        "import os, sys, time\n"
        f"open({str(path)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        "print('here I am', flush=True)\n"
        "time.sleep(60)\n"
    )
    return [sys.executable, "-I", "-S", "-c", program]


async def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    group = await Group.start()
    supervisor = Supervisor(group)
    supervisor.keep(Child("worker", _writer(tmp_path / "pids")))
    first = int((await _lines(tmp_path / "pids", 1))[0])
    os.kill(first, signal.SIGKILL)
    pids = [int(line) for line in await _lines(tmp_path / "pids", 2)]
    await supervisor.stop("worker")
    await group.stop()

    assert len(set(pids)) == 2
    assert not any(_alive(pid) for pid in pids)


async def test_lines_of_a_child_stand_behind_its_name(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as sink:
        group = await Group.start()
        supervisor = Supervisor(group, out=sink.fileno())
        supervisor.keep(Child("worker", _writer(tmp_path / "pids")))
        lines = await _lines(out, 1)
        await supervisor.stop("worker")
        await group.stop()

    assert lines[0] == "worker         | here I am"


@pytest.mark.chaos
async def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = ["-I", "-S", "-c", (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        "time.sleep(60)\n"
    )]  # fmt: skip
    group = await Group.start()
    supervisor = Supervisor(group)
    supervisor.keep(Child("deaf", [sys.executable, *deaf]))
    pid = int((await _lines(tmp_path / "pids", 1))[0])
    await supervisor.stop("deaf")
    await group.stop()

    assert not _alive(pid)


async def test_the_group_ends_within_two_seconds_when_its_maker_is_killed(tmp_path: Path) -> None:
    maker = (
        "import asyncio\n"
        "from services.group import Group\n"
        "from services.supervisor import Child, Supervisor\n"
        "async def main():\n"
        "    group = await Group.start()\n"
        "    supervisor = Supervisor(group)\n"
        f"    supervisor.keep(Child('worker', {_writer(tmp_path / 'pids')!r}))\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", maker)
    pid = int((await _lines(tmp_path / "pids", 1))[0])
    group = os.getpgid(pid)
    process.kill()
    await process.wait()
    await until(lambda: not _alive(pid) and not _alive(group), seconds=2)
