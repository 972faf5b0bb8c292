"""What is offered now: a row a model, and a row a capability that is known true."""

from __future__ import annotations

import sqlite3
from typing import Any, assert_never

import msgspec

from events.models import (
    CapabilityGained,
    CapabilityLost,
    ModelAdded,
    ModelEvent,
    ModelMissing,
    ModelRemoved,
    ModelReturned,
    ModelUpdated,
)
from events.record import CAPABILITIES, MODALITIES, ModelRecord
from projections.faults import one_row

DDL = """
CREATE TABLE models (
  provider TEXT NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  owned_by TEXT,
  family TEXT,
  description TEXT,
  created TEXT,
  knowledge_cutoff TEXT,
  context_window INTEGER,
  max_input_tokens INTEGER,
  max_output_tokens INTEGER,
  open_weights INTEGER CHECK (open_weights IN (0, 1)),
  input_modalities TEXT NOT NULL CHECK (json_valid(input_modalities)),
  output_modalities TEXT NOT NULL CHECK (json_valid(output_modalities)),
  capabilities TEXT NOT NULL CHECK (json_valid(capabilities)),
  prices TEXT NOT NULL CHECK (json_valid(prices)),
  lifecycle TEXT NOT NULL CHECK (json_valid(lifecycle)),
  aliases TEXT NOT NULL CHECK (json_valid(aliases)),
  sources TEXT NOT NULL CHECK (json_valid(sources)),
  price_input REAL,
  price_output REAL,
  lifecycle_state TEXT NOT NULL,
  retires_on TEXT,
  traits INTEGER NOT NULL,
  availability TEXT NOT NULL CHECK (availability IN ('listed', 'missing')),
  first_seen_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  missing_since TEXT,
  seq INTEGER NOT NULL,
  PRIMARY KEY (provider, id)
) STRICT;
CREATE TABLE model_capabilities (
  provider TEXT NOT NULL,
  model_id TEXT NOT NULL,
  capability TEXT NOT NULL,
  PRIMARY KEY (provider, model_id, capability)
) STRICT, WITHOUT ROWID;
"""

INDEXES = """
CREATE INDEX models_by_id ON models (id);
CREATE INDEX models_by_filter ON models (provider, id, context_window, price_input,
  lifecycle_state, retires_on, availability, traits);
CREATE INDEX capabilities_by_name ON model_capabilities (capability, provider, model_id);
"""

FULL_TEXT = ("id", "name", "description", "family")
TOKENIZE = "unicode61"
"""How words are told apart: by what is neither letter nor digit, without case and accents."""
_OLD, _NEW = (", ".join(f"{row}.{column}" for column in FULL_TEXT) for row in ("old", "new"))
_WORDS = ", ".join(FULL_TEXT)
TRIGGERS = f"""
CREATE TRIGGER models_ai AFTER INSERT ON models BEGIN
  INSERT INTO models_fts (rowid, {_WORDS}) VALUES (new.rowid, {_NEW});
END;
CREATE TRIGGER models_ad AFTER DELETE ON models BEGIN
  INSERT INTO models_fts (models_fts, rowid, {_WORDS}) VALUES ('delete', old.rowid, {_OLD});
END;
CREATE TRIGGER models_au AFTER UPDATE OF {_WORDS} ON models WHEN ({_OLD}) IS NOT ({_NEW}) BEGIN
  INSERT INTO models_fts (models_fts, rowid, {_WORDS}) VALUES ('delete', old.rowid, {_OLD});
  INSERT INTO models_fts (rowid, {_WORDS}) VALUES (new.rowid, {_NEW});
END;
"""  # noqa: S608 - built of our own words
"""They keep `models_fts` with `models`; a new price is not worth new words."""

RECORD = (
    "name", "owned_by", "family", "description", "created", "knowledge_cutoff", "context_window",
    "max_input_tokens", "max_output_tokens", "open_weights", "input_modalities",
    "output_modalities", "capabilities", "prices", "lifecycle", "aliases", "sources",
    "price_input", "price_output", "lifecycle_state", "retires_on", "traits",
)  # fmt: skip
"""The columns that say what is known of a model."""

