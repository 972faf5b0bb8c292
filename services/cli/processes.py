"""The processes: all of them, or one of them."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from services import up as everything
from services.cli.failures import WRONG, Refusal
from services.cli.log import address
from services.cli.options import ConfigFile, DataDir, nearest, settings
from services.config import Config
from services.logs import log_to_stderr

PROCESSES = {
    "refresher": "services.refresher.run",
    "health-monitor": "services.health_monitor.run",
    "projector": "services.projector.run",
    "notifier": "services.notifier.run",
}
"""Where the `run` of each process is; only the one that was named is imported."""


Segments = Annotated[
    Path | None,
    typer.Option(
        "--segments",
        metavar="DIR",
        help="Let the projector write the log there, too, as files that never change.",
    ),
]


def up(*, segments: Segments = None, config: ConfigFile = None, data: DataDir = None) -> None:
    """Start everything on this machine, and keep it running.

    The embedded server, unless a URL is configured, and every process; Ctrl-C stops them in order.
    """
    found = settings(config, data)
    log_to_stderr()
    more = {} if segments is None else {"projector": ["--segments", str(segments.absolute())]}
    asyncio.run(everything.up(found, arguments=_arguments(found), more=more))


def _arguments(config: Config) -> list[str]:
    """Return what makes a process see the configuration of this one."""
    file = ["--config", str(config.source)] if config.source else []
    return [*file, "--data", str(config.data)]


def run(
    name: Annotated[str, typer.Argument(metavar="PROCESS", help=f"One of {', '.join(PROCESSES)}.")],
    *,
    segments: Segments = None,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Run one process.

    On any host that reaches the server: that of the configuration, of MODELOG_NATS_URL, or the
    one that runs on the data directory.
    """
    if name not in PROCESSES:
        raise Refusal(f'"{name}" is no process; {nearest(name, PROCESSES)}', WRONG)
    if segments is not None and name != "projector":
        raise Refusal("--segments: only the projector writes segments", WRONG)
    found = settings(config, data)
    url = address(found)
    log_to_stderr()
    process = import_module(PROCESSES[name])
    more = {} if segments is None else {"segments": segments}
    asyncio.run(process.run(found, url, load=lambda: settings(config, data), **more))
