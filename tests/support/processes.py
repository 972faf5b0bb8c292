"""Our processes as users run them: their lines, their end, and how they are killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.cli import COMMAND, environment


class Process:
    """A command that runs; `lines` are what it has written so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.lines: list[str] = []
        self._process = process
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    async def line(self, *words: str, count: int = 1, seconds: float = 20) -> str:
        """Wait until *count* lines hold all of *words*, and return the last of these."""
        try:
            async with asyncio.timeout(seconds), self._news:
                while len(found := self._found(words)) < count:
                    if self._reader.done():
                        raise AssertionError(f"it ended without {words}:\n{self.text}")
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{words} never came:\n{self.text}") from None
        return found[count - 1]

    def _found(self, words: tuple[str, ...]) -> list[str]:
        return [line for line in self.lines if all(word in line for word in words)]

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            async with self._news:
                self.lines.append(line.decode().rstrip("\n"))
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self, seconds: float = 15) -> int:
        """Wait for its end, and for its last line; return its exit code."""
        async with asyncio.timeout(seconds):
            code = await self._process.wait()
            await self._reader
        return code

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.send(number)
        return await self.ended()

    async def kill(self) -> None:
        """Kill it with SIGKILL, and wait until it is gone."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._reader.cancel()
        await asyncio.wait([self._reader])


@asynccontextmanager
async def spawned(
    cwd: Path, *arguments: object, env: Mapping[str, str] = {}
) -> AsyncIterator[Process]:
    """A command, killed at the end of the block if it still runs then."""
    process = Process(
        await asyncio.create_subprocess_exec(
            *COMMAND,
            *map(str, arguments),
            cwd=cwd,
            env=environment(**env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    )
    try:
        yield process
    finally:
        await process.kill()


def alive(pid: int) -> bool:
    """Tell whether a process runs, and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def descendants(pid: int) -> dict[int, str]:
    """Return the command line of every process below *pid*, by its id."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(stat[1])
    found: dict[int, str] = {}
    for one in sorted(parents):
        above: int | None = one
        while above is not None and above != pid:
            above = parents.get(above)
        if above == pid and one != pid:
            with suppress(OSError):
                line = Path(f"/proc/{one}/cmdline").read_bytes()
                found[one] = line.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
