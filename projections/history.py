"""Every version of every model: valid from its sequence to that of the next one."""

from __future__ import annotations

import sqlite3

import msgspec

from events.codec import FactEvent
from events.models import (
    CapabilityGained,
    CapabilityLost,
    ModelAdded,
    ModelMissing,
    ModelRemoved,
    ModelReturned,
    ModelUpdated,
)
from events.providers import (
    ProviderReconfigured,
    ProviderRegistered,
    ProviderSchemaChanged,
    ProviderUnregistered,
)
from projections.faults import one_row

DDL = """
CREATE TABLE model_history (
  provider TEXT NOT NULL,
  model_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  until_seq INTEGER,
  at TEXT NOT NULL,
  until TEXT,
  change TEXT NOT NULL CHECK (change IN ('added', 'updated', 'missing', 'returned', 'removed')),
  changed TEXT NOT NULL CHECK (json_valid(changed)),
  record TEXT NOT NULL CHECK (json_valid(record)),
  PRIMARY KEY (provider, model_id, seq)
) STRICT;
"""
INDEXES = """
CREATE INDEX history_by_seq ON model_history (seq);
CREATE INDEX history_by_end ON model_history (until_seq);
"""

_CLOSE = """
UPDATE model_history SET until_seq = ?, until = ?
WHERE provider = ? AND model_id = ? AND until_seq IS NULL
"""
_OPEN = "INSERT INTO model_history VALUES (?, ?, ?, NULL, ?, NULL, ?, ?, ?)"
_KEEP = """
INSERT INTO model_history
SELECT provider, model_id, ?, NULL, ?, NULL, ?, '[]', record FROM model_history
WHERE provider = ? AND model_id = ? AND until_seq = ?
"""

_encode = msgspec.json.Encoder().encode


def apply(db: sqlite3.Connection, seq: int, event: FactEvent) -> None:
    """Fold one fact: the version before it ends, and a new one begins. Raises MissingRow."""
    match event:
        case ModelAdded(provider=provider, model=model):
            about = (provider, model.id)
            db.execute(_CLOSE, (seq, event.at, *about))  # of its removal, where it was here before
            db.execute(_OPEN, (*about, seq, event.at, "added", "[]", _json(model)))
        case ModelUpdated(provider=provider, model=model):
            about = (provider, model.id)
            _close(db, seq, event.at, about)
            changed = _json(event.changed)
            db.execute(_OPEN, (*about, seq, event.at, "updated", changed, _json(model)))
        case ModelRemoved(provider=provider, model_id=id_, model=model):
            about = (provider, id_)
            _close(db, seq, event.at, about)
            db.execute(_OPEN, (*about, seq, event.at, "removed", "[]", _json(model)))
        case ModelMissing(provider=provider, model_id=id_):
            _keep(db, seq, event.at, (provider, id_), "missing")
        case ModelReturned(provider=provider, model_id=id_):
            _keep(db, seq, event.at, (provider, id_), "returned")
        case (
            CapabilityGained()
            | CapabilityLost()
            | ProviderRegistered()
            | ProviderReconfigured()
            | ProviderUnregistered()
            | ProviderSchemaChanged()
        ):
            pass


def _close(db: sqlite3.Connection, seq: int, at: str, about: tuple[str, str]) -> None:
    changed = db.execute(_CLOSE, (seq, at, *about))
    one_row(changed.rowcount, f"the version of {'/'.join(about)} before sequence {seq}")


def _keep(db: sqlite3.Connection, seq: int, at: str, about: tuple[str, str], change: str) -> None:
    """Open a version with the record of the one before."""
    _close(db, seq, at, about)
    db.execute(_KEEP, (seq, at, change, *about, seq))


def _json(value: object) -> str:
    return _encode(value).decode()
