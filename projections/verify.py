"""Is the catalogue what the log makes of it: a copy of it beside a fresh fold, row by row."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

from events.subjects import AUDIT
from projections import audit, checks, database
from projections.reader import open_reader

What = Literal["missing", "extra", "different"]
Key = Mapping[str, str | int | float | None]

_NAMES = re.compile(r"CREATE TABLE (\w+)")
AUDIT_OWNED = frozenset(name for module in (audit, checks) for name in _NAMES.findall(module.DDL))
"""Tables that the audit trail alone writes, of which its age may have taken the beginnings."""
APART = frozenset({"checkpoint"})
"""Compared by those who read the log."""
_TABLES = "SELECT name FROM pragma_table_list WHERE schema = ? AND type = 'table'"
_COLUMNS = "SELECT name, pk FROM pragma_table_info(?, ?)"
_DAMAGED = "PRAGMA integrity_check(1)"
_WORDS = "INSERT INTO models_fts (models_fts, rank) VALUES ('integrity-check', 1)"
_IDS = "CREATE TABLE ids (id TEXT NOT NULL PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID"
_KEEP = "INSERT OR IGNORE INTO ids VALUES (?, ?)"
_FIRST = "SELECT seq FROM ids WHERE id = ?"


class Difference(NamedTuple):
    """The first of *rows* of a table that are not alike: *what* the catalogue's row is.

    *seq* is the sequence that the row names, *columns* are those that differ.
    """

    table: str
    what: What
    key: Key
    seq: int | None
    columns: list[str]
    rows: int


class Unsound(Exception):
    """A catalogue that SQLite cannot read, or whose parts contradict each other."""


def copied(link: Path, target: Path) -> None:
    """Copy the serving generation as it is at one moment, whoever writes to it meanwhile.

    Raises NoCatalogue, NotACatalogue, CannotOpen and Unsound.
    """
    try:
        with closing(open_reader(link)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:
        raise Unsound(str(error)) from error


def sound(path: Path) -> None:
    """Make sure of a copy by itself: its pages, indexes and full text; raises Unsound."""
    with closing(database.connect(path, "rw")) as db:
        try:
            told = db.execute(_DAMAGED).fetchone()[0]
            if told != "ok":
                raise Unsound(str(told).splitlines()[-1])
            db.execute(_WORDS)
        except sqlite3.DatabaseError as error:
            raise Unsound(str(error)) from error


def differences(live: Path, fresh: Path, *, audit_from: int = 1) -> Iterator[Difference]:
    """Yield the first difference of every table of *live* from *fresh*; two files at rest.

    Where the age limit took what audit had before *audit_from*, only what came later is compared.
    """
    with closing(database.connect(live, "rw")) as db:
        db.execute("ATTACH ? AS fresh", (str(fresh),))
        names = {schema: set(_names(db, schema)) for schema in ("main", "fresh")}
        for name in sorted(names["main"] | names["fresh"]):
            if name not in names["main"] or name not in names["fresh"]:
                what: What = "missing" if name in names["fresh"] else "extra"
                yield Difference(name, what, {}, None, [], 0)
                continue
            table = _Table(db, name, audit_from)
            if (found := table.difference()) is not None:
                yield found


def incomparable(audit_from: int) -> list[str]:
    """Return the tables that nothing can be said of, since audit begins at *audit_from*."""
    with closing(sqlite3.connect(":memory:")) as db:
        database.furnish(db)
        tables = (_Table(db, name, audit_from) for name in sorted(AUDIT_OWNED))
        return [table.name for table in tables if table.aged and "seq" not in table.columns]


def _names(db: sqlite3.Connection, schema: str) -> Iterable[str]:
    for (name,) in db.execute(_TABLES, (schema,)):
        if not name.startswith("sqlite_") and name not in APART:
            yield name


class _Table:
    def __init__(self, db: sqlite3.Connection, name: str, audit_from: int) -> None:
        self.name = name
        self.aged = audit_from > 1 and name in AUDIT_OWNED
        self._db = db
        found = db.execute(_COLUMNS, (name, "main")).fetchall()
        self.columns = [column for column, _ in found]
        self.keys = [column for column, place in found if place] or self.columns
        self._seq = "a.seq" if "seq" in self.columns else "NULL"
        self._within = "1"
        if self.aged:
            self._within = f"a.seq >= {audit_from:d}"
        elif {"stream", "seq"} <= set(self.columns):
            self._within = f"NOT (a.stream = '{AUDIT}' AND a.seq < {audit_from:d})"

    def difference(self) -> Difference | None:
        if self.aged and "seq" not in self.columns:
            return None
        rest = [column for column in self.columns if column not in self.keys]
        tests = [self._differs(column) for column in rest]
        gone = f"b.{self.keys[0]} IS NULL"
        for one, other, wrong in (
            ("main", "fresh", " OR ".join([gone, *tests])),
            ("fresh", "main", gone),
        ):
            source = (
                f"FROM {one}.{self.name} AS a LEFT JOIN {other}.{self.name} AS b ON "
                + " AND ".join(f"a.{key} = b.{key}" for key in self.keys)
                + f" WHERE {self._within} AND ({wrong})"
            )
            told = ", ".join([*(f"a.{key}" for key in self.keys), self._seq, gone, *tests])
            row = self._db.execute(
                f"SELECT {told} {source} ORDER BY {self._seq} LIMIT 1"
            ).fetchone()
            if row is None:
                continue
            count = self._db.execute(f"SELECT count(*) {source}").fetchone()[0]
            place = len(self.keys)
            key = dict(zip(self.keys, row, strict=False))
            seq, lonely, flags = row[place], row[place + 1], row[place + 2 :]
            changed = [column for column, flag in zip(rest, flags, strict=True) if flag]
            if one == "fresh":
                return Difference(self.name, "missing", key, seq, [], count)
            what: What = "extra" if lonely else "different"
            return Difference(self.name, what, key, seq, [] if lonely else changed, count)
        return None

    def _differs(self, column: str) -> str:
        """Compare a column; a run whose beginning is over has less of it in a fresh fold."""
        known = f"b.{column} IS NOT NULL AND " if self.aged else ""
        return f"({known}a.{column} IS NOT b.{column})"


class Ids:
    """Every id that was seen, in a file of its own: a million of them would fill the memory."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(_IDS)

    def repeated(self, seen: list[tuple[str, int]]) -> Iterator[tuple[str, int, int]]:
        """Keep *seen*, ids and sequences; yield those that were seen before, and first where."""
        self._db.execute("BEGIN")
        kept = self._db.executemany(_KEEP, seen).rowcount
        self._db.execute("COMMIT")
        if kept == len(seen):
            return
        for id_, seq in seen:
            first = self._db.execute(_FIRST, (id_,)).fetchone()[0]
            if first != seq:
                yield id_, seq, first

    def close(self) -> None:
        """Close the file."""
        self._db.close()
