"""Read, fold, repeat: both streams into one catalogue, each at its own pace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

from events.envelope import Stored
from events.subjects import STREAMS
from projections.fold import Folder
from services.jetstream.connect import Client
from services.jetstream.read import follow as subscribe
from services.jetstream.read import info
from services.projector.boundaries import Intake

ENOUGH = 1_000
"""Events of one transaction, while there is more to catch up with."""
ROOM = 4_000
"""Events that wait to be folded, beyond which reading waits: the bound of the memory."""
PAUSE = 0.1
"""Seconds without input after which a smaller transaction is made."""

Progress = Callable[[Mapping[str, int]], None]
"""Told the sequence of each stream up to which the catalogue is, after every transaction."""


class Follower:
    """Keeps a catalogue at the end of the log; `at` has the last sequence folded of each stream."""

    def __init__(self, nc: Client, folder: Folder, after: Mapping[str, int]) -> None:
        """Continue behind *after*, the checkpoint of each stream."""
        self._nc = nc
        self._folder = folder
        self._intakes: dict[str, Intake] = {}
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._failed: BaseException | None = None
        self.at = {stream: after.get(stream, 0) for stream in STREAMS}

    async def run(
        self,
        target: Mapping[str, int],
        *,
        stop: bool = False,
        exact: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Follow the log for ever; with *stop*, until *target* is reached, a sequence a stream.

        What is folded ends where a batch does, at *target* or behind it: a sequence that was asked
        of the server may lie within a batch that it was just storing. *exact* ends at *target*
        itself, for a catalogue that nobody goes on with.
        Raises what reading and folding raise: a gap, a torn batch, an event that does not decode
        or apply. The checkpoint then stands before the transaction that failed.
        """
        if stop:
            target = {
                stream: seq
                for stream, seq in target.items()
                if (await info(self._nc, stream)).first_seq <= seq  # else age took it all
            }
        async with AsyncExitStack() as stack:
            for stream in STREAMS:
                intake = self._intakes[stream] = Intake(stream)
                subscription = await subscribe(
                    self._nc,
                    stream,
                    after=self.at[stream],
                    handle=partial(self._handle, intake),
                    on_failure=self._fail,
                )
                stack.push_async_callback(subscription.stop)
            while not (stop and not self._behind(target)):
                await self._wait(target)
                self._fold(target if exact else {})
                if progress is not None:
                    progress(self.at)
                self._room.set()

    def _handle(self, intake: Intake, stored: Stored) -> Awaitable[None] | None:
        intake.add(stored)
        self._wake.set()
        if len(intake) < ROOM:
            return None
        self._room.clear()
        return self._folded()

    async def _folded(self) -> None:
        await self._room.wait()

    def _fail(self, error: BaseException) -> None:
        self._failed = error
        self._wake.set()

    def _behind(self, target: Mapping[str, int], *, waiting: bool = False) -> bool:
        """Tell whether *target* is not reached; with *waiting*, by what waits to be folded."""
        return any(
            self.at[stream] + (len(self._intakes[stream]) if waiting else 0) < seq
            for stream, seq in target.items()
        )

    async def _wait(self, target: Mapping[str, int]) -> None:
        """Return when there is something to fold; when behind, when it is worth a transaction."""
        while self._failed is None:
            self._wake.clear()
            waiting = max(len(intake) for intake in self._intakes.values())
            if waiting and (waiting >= ENOUGH or not self._behind(target, waiting=True)):
                return
            try:  # wait_for would make a task every time
                async with asyncio.timeout(PAUSE if waiting else None):
                    await self._wake.wait()
            except TimeoutError:
                return
        raise self._failed

    def _fold(self, limits: Mapping[str, int]) -> None:
        for stream, intake in self._intakes.items():
            batch = intake.take()
            if (limit := limits.get(stream)) is not None and batch and batch[-1].seq > limit:
                batch = [stored for stored in batch if stored.seq <= limit]
            if batch:
                self._folder.fold(stream, batch)
                self.at[stream] = batch[-1].seq
