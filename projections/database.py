"""The catalogue's files: generations behind one stable name, open to one writer or to read.

``catalogue.db`` is a relative symbolic link to the generation that serves. A new generation is
filled without secondary indexes and full text, which `finish` adds before it serves.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import sqlite_utils

from projections import audit, checkpoint, history, models, moments, providers, unknown
from projections.fold import PROJECTION

BUSY_MS = 5_000
APPLICATION_ID = 0x6D6C6F67
"""``mlog``: by which a file is known as a catalogue."""
READ_MODELS = (audit, providers, models, history, moments, unknown, checkpoint)
INDEXED = (audit, models, history)
FULL_TEXT = ("id", "name", "description", "family")
_GENERATION = re.compile(r"catalogue\.(\d+)\.db\Z")


class NoCatalogue(Exception):
    """There is no catalogue at a path."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no catalogue at {path}; `modelog up` or `modelog replay` makes one")


class NotACatalogue(Exception):
    """A file that is no catalogue, or one that is damaged."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is not a catalogue ({why}); move it away, and the log is replayed into a "
            "new one"
        )


class Generation:
    """One file of the catalogue, open to its one writer."""

    def __init__(self, link: Path, path: Path, db: sqlite3.Connection) -> None:
        self.link = link
        self.path = path
        self.db = db

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @property
    def serves(self) -> bool:
        """Whether readers get this generation."""
        return _target(self.link) == self.path.name

    def finish(self) -> None:
        """Add what a reader needs besides the rows, then let this generation serve.

        Finishing twice is finishing once. Older generations are deleted: a reader that has one
        open keeps it.
        """
        if not _finished(self.db):
            self.db.execute("BEGIN IMMEDIATE")
            for module in INDEXED:
                for statement in _statements(module.INDEXES):
                    self.db.execute(statement)
            self.db.execute("COMMIT")
            _full_text(self.db)
            self.db.execute("ANALYZE")
        if not self.serves:
            switch(self.link, self.path.name)
        for old in _generations(self.link.parent):
            if old != self.path:
                _delete(old)


def open_writer(link: Path) -> Generation:
    """Open the generation to write: the one that serves, or a new one where none fits.

    Raises NotACatalogue for a file at *link* that modelog did not make, and for a damaged one.
    """
    link.parent.mkdir(parents=True, exist_ok=True)
    target = _target(link)
    if target is None and link.exists():
        raise NotACatalogue(link, "it is no link to a generation")
    serving = link.parent / target if target is not None else None
    if serving is not None and serving.exists():
        db = _connect(serving)
        if _version(link, db) == PROJECTION:
            return Generation(link, serving, db)
        db.close()
    return create(link, serving)


def create(link: Path, serving: Path | None = None) -> Generation:
    """Create an empty generation beside *serving*, and what was left of an unfinished one."""
    for left in _generations(link.parent):
        if left != serving:
            _delete(left)
    path = link.parent / f"catalogue.{_number(serving) + 1}.db"
    db = _connect(path)
    db.execute("BEGIN IMMEDIATE")
    for module in READ_MODELS:
        for statement in _statements(module.DDL):
            db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {PROJECTION}")
    db.execute("COMMIT")
    generation = Generation(link, path, db)
    if serving is None:
        switch(link, path.name)
    return generation


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a catalogue to read; raises NoCatalogue and NotACatalogue."""
    if not path.exists():
        raise NoCatalogue(path)
    db = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None
    )
    try:
        db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        db.execute("PRAGMA query_only = 1")
        _version(path, db)
    except sqlite3.OperationalError as error:
        db.close()
        raise NotACatalogue(path, str(error)) from error
    except NotACatalogue:
        db.close()
        raise
    return db


def switch(link: Path, name: str) -> None:
    """Let *link* lead to the generation *name*, at once for whoever opens it next."""
    fresh = link.with_name(f".{link.name}.new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(name)
    fresh.replace(link)
    folder = os.open(link.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # the log is the truth
        db.execute("PRAGMA recursive_triggers = ON")
    except sqlite3.DatabaseError as error:
        db.close()
        raise NotACatalogue(path, str(error)) from error
    return db


def _version(path: Path, db: sqlite3.Connection) -> int:
    """Return which projection wrote *db*; raise NotACatalogue where none did."""
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise NotACatalogue(path, str(error)) from error
    if application != APPLICATION_ID:
        raise NotACatalogue(path, "another program's database")
    return version


def _finished(db: sqlite3.Connection) -> bool:
    row = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'models_fts'").fetchone()
    return row is not None


def _full_text(db: sqlite3.Connection) -> None:
    """Index the words of what is there, and keep the index with every later change."""
    made = sqlite_utils.Database(db, execute_plugins=False)
    made.table("models").enable_fts(FULL_TEXT, create_triggers=True, tokenize="unicode61")


def _statements(script: str) -> list[str]:
    return [statement for part in script.split(";") if (statement := part.strip())]


def _target(link: Path) -> str | None:
    """Return the name of the generation that *link* leads to, None where it is no such link."""
    try:
        name = str(link.readlink())
    except OSError:
        return None
    return name if _GENERATION.fullmatch(name) else None


def _generations(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _GENERATION.fullmatch(path.name)]


def _number(serving: Path | None) -> int:
    found = _GENERATION.fullmatch(serving.name) if serving else None
    return int(found[1]) if found else 0


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def settle(db: sqlite3.Connection) -> None:
    """Make *db* one file without a journal beside it, to be moved or sent."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("PRAGMA journal_mode = DELETE")
