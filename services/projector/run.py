"""The projector's wiring: its lock, the generation that serves, the queries, and the commands."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from events.requests import Rebuild, Rebuilding
from services.broker import Accept, CommandRefused, Commands
from services.config import Config
from services.directory import PROJECTOR_LOCK, DataDirectory
from services.process import Broker, Host, serve
from services.projector.queries import answering
from services.projector.segmenting import segmenting
from services.projector.serving import NotNow, Serving
from services.projector.snapshotting import restored, snapshotting


async def run(
    config: Config,
    url: str,
    *,
    load: Callable[[], Config],  # noqa: ARG001
    segments: Path | None = None,
) -> None:
    """Keep the catalogue of *config*'s data directory at the end of the log until told to stop.

    With *segments*, a directory, the log is written there, too: services/jetstream/segments.py.
    Raises DirectoryHeld where another projector does, NoServer where nothing listens at *url*, and
    what stops a projector: NotACatalogue, CannotWrite, HistoryChanged, GapInLog, TornBatch,
    BrokenEvent, MissingRow.
    """
    directory = DataDirectory(config.data)
    working: list[Serving] = []

    async def rebuild(_: Rebuild, __: str, accept: Accept) -> Rebuilding:
        if not working:
            raise CommandRefused("unavailable", "the projector is starting; ask again")
        try:
            number = working[0].order()
        except NotNow as error:
            raise CommandRefused("conflict", str(error)) from error
        await accept()
        return Rebuilding(accepted=True, generation=number)

    def commands(host: Host, broker: Broker) -> None:
        Commands(host, broker).answer("rebuild", Rebuild, rebuild)

    async def work(host: Host) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(answering(host.nc, directory.catalogue, host.clock))
            await stack.enter_async_context(segmenting(host.nc, segments, host.clock))
            begun = await restored(host.nc, directory.catalogue)
            await stack.enter_async_context(snapshotting(host.nc, directory.catalogue, host.clock))
            serving = Serving(host.nc, directory.catalogue, begun=begun)
            working.append(serving)
            await serving.run(host.ready)

    with directory.lock(PROJECTOR_LOCK):
        await serve("projector", config, url, work, commands=commands)
