"""Init: the streams that everything needs before it starts, and who may do what on them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from events.subjects import AUDIT
from services.cli.failures import WRONG, Refusal
from services.cli.log import log_server
from services.cli.options import AsJson, ConfigFile, DataDir, settings
from services.cli.output import note, write_object
from services.cli.sentences import counted
from services.cli.tables import Column, Row, write_record, write_table
from services.config import Config
from services.jetstream.aging import outlived
from services.jetstream.connect import Client
from services.jetstream.drift import Difference, StreamDiffers
from services.jetstream.permissions import write_permissions
from services.jetstream.setup import Report, compare, ensure
from services.jetstream.streams import SECOND

SYNCED = {
    "always": "every event is on the disk before it is acknowledged (proven)",
    "unproven": "unproven; nats.monitor_url lets init ask the server",
}
TABLE = (
    Column("STREAM", lambda row: row["stream"], style="cyan"),
    Column("SETTING", lambda row: row["setting"]),
    Column("IS", lambda row: row["is"], folded=True),
    Column("MUST BE", lambda row: row["wanted"], folded=True),
    Column("THE WAY OUT", lambda row: row["remedy"], folded=True),
)


def init(
    *,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply", help="Change replicas and audit_max_age to what the configuration says."
        ),
    ] = False,
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

    Says what was created, and what was proven. What exists and differs is shown, and changed by
    --apply alone: the replicas, and how long the audit trail is kept. A shorter time drops older
    audit events, never a fact. With --permissions no server is asked.
    """
    if permissions is not None:
        if apply:
            raise Refusal("--apply changes a server, and --permissions asks none", WRONG)
        _permit(permissions, as_json=as_json)
        return
    outcome, drops = asyncio.run(_ensured(settings(config, data), apply=apply))
    if isinstance(outcome, StreamDiffers):
        _show(outcome.differences, drops, as_json=as_json)
        raise outcome
    _tell(outcome, drops, as_json=as_json)


def _tell(report: Report, drops: int, *, as_json: bool) -> None:
    told = {
        "epoch": report.epoch,
        "installation": report.installation,
        "sync": report.sync,
        "streams": report.streams,
    }
    if as_json:
        changes = [
            {
                "stream": one.stream,
                "setting": one.setting,
                "was": one.plain(one.actual),
                "is": one.plain(one.wanted),
            }
            for one in report.changes
        ]
        write_object({**told, "changes": changes, "drops": drops})
        return
    changed: dict[str, list[str]] = {}
    for one in report.changes:
        text = f"{one.setting} from {one.spelled(one.actual)} to {one.spelled(one.wanted)}"
        changed.setdefault(one.stream, []).append(text)
    write_record(
        [
            *(
                (name, ": ".join(filter(None, [done, ", ".join(changed.get(name, []))])))
                for name, done in report.streams.items()
            ),
            ("sync", SYNCED[report.sync]),
            ("epoch", report.epoch),
            ("installation", report.installation),
        ]
    )


def _show(differences: Sequence[Difference], drops: int, *, as_json: bool) -> None:
    if as_json:
        rows = [_row(one, one.plain(one.actual), one.plain(one.wanted)) for one in differences]
        write_object({"differences": rows, "drops": drops})
        return
    write_table(
        [_row(one, one.spelled(one.actual), one.spelled(one.wanted)) for one in differences], TABLE
    )


def _row(one: Difference, there: object, wish: object) -> Row:
    return {
        "stream": one.stream,
        "setting": one.setting,
        "is": there,
        "wanted": wish,
        "remedy": one.remedy,
    }


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


async def _ensured(config: Config, *, apply: bool) -> tuple[Report | StreamDiffers, int]:
    """Return what became of the streams, and how many audit events that drops or would drop."""
    wishes = config.nats
    async with log_server(config, role="admin", create=True) as (nc, server):
        drops = await _drops(nc, config, apply=apply)
        try:
            report = await ensure(
                nc,
                replicas=wishes.replicas,
                audit_max_age=wishes.audit_max_age,
                monitor_url=server.monitor_url if server else wishes.monitor_url,
                apply=apply,
            )
        except StreamDiffers as error:
            return error, drops
    return report, drops


async def _drops(nc: Client, config: Config, *, apply: bool) -> int:
    """Return how many audit events a shorter age drops, and say so before anything happens."""
    wishes = config.nats
    found = await compare(nc, replicas=wishes.replicas, audit_max_age=wishes.audit_max_age)
    shorter = next((one for one in found[AUDIT] or () if one.shortens), None)
    if shorter is None:
        return 0
    drops = await outlived(nc, shorter.wanted / SECOND)
    happens = apply and all(one.changeable for rows in found.values() for one in rows or ())
    old, new = shorter.spelled(shorter.actual), shorter.spelled(shorter.wanted)
    note(
        f"audit_max_age of {new} instead of {old} {'drops' if happens else 'would drop'} what is "
        f"older for good, by now {counted(drops, 'audit event')}; facts stay"
        + ("" if happens else ", and `modelog backup` keeps a copy of all")
    )
    return drops
