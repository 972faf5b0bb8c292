"""The projector's wiring: the catalogue's file, the check of its past, and the follower."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from events.subjects import STREAMS
from projections import checkpoint, database
from projections.fold import Folder
from services.config import Config
from services.directory import DataDirectory
from services.jetstream.history import Mark, confirm
from services.jetstream.messages import info
from services.process import Host, serve
from services.projector.follow import Follower
from services.projector.queries import answering
from services.projector.segmenting import segmenting


async def run(
    config: Config,
    url: str,
    *,
    load: Callable[[], Config],  # noqa: ARG001
    segments: Path | None = None,
) -> None:
    """Keep the catalogue of *config*'s data directory at the end of the log until told to stop.

    With *segments*, a directory, the log is written there, too: services/jetstream/segments.py.
    Raises NoServer where nothing listens at *url*, and what stops a projector: NotACatalogue,
    HistoryChanged, GapInLog, TornBatch, BrokenEvent, MissingRow.
    """

    async def work(host: Host) -> None:
        path = DataDirectory(config.data).catalogue
        generation = database.open_writer(path)
        answers = AsyncExitStack()
        try:
            await answers.enter_async_context(answering(host.nc, path, host.clock))
            await answers.enter_async_context(segmenting(host.nc, segments, host.clock))
            after = checkpoint.read(generation.db)
            states = {stream: await info(host.nc, stream) for stream in STREAMS}
            for stream, done in after.items():
                await confirm(host.nc, stream, done.epoch, Mark(done.seq, done.event_id))
            epochs = {stream: state.epoch for stream, state in states.items()}
            folder = Folder(generation.db, epochs)
            follower = Follower(host.nc, folder, {name: done.seq for name, done in after.items()})
            target = {stream: state.last_seq for stream, state in states.items()}
            await follower.run(target, stop=True)
            generation.finish()
            await host.ready()
            await follower.run({})
        finally:
            await answers.aclose()
            generation.close()

    await serve("projector", config, url, work)
