"""The projector's wiring: the catalogue's file, the check of its past, and the follower."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from projections.fold import Folder

from events.subjects import STREAMS
from projections import checkpoint, database
from services.config import Config
from services.directory import DataDirectory
from services.jetstream.history import Mark, confirm
from services.jetstream.messages import info
from services.process import Host, serve
from services.projector.follow import Follower


async def run(config: Config, url: str, *, load: Callable[[], Config]) -> None:  # noqa: ARG001
    """Keep the catalogue of *config*'s data directory at the end of the log until told to stop.

    Raises NoServer where nothing listens at *url*, and what stops a projector: NotACatalogue,
    HistoryChanged, GapInLog, TornBatch, BrokenEvent, MissingRow.
    """

    async def work(host: Host) -> None:
        path = DataDirectory(config.data).catalogue
        db = database.open_writer(path)
        try:
            after = checkpoint.read(db)
            states = {stream: await info(host.nc, stream) for stream in STREAMS}
            for stream, done in after.items():
                await confirm(host.nc, stream, done.epoch, Mark(done.seq, done.event_id))
            folder = Folder(db, {stream: state.epoch for stream, state in states.items()})
            follower = Follower(host.nc, folder, {name: done.seq for name, done in after.items()})
            caught_up = asyncio.Event()
            telling = asyncio.create_task(_tell(host, caught_up))
            try:
                target = {stream: state.last_seq for stream, state in states.items()}
                await follower.run(target, caught_up=caught_up)
            finally:
                telling.cancel()
        finally:
            db.close()

    await serve("projector", config, url, work)


async def _tell(host: Host, caught_up: asyncio.Event) -> None:
    await caught_up.wait()
    await host.ready()