_ADD = f"""
INSERT INTO models (provider, id, {", ".join(RECORD)},
  availability, first_seen_at, updated_at, missing_since, seq)
VALUES (?, ?, {", ".join("?" * len(RECORD))}, 'listed',
  COALESCE((SELECT at FROM model_history WHERE provider = ? AND model_id = ? ORDER BY seq LIMIT 1),
    ?), ?, NULL, ?)
"""  # noqa: S608 - built of our own words
_UPDATE = f"""
UPDATE models SET {", ".join(f"{column} = ?" for column in RECORD)}, updated_at = ?, seq = ?
WHERE provider = ? AND id = ?
"""  # noqa: S608 - built of our own words
_MISS = """
UPDATE models SET availability = 'missing', missing_since = ?, seq = ? WHERE provider = ? AND id = ?
"""
_RETURN = """
UPDATE models SET availability = 'listed', missing_since = NULL, seq = ?
WHERE provider = ? AND id = ?
"""
_REMOVE = "DELETE FROM models WHERE provider = ? AND id = ?"
_GAIN = "INSERT INTO model_capabilities VALUES (?, ?, ?)"
_LOSE = "DELETE FROM model_capabilities WHERE provider = ? AND model_id = ? AND capability = ?"

_encode = msgspec.json.Encoder().encode


def apply(db: sqlite3.Connection, seq: int, event: ModelEvent) -> None:
    """Fold one fact; raises MissingRow, and sqlite3.IntegrityError for a row that is there."""
    match event:  # the most frequent ones first
        case CapabilityGained(provider=provider, model_id=id_, capability=capability):
            db.execute(_GAIN, (provider, id_, capability))
        case CapabilityLost(provider=provider, model_id=id_, capability=capability):
            changed = db.execute(_LOSE, (provider, id_, capability))
            one_row(changed.rowcount, "loss of a capability by", provider, id_, capability)
        case ModelAdded(provider=provider, model=model):
            values = row(model)
            about = (provider, model.id)
            db.execute(_ADD, (*about, *values, *about, event.at, event.at, seq))
        case ModelUpdated(provider=provider, model=model):
            changed = db.execute(_UPDATE, (*row(model), event.at, seq, provider, model.id))
            one_row(changed.rowcount, "update of", provider, model.id)
        case ModelMissing(provider=provider, model_id=id_, missing_since=since):
            changed = db.execute(_MISS, (since or event.at, seq, provider, id_))
            one_row(changed.rowcount, "absence of", provider, id_)
        case ModelReturned(provider=provider, model_id=id_):
            changed = db.execute(_RETURN, (seq, provider, id_))
            one_row(changed.rowcount, "return of", provider, id_)
        case ModelRemoved(provider=provider, model_id=id_):
            changed = db.execute(_REMOVE, (provider, id_))
            one_row(changed.rowcount, "removal of", provider, id_)
        case _:
            assert_never(event)


def row(record: ModelRecord) -> tuple[Any, ...]:
    """Return the values of `RECORD` for *record*."""
    prices, lifecycle = record.prices, record.lifecycle
    return (
        record.name,
        record.owned_by,
        record.family,
        record.description,
        record.created,
        record.knowledge_cutoff,
        record.context_window,
        record.max_input_tokens,
        record.max_output_tokens,
        record.open_weights,
        _json(record.input_modalities),
        _json(record.output_modalities),
        _json(record.capabilities),
        _json(prices),
        _json(lifecycle),
        _json(record.aliases),
        _json(record.sources),
        float(prices["input"]) if "input" in prices else None,
        float(prices["output"]) if "output" in prices else None,
        lifecycle.state,
        lifecycle.retires_on,
        traits(record),
    )


TRAITS = {name: 1 << place for place, name in enumerate((*CAPABILITIES, *MODALITIES))}
"""The bit of each word for what a model can do, and for what goes in or comes out."""


def traits(record: ModelRecord) -> int:
    """Return the bits of `TRAITS` that are known of *record*: a filter reads them from an index."""
    known = 0
    for name, true in record.capabilities.items():
        if true and name in TRAITS:
            known |= TRAITS[name]
    for name in record.input_modalities + record.output_modalities:
        if name in TRAITS:
            known |= TRAITS[name]
    return known


def _json(value: object) -> str:
    return _encode(value).decode()
