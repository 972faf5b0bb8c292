"""Watch: what was stored, and what is being stored, an event a line."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, NamedTuple

import typer

from events.base import Instant
from events.subjects import BadSubject, stored
from services.cli.failures import WRONG, Refusal
from services.cli.lines import write_events
from services.cli.log import address, connection, log_server
from services.cli.options import AsJson, ConfigFile, DataDir, settings, when
from services.cli.output import note
from services.cli.tail import Placed, Tail
from services.config import Config


def watch(
    subject: Annotated[
        str, typer.Argument(metavar="[SUBJECT]", help="A subject or pattern below `modelog.`.")
    ] = "modelog.>",
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME|SEQ", help="First what was stored after a moment."),
    ] = None,
    follow: Annotated[
        bool | None,
        typer.Option(
            "--follow/--no-follow", help="Go on with what comes; default: where a server runs."
        ),
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Print events as they are stored.

    Ends with Ctrl-C. Without a running server, --since reads the stored log and ends there.
    """
    try:
        places = stored(subject)
    except BadSubject as error:
        raise Refusal(str(error), WRONG) from error
    moment = when(since, "--since")
    watching = _Watching(settings(config, data), subject, dict(places), as_json)
    with suppress(KeyboardInterrupt):
        if moment is None:
            asyncio.run(_live(watching))
        else:
            asyncio.run(_since(watching, moment, follow))


class _Watching(NamedTuple):
    """What is watched, where, and how it is told."""

    config: Config
    subject: str
    filters: dict[str, str]
    as_json: bool

    def emit(self, events: list[Placed]) -> None:
        write_events(events, as_json=self.as_json)


async def _live(watching: _Watching) -> None:
    config = watching.config
    async with connection(config, address(config), role="reader") as nc:
        tail = await Tail.open(nc, watching.subject, watching.filters)
        await tail.follow(watching.emit)


async def _since(watching: _Watching, moment: int | Instant, follow: bool | None) -> None:
    async with log_server(watching.config, role="reader") as (nc, server):
        tail = await Tail.open(nc, watching.subject, watching.filters)
        await tail.start(moment)
        await tail.read(watching.emit)
        if follow or (follow is None and server is None):
            await tail.follow(watching.emit)
        elif follow is None:
            note("the end of the stored log; no server runs, so nothing follows")
