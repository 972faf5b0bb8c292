"""Events of a newer version, kept as they are: the next rebuild applies them."""

from __future__ import annotations

import sqlite3

from events.envelope import Stored

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


def keep(db: sqlite3.Connection, stream: str, stored: Stored) -> None:
    """Keep *stored* raw."""
    id_ = stored.headers.get("Nats-Msg-Id", "")
    db.execute(_KEEP, (stream, stored.seq, stored.subject, id_, stored.payload.decode()))
