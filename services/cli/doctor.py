"""Doctor: what is wrong on this machine, and how to mend it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from services import clock
from services import config as configuration
from services.cli.failures import FAILED, Refusal
from services.cli.options import AsJson, ConfigFile, DataDir
from services.cli.output import write_object
from services.cli.sentences import counted
from services.cli.tables import Column, Row, write_table
from services.doctor.examine import examine

MARKS = {"ok": "ok", "note": "note", "bad": "BAD"}
STYLES = {"ok": "green", "note": "yellow", "BAD": "bold red"}


def _told(row: Row) -> str:
    return "; ".join(filter(None, [row["message"], row["remedy"]]))


TABLE = (
    Column("", lambda row: MARKS[row["level"]], style=lambda text: STYLES.get(text, "")),
    Column("WHAT", lambda row: row["what"], folded=True, style="cyan"),
    Column("HOW IT IS, AND WHAT MENDS IT", _told, folded=True),
)


def doctor(
    *,
    online: Annotated[
        bool, typer.Option("--online", help="Ask each provider for its list once, too.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Say what is wrong on this machine; how to mend it.

    Exits with 1 where anything is bad. Needs no server and no catalogue, and changes nothing.
    """
    environ = configuration.environment()
    found = asyncio.run(
        examine(config, data, environ=environ, cwd=Path.cwd(), clock=clock.system(), ask=online)
    )
    rows = [msgspec.to_builtins(one) for one in found]
    wrong = [one for one in found if one.level == "bad"]
    if as_json:
        write_object({"ok": not wrong, "findings": rows})
    else:
        write_table(rows, TABLE)
    if wrong:
        first = wrong[0]
        more = f"{counted(len(wrong), 'thing')} {'is' if len(wrong) == 1 else 'are'} wrong, first"
        raise Refusal(f"{more}: {first.what}: {first.message}; {first.remedy}", FAILED)
