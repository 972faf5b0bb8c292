"""Catalogues compared: every row of every table that events made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

Rows = dict[str, list[tuple[Any, ...]]]
GROWING = ("refreshes", "checks", "provider_checks", "check_hours")
"""Tables of the audit trail that grow while a system runs."""


def rows(path: Path) -> Rows:
    """Return every row of every table, in order; the index of the full text is left out."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        names = [
            name
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith(("sqlite_", "models_fts"))
        ]
        return {name: sorted(db.execute(f"SELECT * FROM {name}"), key=repr) for name in names}  # noqa: S608 - its own tables


def facts_alone(found: Rows) -> Rows:
    """Return the rows that facts made: those of the audit trail may have gone on meanwhile."""
    return {
        name: [row for row in table if not (name == "checkpoint" and row[0] == "MODELOG_AUDIT")]
        for name, table in found.items()
        if name not in GROWING
    }
