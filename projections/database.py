"""The catalogue's files: generations behind one stable name, open to one writer.

``catalogue.db`` is a relative symbolic link to the generation that serves. A new generation is
filled without secondary indexes and full text, which `finish` adds before it serves. So nobody is
told that a model is not there by a catalogue that has not come to it yet.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

import sqlite_utils

from projections import (
    alerts,
    audit,
    checkpoint,
    checks,
    health,
    history,
    latency,
    models,
    moments,
    providers,
    unknown,
    uptime,
)
from projections.fold import PROJECTION
from projections.generations import (
    delete,
    identity,
    number,
    numbered,
    on_disk,
    others,
    serving,
    size,
    sweep,
    switch,
)
from projections.upkeep import BUSY_MS, damage, fill, tune, wrong

APPLICATION_ID = 0x6D6C6F67
"""``mlog``: by which a file is known as a catalogue."""
READ_MODELS = (
    *(audit, checks, health, alerts, providers, models, history, moments, unknown, checkpoint),
    *(latency, uptime),
)
INDEXED = (audit, alerts, models, history)
_LARGE = "SELECT 1 FROM model_history LIMIT 1 OFFSET 10000"
"""A small catalogue will grow, and what was counted in it would then mislead the planner."""
_WORDS = "INSERT INTO models_fts (models_fts, rank) VALUES ('integrity-check', 1)"


class NoCatalogue(Exception):
    """There is no catalogue at a path, or none yet."""

    def __init__(self, path: Path) -> None:
        filling = path.parent.is_dir() and others(path, None)
        what = (
            "it is being filled; ask again"
            if filling
            else "`modelog up` or `modelog replay` makes one"
        )
        super().__init__(f"no catalogue at {path}; {what}")


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


class Damaged(NotACatalogue):
    """A generation whose pages, indexes or words contradict each other."""


class Generation:
    """One file of the catalogue, open to its one writer; *reason* says why it was begun."""

    def __init__(self, link: Path, path: Path, db: sqlite3.Connection, reason: str = "") -> None:
        self.link = link
        self.path = path
        self.db = db
        self.reason = reason
        self._identity = identity(path)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @property
    def serves(self) -> bool:
        """Whether readers get this generation."""
        return serving(self.link) == self.path

    @property
    def number(self) -> int:
        """Which generation it is."""
        return number(self.path)

    @property
    def lost(self) -> bool:
        """Whether the file was deleted or replaced: what is written to it, nobody reads."""
        return identity(self.path) != self._identity

    def finish(self) -> None:
        """Add what a reader needs besides the rows, then let this generation serve.

        Finishing twice is finishing once.
        """
        self.complete()
        self.serve()

    def complete(self) -> None:
        """Add indexes and full text: all of it, or nothing, and whoever it failed closes the file.

        Completing twice is completing once.
        """
        if finished(self.db):
            return
        self.db.execute("BEGIN IMMEDIATE")
        for module in INDEXED:
            for statement in _statements(module.INDEXES):
                self.db.execute(statement)
        _full_text(self.db)
        self.db.execute("COMMIT")
        if self.db.execute(_LARGE).fetchone():
            self.db.execute("ANALYZE")
        on_disk(self.path)  # the long wait; no lock is held now that this could take away

    def check(self) -> None:
        """Make sure of every page, index and word; raises Damaged, and what SQLite raises."""
        told = self.db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if told != "ok":
            raise Damaged(self.path, told)
        self.db.execute(_WORDS)

    def serve(self) -> None:
        """Let readers get this generation from now on; the one before stays until it is swept."""
        if not self.serves:
            tune(self.db)
            self.db.execute("SELECT 1 FROM checkpoint")  # ends what the change of journal reads
            _synced(self.db)  # before the link is
            switch(self.link, self.path.name)


def open_writer(link: Path) -> Generation:
    """Open the generation to write: the one that serves, or a new one where none fits.

    One that does not fit (of another projection, or damaged) serves until the new one is finished.
    Unfinished and retired ones are deleted. Raises NotACatalogue for what modelog did not make.
    """
    link.parent.mkdir(parents=True, exist_ok=True)
    old = serving(link)
    if old is None and link.exists():
        raise NotACatalogue(link, "it is no link to a generation")
    if old is None or not old.exists():
        return create(link, old)
    if not size(old):
        return create(link, old, "the catalogue is an empty file")
    db = connect(old)
    try:
        reason = _unfit(link, db)
        if not reason:
            tune(db)
            sweep(link, old)
            return Generation(link, old, db)
    except sqlite3.DatabaseError as error:
        db.close()
        if not damage(error):
            raise CannotOpen(link, str(error)) from error
        reason = f"the catalogue is damaged: {error}"
    db.close()
    return create(link, old, reason)


def create(link: Path, old: Path | None = None, reason: str = "") -> Generation:
    """Create an empty generation beside *old*, and delete what an unfinished one left."""
    for left in others(link, old):
        if number(left) > number(old):
            delete(left)
    path = numbered(link, number(old) + 1)
    delete(path)  # a journal may have survived its file
    db = connect(path)
    fill(db)
    db.execute("BEGIN IMMEDIATE")
    furnish(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {PROJECTION}")
    db.execute("COMMIT")
    return Generation(link, path, db, reason)


def adopt(link: Path, path: Path) -> Generation:
    """Open the whole file at *path* as a generation that catches up before it serves."""
    db = connect(path)
    fill(db)
    return Generation(link, path, db)


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


def connect(path: Path, how: str = "rwc") -> sqlite3.Connection:
    """Open a file of any kind, by a mode of SQLite's URIs; raises CannotOpen."""
    try:
        uri = f"file:{quote(str(path.absolute()))}?mode={how}"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    except sqlite3.DatabaseError as error:
        raise CannotOpen(path, str(error)) from error
    return db


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


def _synced(db: sqlite3.Connection) -> None:
    """Copy the journal into the file, and wait until all of the file is on the disk.

    SQLite does it: a second descriptor of the file, once closed, would take the locks of this
    process away, and the next program that looks into the file would delete the journal under its
    writer. Source: sqlite.org/howtocorrupt.html, section 2.2.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.execute(f"PRAGMA user_version = {version}")  # an empty journal would not be waited for
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _full_text(db: sqlite3.Connection) -> None:
    """Index the words of what is there, and keep the index with every later change."""
    made = sqlite_utils.Database(db, execute_plugins=False)
    made.table("models").enable_fts(models.FULL_TEXT, tokenize=models.TOKENIZE)
    made.executescript(models.TRIGGERS)


def _statements(script: str) -> list[str]:
    return [statement for part in script.split(";") if (statement := part.strip())]


def _unfit(link: Path, db: sqlite3.Connection) -> str:
    """Return why *db* cannot be gone on with, nothing where it can; raises as `version_of` does."""
    try:
        version = version_of(link, db)
    except NotACatalogue as error:
        if isinstance(error.__cause__, sqlite3.DatabaseError) and damage(error.__cause__):
            raise error.__cause__ from None
        raise
    if version != PROJECTION:
        return f"the catalogue is of projection {version}, not {PROJECTION}"
    if told := wrong(db):
        return f"the catalogue is damaged: {told}"
    return "" if finished(db) else "the catalogue was never finished"


def settle(db: sqlite3.Connection) -> None:
    """Make *db* one file without a journal beside it, to be moved or sent."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("PRAGMA journal_mode = DELETE")
