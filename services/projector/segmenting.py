"""Keep segments of the log in another place: what came, every so often, and soon where it is much.

A disk that is full or away stops no projector: it is said, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

from events.base import elapsed
from services.clock import Clock
from services.directory import DataDirectory, DirectoryHeld
from services.jetstream.api import ApiError, NoAnswer
from services.jetstream.connect import Client
from services.jetstream.cutting import MOST, Cutter, ForeignSegments, cutters
from services.logs import say

EVERY_SECONDS = 900.0
"""A segment at least so often, where anything has come."""
LOOK_SECONDS = 5.0


async def segment(  # noqa: PLR0913 - one argument a choice
    nc: Client,
    folder: Path,
    clock: Clock,
    *,
    most: int = MOST,
    every_seconds: float = EVERY_SECONDS,
    look_seconds: float = LOOK_SECONDS,
) -> None:
    """Cut both streams into *folder*, for ever; only one process at a time may.

    Raises ForeignSegments where it holds those of another log or somebody else writes there,
    BadArchive where they are damaged, HistoryChanged, GapInLog and OutOfOrder where the log is.
    """
    try:
        with DataDirectory(folder).lock():
            streams = [_Timed(one, clock, every_seconds) for one in await cutters(nc, folder)]
            while True:
                for stream in streams:
                    await _tried(stream.cut(most))
                await asyncio.sleep(look_seconds)
    except DirectoryHeld as held:
        raise ForeignSegments(
            f"{folder} is written by process {held.pid}; name another directory with --segments"
        ) from held


class _Timed:
    """Cuts one stream when it is time."""

    def __init__(self, cutter: Cutter, clock: Clock, every_seconds: float) -> None:
        self._cutter = cutter
        self._clock = clock
        self._every = every_seconds
        last = cutter.last
        age = (
            every_seconds if last is None else elapsed(last.written_at, clock.now()).total_seconds()
        )
        self._cut_at = clock.monotonic() - max(0.0, age)

    async def cut(self, most: int) -> None:
        pending = await self._cutter.pending()
        while pending >= most or (pending > 0 and self._due()):
            made = await self._cutter.cut(self._clock.now(), most)
            if made is None:
                return
            self._cut_at = self._clock.monotonic()
            say("segment", stream=made.stream, first=made.first, last=made.last)
            pending = await self._cutter.pending()

    def _due(self) -> bool:
        return self._clock.monotonic() - self._cut_at >= self._every


async def _tried(work: Awaitable[None]) -> None:
    try:
        await work
    except (OSError, NoAnswer, ApiError) as error:
        say("no segment", level=logging.WARNING, error=str(error))


@asynccontextmanager
async def segmenting(nc: Client, folder: Path | None, clock: Clock) -> AsyncIterator[None]:
    """Keep segments within the block, where *folder* is one; what fails ends the block."""
    if folder is None:
        yield
        return
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(segment(nc, folder, clock))
            yield
            task.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several
