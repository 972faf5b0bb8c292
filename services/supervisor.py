"""Starts the processes, starts one that died again, and stops them in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from services import clock
from services.config import environment
from services.group import Group
from services.logs import say

STOP = 3.5
"""Seconds that a child has to end after SIGTERM, before it is killed."""
SHORTEST, LONGEST = 0.5, 30.0
"""Seconds before a child that died is started again: doubling, with full jitter."""
STEADY = 60.0
"""Seconds after which a child counts as well again."""


class Child(NamedTuple):
    """A process to keep running: its name, its command line, what its environment has besides."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = {}


class Supervisor:
    """Keeps children running until it is told to stop them."""

    def __init__(self, group: Group, *, out: int | None = None) -> None:
        """Write the children's lines to the file descriptor *out*, stderr by default."""
        self._group = group
        self._out = sys.stderr.fileno() if out is None else out
        self._kept: dict[str, asyncio.Task[None]] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}

    def keep(self, child: Child) -> None:
        """Start *child*, and start it again whenever it dies."""
        self._kept[child.name] = asyncio.create_task(self._keep(child))

    def pids(self) -> dict[str, int]:
        """Return the process ids of the children that run now."""
        return {name: process.pid for name, process in self._running.items()}

    def reload(self) -> None:
        """Let every child read the configuration again."""
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGHUP)

    async def stop(self, name: str) -> None:
        """End one child: SIGTERM, and SIGKILL after `STOP` seconds."""
        if (task := self._kept.pop(name, None)) is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _keep(self, child: Child) -> None:
        wait = SHORTEST
        while True:
            began = _now()
            code = await self._once(child)
            if _now() - began > STEADY:
                wait = SHORTEST
            pause = clock.uniform(wait / 2, wait)
            say("restarts", level=logging.WARNING, process=child.name, code=code, seconds=pause)
            await asyncio.sleep(pause)
            wait = min(2 * wait, LONGEST)

    async def _once(self, child: Child) -> int:
        process = await asyncio.create_subprocess_exec(
            *child.command,
            env={**environment(), **child.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            process_group=self._group.id,
        )
        self._running[child.name] = process
        pump = asyncio.create_task(self._pump(child.name, process.stdout))
        try:
            return await process.wait()
        finally:
            await asyncio.shield(_end(process))
            await asyncio.wait([pump], timeout=1)
            pump.cancel()
            del self._running[child.name]

    async def _pump(self, name: str, stream: asyncio.StreamReader | None) -> None:
        """Copy the child's lines, each behind the child's name."""
        prefix = f"{name:<14} | ".encode()
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:
                line = b"(a line too long to show)\n"
            if not line:
                return
            os.write(self._out, prefix + line)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP)
    except TimeoutError:
        say("killed", level=logging.WARNING, pid=process.pid)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _now() -> float:
    """Real seconds, also in the demo: a child that dies does so in real time."""
    return asyncio.get_running_loop().time()
