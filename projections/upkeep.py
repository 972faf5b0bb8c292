"""What keeps a file of SQLite well: how it is written, whether it is damaged, a short journal."""

from __future__ import annotations

import sqlite3

BUSY_MS = 5_000
JOURNAL_PAGES = 4_000
"""16 MB of journal before it is copied: each copy waits for the disk."""
JOURNAL_BYTES = 16 << 20
"""What is left of a journal that grew because a reader held its beginning, once it is gone."""
CACHE_KIB = 16_384
FILLING_KIB = 32_768
"""The inner pages of the indexes stay in memory while a long log is replayed."""
_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY = 0xFF
"""The bits of a result code without its details."""


def fill(db: sqlite3.Connection) -> None:
    """Prepare *db* to be filled while nobody reads it: each page is written once, none is awaited.

    A crash may leave it damaged, and it is then begun anew: `tune` it before it serves. Constraints
    that look at one value (most is JSON of our own encoder) are left to later writers.
    """
    db.execute("PRAGMA journal_mode = MEMORY")
    db.execute("PRAGMA synchronous = OFF")
    db.execute(f"PRAGMA cache_size = -{FILLING_KIB}")
    db.execute("PRAGMA ignore_check_constraints = ON")
    db.execute("PRAGMA recursive_triggers = ON")


def tune(db: sqlite3.Connection) -> None:
    """Prepare *db* for its one writer, and for readers beside it."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # the log is the truth
    db.execute("PRAGMA ignore_check_constraints = OFF")
    db.execute(f"PRAGMA wal_autocheckpoint = {JOURNAL_PAGES}")
    db.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    db.execute("PRAGMA recursive_triggers = ON")


def damage(error: sqlite3.Error) -> bool:
    """Tell whether SQLite says by *error* that a file is damaged, not locked, full or away."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY in _DAMAGES


def wrong(db: sqlite3.Connection) -> str:
    """Return what is wrong with the pages of *db*, nothing where they are well."""
    told = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    return "" if told == "ok" else told


def relieve(db: sqlite3.Connection) -> bool:
    """Copy the journal into the file and empty it; False where a reader holds it: nobody waits."""
    db.execute("PRAGMA busy_timeout = 0")
    try:
        busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return not busy


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows each table has that events made."""
    names = [
        name
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not name.startswith(("sqlite_", "models_fts"))
    ]
    return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}  # noqa: S608 - its own tables
