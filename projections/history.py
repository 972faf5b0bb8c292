"""Every version of every model: valid from its sequence to that of the next one."""

from __future__ import annotations

import sqlite3
from typing import assert_never

import msgspec

from events.base import Instant
from events.models import ModelAdded, ModelMissing, ModelRemoved, ModelReturned, ModelUpdated
from events.record import Change
from projections.faults import one_row
from projections.models import traits

Turn = ModelAdded | ModelUpdated | ModelMissing | ModelReturned | ModelRemoved
"""The facts with which a version begins."""

DDL = """
CREATE TABLE model_history (
  provider TEXT NOT NULL,
  model_id TEXT NOT NULL,
  seq INTEGER NOT NULL PRIMARY KEY,
  until_seq INTEGER,
  at TEXT NOT NULL,
  until TEXT,
  change TEXT NOT NULL CHECK (change IN ('added', 'updated', 'missing', 'returned', 'removed')),
  changed TEXT NOT NULL CHECK (json_valid(changed)),
  record TEXT NOT NULL CHECK (json_valid(record)),
  context_window INTEGER,
  price_input REAL,
  lifecycle_state TEXT NOT NULL,
  retires_on TEXT,
  traits INTEGER NOT NULL,
  missing_since TEXT
) STRICT;
CREATE INDEX history_by_model ON model_history (provider, model_id, seq);
"""
INDEXES = """
CREATE INDEX history_by_id ON model_history (model_id, seq);
CREATE INDEX history_by_end ON model_history (until_seq);
CREATE INDEX history_by_filter ON model_history (provider, model_id, seq, until_seq, change,
  context_window, price_input, lifecycle_state, retires_on, traits, missing_since);
"""

_CLOSE = """
UPDATE model_history SET until_seq = ?, until = ?
WHERE seq = (SELECT max(seq) FROM model_history WHERE provider = ? AND model_id = ?)
"""
"""The last version is the current one: the index alone finds it, however many came before."""
_SINCE = """
SELECT missing_since FROM model_history WHERE provider = ? AND model_id = ?
ORDER BY seq DESC LIMIT 1
"""
_OPEN = """
INSERT INTO model_history VALUES (?, ?, ?, NULL, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_KEEP = """
INSERT INTO model_history
SELECT provider, model_id, ?, NULL, ?, NULL, ?, ?, record, context_window, price_input,
  lifecycle_state, retires_on, traits, ?
FROM model_history
WHERE seq = (SELECT max(seq) FROM model_history WHERE provider = ? AND model_id = ?)
"""

VERSIONS = """(
SELECT provider, model_id AS id,
  json_extract(record, '$.name') AS name,
  json_extract(record, '$.owned_by') AS owned_by,
  json_extract(record, '$.family') AS family,
  json_extract(record, '$.description') AS description,
  json_extract(record, '$.created') AS created,
  json_extract(record, '$.knowledge_cutoff') AS knowledge_cutoff,
  context_window,
  json_extract(record, '$.max_input_tokens') AS max_input_tokens,
  json_extract(record, '$.max_output_tokens') AS max_output_tokens,
  json_extract(record, '$.open_weights') AS open_weights,
  json_extract(record, '$.input_modalities') AS input_modalities,
  json_extract(record, '$.output_modalities') AS output_modalities,
  json_extract(record, '$.capabilities') AS capabilities,
  json_extract(record, '$.prices') AS prices,
  json_extract(record, '$.lifecycle') AS lifecycle,
  json_extract(record, '$.aliases') AS aliases,
  json_extract(record, '$.sources') AS sources,
  price_input,
  CAST(json_extract(record, '$.prices.output') AS REAL) AS price_output,
  lifecycle_state,
  retires_on,
  CASE WHEN missing_since IS NULL THEN 'listed' ELSE 'missing' END AS availability,
  (SELECT e.at FROM model_history AS e
    WHERE e.provider = h.provider AND e.model_id = h.model_id
    ORDER BY e.seq LIMIT 1) AS first_seen_at,
  (SELECT e.at FROM model_history AS e
    WHERE e.provider = h.provider AND e.model_id = h.model_id AND e.seq <= h.seq
      AND e.change IN ('added', 'updated')
    ORDER BY e.seq DESC LIMIT 1) AS updated_at,
  missing_since,
  seq,
  until_seq, change, traits
FROM model_history AS h
)"""
"""Every version as a row of `models`, and besides how long it was valid, and what began it."""
AS_OF = "+m.seq <= ? AND (+m.until_seq IS NULL OR +m.until_seq > ?) AND m.change <> 'removed'"
"""Which versions were the models at a sequence, given twice.

The signs keep SQLite from looking for them by sequence: it reads them in the order of the models.
"""

_encode = msgspec.json.Encoder().encode


def apply(db: sqlite3.Connection, seq: int, event: Turn) -> None:
    """Fold one fact: the version before it ends, and a new one begins. Raises MissingRow."""
    provider, at = event.provider, event.at
    match event:
        case ModelAdded(model=model):
            # of its removal, where it was here before
            db.execute(_CLOSE, (seq, at, provider, model.id))
            _open(db, seq, event, "added")
        case ModelUpdated(model=model):
            _close(db, seq, at, (provider, model.id))
            (missing,) = db.execute(_SINCE, (provider, model.id)).fetchone()
            _open(db, seq, event, "updated", _json(event.changed), missing)
        case ModelRemoved(model_id=id_):
            _close(db, seq, at, (provider, id_))
            _open(db, seq, event, "removed")
        case ModelMissing(model_id=id_, missing_since=since):
            # what a quarantine awaited is missing since before this fact
            changed = "[]" if since is None else _json([Change("missing_since", None, since)])
            _close(db, seq, at, (provider, id_))
            db.execute(_KEEP, (seq, at, "missing", changed, since or at, provider, id_))
        case ModelReturned(model_id=id_):
            _close(db, seq, at, (provider, id_))
            db.execute(_KEEP, (seq, at, "returned", "[]", None, provider, id_))
        case _:
            assert_never(event)


def _close(db: sqlite3.Connection, seq: int, at: Instant, about: tuple[str, str]) -> None:
    changed = db.execute(_CLOSE, (seq, at, *about))
    one_row(changed.rowcount, "the version before this one of", *about)


def _open(  # noqa: PLR0913, PLR0917 - the columns of a version
    db: sqlite3.Connection,
    seq: int,
    event: ModelAdded | ModelUpdated | ModelRemoved,
    change: str,
    changed: str = "[]",
    since: Instant | None = None,
) -> None:
    """Begin a version with the record that the fact tells."""
    model = event.model
    price = model.prices.get("input")
    values = (
        *(event.provider, model.id, seq, event.at, change, changed, _json(model)),
        model.context_window,
        None if price is None else float(price),
        model.lifecycle.state,
        model.lifecycle.retires_on,
        traits(model),
        since,
    )
    db.execute(_OPEN, values)


def _json(value: object) -> str:
    return _encode(value).decode()
