"""The processes: all of them, one of them, and what they need before they start."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from services import up as everything
from services.cli.failures import WRONG, Refusal
from services.cli.log import address, log_server
from services.cli.options import AsJson, ConfigFile, DataDir, nearest, settings
from services.cli.output import note, write_object
from services.cli.tables import write_record
from services.config import Config
from services.jetstream.permissions import write_permissions
from services.jetstream.setup import Report, ensure
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


def init(
    *,
    permissions: Annotated[
        Path | None,
        typer.Option(
            "--permissions",
            metavar="FILE",
            help="Write what each role may do to FILE, for nats-server to include, and its keys.",
        ),
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Create the streams, or check that they are ours.

    Changes nothing that exists. Says what was created, and what was proven. With --permissions no
    server is asked.
    """
    if permissions is not None:
        _permit(permissions, as_json=as_json)
        return
    report = asyncio.run(_ensured(settings(config, data)))
    told = {
        "epoch": report.epoch,
        "installation": report.installation,
        "sync": report.sync,
        "streams": report.streams,
    }
    if as_json:
        write_object(told)
        return
    synced = {
        "always": "every event is on the disk before it is acknowledged (proven)",
        "unproven": "unproven; nats.monitor_url lets init ask the server",
    }
    write_record(
        [
            *report.streams.items(),
            ("sync", synced[report.sync]),
            ("epoch", report.epoch),
            ("installation", report.installation),
        ]
    )


def _permit(file: Path, *, as_json: bool) -> None:
    keys = write_permissions(file.absolute())
    told = {"permissions": str(file.absolute()), "keys": {name: str(keys[name]) for name in keys}}
    if as_json:
        write_object(told)
        return
    folder = next(iter(keys.values())).parent
    write_record([("permissions", str(file)), *((name, str(path)) for name, path in keys.items())])
    note(
        f'in the configuration of nats-server: include "{file.name}"\n'
        f'in [nats] of modelog.toml: credentials = {{ file = "{folder}/{{role}}.nk" }}'
    )


async def _ensured(config: Config) -> Report:
    async with log_server(config, role="admin", create=True) as (nc, server):
        return await ensure(
            nc,
            replicas=config.nats.replicas,
            audit_max_age=config.nats.audit_max_age,
            monitor_url=server.monitor_url if server else config.nats.monitor_url,
        )
