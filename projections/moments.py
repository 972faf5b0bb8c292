"""When the log was where: the running maximum of `at`, a row each time that it rises."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from events.base import Instant, instant_of

DDL = """
CREATE TABLE moments (
  seq INTEGER NOT NULL PRIMARY KEY,
  at TEXT NOT NULL UNIQUE
) STRICT;
"""

_RISE = "INSERT INTO moments VALUES (?, ?)"
_LAST = "SELECT at FROM moments ORDER BY seq DESC LIMIT 1"
_NEXT = "SELECT seq FROM moments WHERE at > ? ORDER BY at LIMIT 1"


def latest(db: sqlite3.Connection) -> Instant:
    """Return the running maximum, the empty text where there is none."""
    row = db.execute(_LAST).fetchone()
    return str(row[0]) if row else ""


def rise(db: sqlite3.Connection, seq: int, at: Instant) -> None:
    """Add a moment later than all before it."""
    db.execute(_RISE, (seq, at))


def sequence(db: sqlite3.Connection, at: Instant, last: int) -> int:
    """Return the largest sequence, *last* at most, whose running maximum is not later than *at*."""
    row = db.execute(_NEXT, (at,)).fetchone()
    return min(last, int(row[0]) - 1) if row else last


def instant(text: str) -> Instant:
    """Return what RFC 3339 or a date says, in the one form; without a zone it is UTC.

    Raises ValueError for anything else.
    """
    read = datetime.fromisoformat(text)
    zoned = read.replace(tzinfo=UTC) if read.tzinfo is None else read
    return instant_of(zoned.astimezone(UTC))
