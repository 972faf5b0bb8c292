"""Every version of every model: valid from its sequence to that of the next one."""

from __future__ import annotations

import sqlite3
from typing import assert_never

import msgspec

from events.models import ModelAdded, ModelMissing, ModelRemoved, ModelReturned, ModelUpdated
from events.record import Change
from projections.faults import one_row

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
  record TEXT NOT NULL CHECK (json_valid(record))
) STRICT;
CREATE INDEX history_by_model ON model_history (provider, model_id, seq);
"""
INDEXES = """
CREATE INDEX history_by_id ON model_history (model_id, seq);
CREATE INDEX history_by_end ON model_history (until_seq);
"""

_CLOSE = """
UPDATE model_history SET until_seq = ?, until = ?
WHERE seq = (SELECT max(seq) FROM model_history WHERE provider = ? AND model_id = ?)
"""
"""The last version is the current one: the index alone finds it, however many came before."""
_OPEN = "INSERT INTO model_history VALUES (?, ?, ?, NULL, ?, NULL, ?, ?, ?)"
_KEEP = """
INSERT INTO model_history
SELECT provider, model_id, ?, NULL, ?, NULL, ?, ?, record FROM model_history
WHERE seq = (SELECT max(seq) FROM model_history WHERE provider = ? AND model_id = ?)
"""

AS_OF = """(
SELECT provider, model_id AS id,
  json_extract(record, '$.name') AS name,
  json_extract(record, '$.owned_by') AS owned_by,
  json_extract(record, '$.family') AS family,
  json_extract(record, '$.description') AS description,
  json_extract(record, '$.created') AS created,
  json_extract(record, '$.knowledge_cutoff') AS knowledge_cutoff,
  json_extract(record, '$.context_window') AS context_window,
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
  CAST(json_extract(record, '$.prices.input') AS REAL) AS price_input,
  CAST(json_extract(record, '$.prices.output') AS REAL) AS price_output,
  json_extract(record, '$.lifecycle.state') AS lifecycle_state,
  json_extract(record, '$.lifecycle.retires_on') AS retires_on,
  CASE WHEN missing_since IS NULL THEN 'listed' ELSE 'missing' END AS availability,
  (SELECT e.at FROM model_history AS e
    WHERE e.provider = h.provider AND e.model_id = h.model_id
    ORDER BY e.seq LIMIT 1) AS first_seen_at,
  (SELECT e.at FROM model_history AS e
    WHERE e.provider = h.provider AND e.model_id = h.model_id AND e.seq <= h.seq
      AND e.change IN ('added', 'updated')
    ORDER BY e.seq DESC LIMIT 1) AS updated_at,
  missing_since,
  seq
FROM (
  SELECT *,
    (SELECT CASE e.change WHEN 'missing'
        THEN COALESCE(json_extract(e.changed, '$[0].new'), e.at) END
      FROM model_history AS e
      WHERE e.provider = v.provider AND e.model_id = v.model_id AND e.seq <= v.seq
        AND e.change <> 'updated'
      ORDER BY e.seq DESC LIMIT 1) AS missing_since
  FROM model_history AS v
  WHERE seq <= ? AND (until_seq IS NULL OR until_seq > ?) AND change <> 'removed'
) AS h
)"""
"""The rows of `models` as they were at a sequence, given twice."""

_encode = msgspec.json.Encoder().encode


def apply(db: sqlite3.Connection, seq: int, event: Turn) -> None:
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
        case ModelMissing(provider=provider, model_id=id_, missing_since=since):
            # what a quarantine awaited is missing since before this fact
            changed = "[]" if since is None else _json([Change("missing_since", None, since)])
            _keep(db, seq, event.at, (provider, id_), "missing", changed)
        case ModelReturned(provider=provider, model_id=id_):
            _keep(db, seq, event.at, (provider, id_), "returned")
        case _:
            assert_never(event)


def _close(db: sqlite3.Connection, seq: int, at: str, about: tuple[str, str]) -> None:
    changed = db.execute(_CLOSE, (seq, at, *about))
    one_row(changed.rowcount, f"the version of {'/'.join(about)} before sequence {seq}")


def _keep(  # noqa: PLR0913, PLR0917 - the columns of a version
    db: sqlite3.Connection,
    seq: int,
    at: str,
    about: tuple[str, str],
    change: str,
    changed: str = "[]",
) -> None:
    """Open a version with the record of the one before."""
    _close(db, seq, at, about)
    db.execute(_KEEP, (seq, at, change, changed, *about))


def _json(value: object) -> str:
    return _encode(value).decode()
