"""The catalogue, open to read and to nothing else."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from projections.database import CannotOpen, NoCatalogue, connect, version_of


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a catalogue to read, and to nothing else: not even another file can be attached.

    Raises NoCatalogue, NotACatalogue and CannotOpen.
    """
    while True:
        found = identity(path)
        if found is None:
            raise NoCatalogue(path)
        try:
            return _reader(path)
        except CannotOpen:
            if identity(path) == found:
                raise  # else a new generation took its place meanwhile


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the generation behind *path* from every other one; None without one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _reader(path: Path) -> sqlite3.Connection:
    db = connect(path, "ro")
    version_of(path, db)
    db.execute("PRAGMA query_only = 1")
    db.set_authorizer(_may)
    return db


_LEADS_OUT = {
    sqlite3.SQLITE_ATTACH,  # VACUUM INTO attaches, too
    sqlite3.SQLITE_DETACH,
    sqlite3.SQLITE_TRANSACTION,  # one that stays open pins the journal
    sqlite3.SQLITE_SAVEPOINT,
}
_DESCRIBES = frozenset(
    {
        *("table_info", "table_xinfo", "table_list", "foreign_key_list", "foreign_key_check"),
        *("index_list", "index_info", "index_xinfo", "integrity_check", "quick_check"),
    }
)
"""Pragmas whose argument is what they describe; that of others would set something."""


def _may(action: int, what: str | None, value: str | None, *_: str | None) -> int:
    """Deny what would lead out of a file that is open to read; writing to it, SQLite refuses."""
    if action == sqlite3.SQLITE_PRAGMA:
        denied = value is not None and what not in _DESCRIBES
    else:
        denied = action in _LEADS_OUT
    return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK
