"""The catalogue, open to read and to nothing else."""

from __future__ import annotations

import sqlite3
import time  # noqa: TID251 - how long a question may take
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from projections.database import CannotOpen, NoCatalogue, connect, version_of
from projections.generations import identity

STEPS = 10_000
"""Instructions of SQLite, some tenths of a millisecond, between two looks at the clock."""
INTERRUPTED = "interrupted"
"""What SQLite says of a question that the clock, or another thread, has ended."""
_HOLD = "SELECT count(*) FROM checkpoint"


class TooSlow(Exception):
    """A question that has taken longer than it may."""


class Reader:
    """A catalogue's file, open to read: always that of the newest generation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._generation = identity(path)
        self._open = open_reader(path)
        self._steady = False

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the catalogue at *path*; raises NoCatalogue and NotACatalogue."""
        return cls(Path(path))

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def interrupt(self) -> None:
        """End the question that another thread waits for, if there is one: it raises TooSlow."""
        self._open.interrupt()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _db(self) -> sqlite3.Connection:
        """The newest generation: where the path leads to another file, so does the connection."""
        if not self._steady and (now := identity(self.path)) != self._generation:
            fresh = open_reader(self.path)
            self._open.close()
            self._open, self._generation = fresh, now
        return self._open

    def _ask(self, sql: str, given: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Ask with any text: what is no Unicode (an argument of a shell) is found nowhere."""
        legal = (
            one.encode(errors="replace").decode() if isinstance(one, str) else one for one in given
        )
        return self._db.execute(sql, tuple(legal))

    @contextmanager
    def steady(self, seconds: float) -> Iterator[None]:
        """Answer all that is asked in this block from one state, within *seconds* in all.

        Raises TooSlow where they do not suffice.
        """
        db, deadline = self._db, time.monotonic() + seconds
        held = db.execute(_HOLD)  # while it has a row left, every question sees what it saw
        db.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
        self._steady = True
        try:
            yield
        except sqlite3.OperationalError as error:
            if str(error) != INTERRUPTED:
                raise
            raise TooSlow(f"it takes longer than {seconds:g} s; ask for less") from error
        finally:
            self._steady = False
            db.set_progress_handler(None, 0)
            held.close()


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
