"""How far each stream is folded, and by which its past is known again."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from projections.faults import Fenced

DDL = """
CREATE TABLE checkpoint (
  stream TEXT NOT NULL PRIMARY KEY,
  seq INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  epoch TEXT NOT NULL,
  rolling_hash BLOB NOT NULL,
  projection INTEGER NOT NULL
) STRICT;
"""

_ALL = "SELECT stream, seq, event_id, epoch, rolling_hash, projection FROM checkpoint"
_BEGIN = "INSERT INTO checkpoint VALUES (?, 0, '', ?, ?, ?)"
_MOVE = """
UPDATE checkpoint SET seq = ?, event_id = ?, rolling_hash = ?
WHERE stream = ? AND seq = ? AND epoch = ?
"""


class Checkpoint(NamedTuple):
    """The last event of *stream* that is folded, in which life of the log, and the hash there."""

    stream: str
    seq: int
    event_id: str
    epoch: str
    rolling_hash: bytes
    projection: int


def read(db: sqlite3.Connection) -> dict[str, Checkpoint]:
    """Return the checkpoint of every stream."""
    return {row[0]: Checkpoint(*row) for row in db.execute(_ALL)}


def begin(db: sqlite3.Connection, stream: str, epoch: str, start: bytes, projection: int) -> None:
    """Stand before the first event of *stream*."""
    db.execute(_BEGIN, (stream, epoch, start, projection))


def move(db: sqlite3.Connection, before: Checkpoint, after: Checkpoint) -> None:
    """Move from *before* to *after*; raise Fenced where *before* is not what is there."""
    moved = db.execute(
        _MOVE,
        (after.seq, after.event_id, after.rolling_hash, before.stream, before.seq, before.epoch),
    )
    if moved.rowcount != 1:
        raise Fenced(
            f"{before.stream}: the checkpoint is not at {before.seq}; another projector writes "
            "to this catalogue: stop one of the two"
        )
