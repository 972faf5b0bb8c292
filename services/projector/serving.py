"""The generation that readers get, kept at the end of the log, and its successor when there is one.

A successor is built when it is asked for, and by itself where the file that serves is of another
projection or another log, damaged or gone.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

from projections.database import Generation, create
from projections.generations import delete, number, others, serving
from projections.upkeep import damage
from services.jetstream.connect import Client
from services.logs import say
from services.projector.projecting import Projecting
from services.projector.rebuild import build, discard, lines, opened, succeed
from services.projector.watch import watch

GRACE_SECONDS = 60.0
"""How long a retired generation is kept, for those who were just opening it."""


class NotNow(Exception):
    """No rebuild can be begun: another one is on its way, or the projector is just starting."""


class Serving:
    """Keeps the catalogue at *link*; there is one at a time, which holds the projector's lock."""

    def __init__(
        self,
        nc: Client,
        link: Path,
        *,
        grace: float = GRACE_SECONDS,
        begun: Generation | None = None,
    ) -> None:
        """Nothing is opened yet, but a generation *begun* with a snapshot, where there is one."""
        self._nc = nc
        self._link = link
        self._grace = grace
        self._begun = begun
        self._live: Projecting | None = None
        self._ordered: int | None = None
        self._built: asyncio.Queue[Projecting] = asyncio.Queue()
        self._building: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def run(self, ready: Callable[[], Awaitable[None]]) -> None:
        """Keep the catalogue for ever; *ready* is called when it has first caught up.

        Raises NotACatalogue, CannotWrite, and what following raises.
        """
        told, reason = False, ""
        try:
            while True:
                try:
                    self._live = await self._opened(reason)
                    reason = ""
                    if not told:
                        told = True
                        await ready()
                    await self._keep()
                except sqlite3.DatabaseError as error:
                    if reason or not damage(error):
                        raise
                    reason = f"the catalogue is damaged: {error}"
                finally:
                    await self._close()
        finally:
            for task in self._retiring:
                task.cancel()

    def order(self) -> int:
        """Begin a rebuild, and return the number of the generation to come; raises NotNow."""
        if self._ordered is not None:
            raise NotNow(f"generation {self._ordered} is being built already")
        if self._live is None:
            raise NotNow("the projector is just opening the catalogue; ask again")
        old = self._live.generation
        self._ordered = old.number + 1
        self._building = asyncio.create_task(self._build(old))
        return self._ordered

    async def _opened(self, reason: str) -> Projecting:
        """Open what serves, or what will, and fill it."""
        begun, self._begun = self._begun, None
        generation = begun or await opened(self._nc, self._link, reason)
        try:
            if generation.reason:
                self._ordered = generation.number
                say(
                    "rebuilds",
                    level=logging.WARNING,
                    generation=generation.number,
                    reason=generation.reason,
                )
            live = await Projecting.begin(self._nc, generation)
            await live.fill(lines(generation.number))
            self._serve(generation)
        except BaseException:
            generation.close()
            raise
        return live

    def _serve(self, generation: Generation) -> None:
        """Let *generation* serve; what served before is deleted after the grace period."""
        generation.serve()
        self._ordered = None
        retired = [
            one for one in others(self._link, generation.path) if number(one) < generation.number
        ]
        if retired:
            say("serves", generation=generation.number)
            task = asyncio.create_task(self._retire(retired))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, retired: list[Path]) -> None:
        await asyncio.sleep(self._grace)
        for path in retired:
            if path != serving(self._link):
                delete(path)
                say("deleted", file=path.name)

    async def _build(self, old: Generation) -> None:
        """Build a successor; where that fails, the old one goes on."""
        generation = create(self._link, old.path, "asked for")
        say("rebuilds", generation=generation.number, reason=generation.reason)
        try:
            self._built.put_nowait(await build(self._nc, generation, lines(generation.number)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the old one goes on
            self._failed(generation, error)

    def _failed(self, generation: Generation, error: Exception) -> None:
        self._ordered = None
        say(
            "rebuild failed",
            level=logging.ERROR,
            generation=generation.number,
            error=f"{type(error).__name__}: {error}",
        )

    async def _keep(self) -> None:
        """Follow, and change over to every successor; return when the file is lost."""
        while self._live is not None:
            following = asyncio.create_task(self._live.follow())
            watching = asyncio.create_task(watch(self._live.generation))
            succeeding = asyncio.create_task(self._built.get())
            tasks = (following, watching, succeeding)
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            successor = None if succeeding.cancelled() else succeeding.result()
            if not following.cancelled():
                if successor is not None:
                    discard(successor.generation)
                following.result()
            if successor is not None:
                await self._change(self._live, successor)
            elif not watching.cancelled():
                watching.result()
                return

    async def _change(self, old: Projecting, new: Projecting) -> None:
        """Let *new* take the place of *old*, unless it must not."""
        try:
            await succeed(self._nc, old, new)
        except BaseException as error:
            discard(new.generation)
            if not isinstance(error, Exception) or (
                isinstance(error, sqlite3.DatabaseError) and damage(error)
            ):
                raise
            self._failed(new.generation, error)
            return
        self._live = new
        old.generation.close()
        self._serve(new.generation)

    async def _close(self) -> None:
        """Close what is open, and give up what is being built."""
        if self._building is not None:
            self._building.cancel()
            await asyncio.wait([self._building])
            self._building = None
        while not self._built.empty():
            discard(self._built.get_nowait().generation)
        if self._live is not None:
            self._live.generation.close()
        self._live, self._ordered = None, None
