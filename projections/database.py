"""The catalogue's files: generations behind one stable name, open to one writer.

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

from projections import (
    alerts,
    audit,
    checkpoint,
    health,
    history,
    models,
    moments,
    providers,
    unknown,
)
from projections.fold import PROJECTION

BUSY_MS = 5_000
JOURNAL_PAGES = 4_000
"""16 MB of journal before it is copied: each copy waits for the disk."""
CACHE_KIB = 16_384
"""The inner pages of the indexes stay in memory while a long log is replayed."""
APPLICATION_ID = 0x6D6C6F67
"""``mlog``: by which a file is known as a catalogue."""
READ_MODELS = (audit, health, alerts, providers, models, history, moments, unknown, checkpoint)
INDEXED = (audit, alerts, models, history)
_LARGE = "SELECT 1 FROM model_history LIMIT 1 OFFSET 10000"
"""A small catalogue will grow, and what was counted in it would then mislead the planner."""
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


class CannotOpen(NotACatalogue):
    """A file that may be a catalogue, and is locked or out of reach."""

    def __init__(self, path: Path, why: str) -> None:
        Exception.__init__(
            self, f"cannot open {path} ({why}); may this user read it, and write beside it?"
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
        if not finished(self.db):
            self.db.execute("BEGIN IMMEDIATE")
            for module in INDEXED:
                for statement in _statements(module.INDEXES):
                    self.db.execute(statement)
            _full_text(self.db)
            self.db.execute("COMMIT")
            if self.db.execute(_LARGE).fetchone():
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
        db = connect(serving)
        if version_of(link, db) == PROJECTION:
            _tune(db)
            return Generation(link, serving, db)
        db.close()
    return create(link, serving)


def create(link: Path, serving: Path | None = None) -> Generation:
    """Create an empty generation beside *serving*, and delete what an unfinished one left.

    Where nothing serves, it serves at once.
    """
    for left in _generations(link.parent):
        if left != serving:
            _delete(left)
    path = link.parent / f"catalogue.{_number(serving) + 1}.db"
    _delete(path)  # a journal may have survived its file
    db = connect(path)
    _tune(db)
    db.execute("BEGIN IMMEDIATE")
    furnish(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {PROJECTION}")
    db.execute("COMMIT")
    generation = Generation(link, path, db)
    if serving is None or not serving.exists():
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # on the disk, before the link is
        switch(link, path.name)
    return generation


def furnish(db: sqlite3.Connection) -> None:
    """Create the empty tables of every read model, and the views."""
    for module in READ_MODELS:
        for statement in _statements(module.DDL):
            db.execute(statement)


def finished(db: sqlite3.Connection) -> bool:
    """Tell whether a generation has its indexes and its full text."""
    return (
        db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'models_fts'").fetchone() is not None
    )


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


def connect(path: Path, how: str = "rwc") -> sqlite3.Connection:
    """Open a file of any kind, by a mode of SQLite's URIs; raises CannotOpen."""
    try:
        uri = f"file:{quote(str(path.absolute()))}?mode={how}"
        db = sqlite3.connect(uri, uri=True, isolation_level=None)
        db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    except sqlite3.DatabaseError as error:
        raise CannotOpen(path, str(error)) from error
    return db


def _tune(db: sqlite3.Connection) -> None:
    """Prepare *db* for its one writer."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # the log is the truth
    db.execute(f"PRAGMA wal_autocheckpoint = {JOURNAL_PAGES}")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    db.execute("PRAGMA recursive_triggers = ON")


def version_of(path: Path, db: sqlite3.Connection) -> int:
    """Return which projection wrote *db*; close it and raise NotACatalogue where none did."""
    why: sqlite3.Error | None = None
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as error:
        why, application, version = error, 0, 0
    if application == APPLICATION_ID:
        return version
    db.close()
    if isinstance(why, sqlite3.OperationalError):
        raise CannotOpen(path, str(why)) from why
    raise NotACatalogue(path, str(why or "another program's database")) from why


def _full_text(db: sqlite3.Connection) -> None:
    """Index the words of what is there, and keep the index with every later change."""
    made = sqlite_utils.Database(db, execute_plugins=False)
    made.table("models").enable_fts(models.FULL_TEXT, tokenize=models.TOKENIZE)
    made.executescript(models.TRIGGERS)


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
