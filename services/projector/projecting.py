"""A generation, and the follower that keeps it at the end of the log."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from events.subjects import STREAMS
from projections import checkpoint
from projections.database import Generation, finished
from projections.faults import CannotFold
from projections.fold import Folder
from projections.upkeep import damage
from services.jetstream.connect import Client
from services.jetstream.history import Mark, confirm
from services.jetstream.messages import GapInLog, info
from services.projector.boundaries import TornBatch
from services.projector.follow import ENOUGH, Follower

Advance = Callable[[int, int], None]
"""Told how many events of how many are folded."""

_REMEDIES = {
    sqlite3.SQLITE_FULL: "free some space on its disk",
    sqlite3.SQLITE_BUSY: "end the program that holds it locked",
    sqlite3.SQLITE_IOERR: "look after its disk, and what may be written to it",
}


class CannotWrite(Exception):
    """The catalogue takes nothing more: it is full, locked or out of reach."""

    def __init__(self, path: Path, error: sqlite3.Error) -> None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        remedy = _REMEDIES.get(code, "see whether this user may write it")
        super().__init__(
            f"cannot write {path} ({error}): {remedy}; nothing is lost, the next start goes on "
            "from the log"
        )


class Projecting:
    """One generation that is being written; `at` has the last sequence folded of each stream."""

    def __init__(self, nc: Client, generation: Generation, follower: Follower) -> None:
        self._nc = nc
        self.generation = generation
        self._follower = follower

    @classmethod
    async def begin(cls, nc: Client, generation: Generation) -> Self:
        """Go on where *generation* is; raises HistoryChanged where the log is not its log."""
        after = checkpoint.read(generation.db)
        for stream, done in after.items():
            await confirm(nc, stream, done.epoch, Mark(done.seq, done.event_id))
        epochs = {stream: (await info(nc, stream)).epoch for stream in STREAMS}
        with writing(generation):
            folder = Folder(generation.db, epochs)
        return cls(
            nc, generation, Follower(nc, folder, {name: one.seq for name, one in after.items()})
        )

    @property
    def at(self) -> Mapping[str, int]:
        """Return the last sequence folded of each stream."""
        return self._follower.at

    async def follow(self) -> None:
        """Follow the log for ever; raises what following raises, and CannotWrite."""
        with writing(self.generation):
            await self._follower.run({})

    async def reach(self, seqs: Mapping[str, int]) -> None:
        """Fold up to *seqs*, where batches end, and no further."""
        with writing(self.generation):
            await self._follower.run(seqs, stop=True, exact=True)

    async def catch_up(self, advance: Advance | None = None) -> None:
        """Fold until next to nothing is left of what was in the log when it was looked at."""
        left = ENOUGH + 1
        while left > ENOUGH:
            left = await self._catch_up(advance)

    async def _catch_up(self, advance: Advance | None) -> int:
        states = {stream: await info(self._nc, stream) for stream in STREAMS}
        target = {stream: state.last_seq for stream, state in states.items()}
        begun = {name: max(self.at[name], one.first_seq - 1) for name, one in states.items()}
        total = sum(max(0, target[stream] - begun[stream]) for stream in STREAMS)

        def progress(at: Mapping[str, int]) -> None:
            if advance is not None:
                done = sum(max(0, at[stream] - begun[stream]) for stream in STREAMS)
                advance(done, max(total, done))

        with writing(self.generation):
            await self._follower.run(target, stop=True, progress=progress)
        return total

    async def fill(self, advance: Advance | None = None) -> None:
        """Catch up, and have all that a reader needs; one begun in place of another is checked.

        Where the log cannot be followed to its end, and nothing serves, what came before serves.
        """
        try:
            await self.catch_up(advance)
        except (CannotFold, GapInLog, TornBatch):
            if not self.generation.link.exists():
                await self._complete()
                self.generation.serve()
            raise
        if finished(self.generation.db):
            return
        await self._complete()
        await self.catch_up(advance)

    async def _complete(self) -> None:
        with writing(self.generation):
            await apart(self.generation, self.generation.complete)
            if self.generation.reason:
                await apart(self.generation, self.generation.check)


@contextmanager
def writing(generation: Generation) -> Iterator[None]:
    """Raise CannotWrite for what SQLite says of a file that is not damaged."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if damage(error):
            raise
        raise CannotWrite(generation.path, error) from error


async def apart(generation: Generation, work: Callable[[], None]) -> None:
    """Do long *work* on *generation* in a thread, while nobody else touches it; cut off by need."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            generation.db.interrupt()  # in vain between two statements
            await asyncio.wait([task], timeout=0.05)
        if not task.cancelled():
            task.exception()
        raise
