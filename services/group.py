"""A process group that does not outlive the process that made it.

Its guard reads from a pipe that only its maker holds: when the maker is gone, however it ended, the
pipe closes and the guard ends the group.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

GUARD = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
sys.stdin.buffer.read()
os.killpg(0, signal.SIGTERM)
time.sleep(1.2)
os.killpg(0, signal.SIGKILL)
"""


class Group:
    """A process group that does not outlive this process."""

    def __init__(self, guard: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self._guard = guard

    @classmethod
    async def start(cls) -> Group:
        """Start the guard that leads the group."""
        guard = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", GUARD),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            process_group=0,
        )
        return cls(guard)

    @property
    def id(self) -> int:
        """The group's id, for whoever starts a process in it."""
        return self._guard.pid

    async def stop(self) -> None:
        """End the guard; the other processes of the group were stopped before."""
        with suppress(ProcessLookupError):
            self._guard.kill()
        await self._guard.wait()
