"""Events of a newer version, kept as they are: the next rebuild applies them."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from events.base import Instant
from events.envelope import MESSAGE_ID, Stored

DDL = """
CREATE TABLE event_unknown (
  stream TEXT NOT NULL,
  seq INTEGER NOT NULL,
  subject TEXT NOT NULL,
  id TEXT NOT NULL,
  payload TEXT NOT NULL CHECK (json_valid(payload)),
  PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;
"""

_KEEP = "INSERT INTO event_unknown VALUES (?, ?, ?, ?, ?)"


class _Moment(msgspec.Struct, frozen=True):
    """What every event carries, also one of a newer version."""

    at: Any = ""


_moment = msgspec.json.Decoder(_Moment)


def keep(db: sqlite3.Connection, stream: str, stored: Stored) -> Instant:
    """Keep *stored* raw, and return its `at`: the log has come to that moment all the same.

    Raises ValueError and sqlite3.IntegrityError for a payload that is no JSON to SQLite.
    """
    id_ = stored.headers.get(MESSAGE_ID, "")
    db.execute(_KEEP, (stream, stored.seq, stored.subject, id_, stored.payload.decode()))
    at = _moment.decode(stored.payload).at
    return at if isinstance(at, str) else ""
