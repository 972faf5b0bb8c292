"""How the runs went: a row a run, and each provider's last outcome. Written by upsert alone."""

from __future__ import annotations

import sqlite3
from typing import assert_never

import msgspec

from events.audit import (
    AuditEvent,
    CommandAccepted,
    CommandRejected,
    DiscoveryCompleted,
    DiscoveryStarted,
    RefreshFailed,
    RefreshQuarantined,
    RefreshStarted,
    RefreshSucceeded,
    ServiceFailed,
    ServiceStarted,
    ServiceStopped,
)
from events.health import CheckCompleted
from projections import checks

DDL = """
CREATE TABLE refreshes (
  run_id TEXT NOT NULL PRIMARY KEY,
  provider TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT,
  force INTEGER CHECK (force IN (0, 1)),
  started_at TEXT,
  ended_at TEXT,
  observed_at TEXT,
  attempts INTEGER,
  models INTEGER,
  added INTEGER,
  updated INTEGER,
  missing INTEGER,
  removed INTEGER,
  skipped INTEGER,
  duplicates INTEGER,
  complete INTEGER CHECK (complete IN (0, 1)),
  not_modified INTEGER CHECK (not_modified IN (0, 1)),
  duration_ms INTEGER,
  held TEXT CHECK (held IS NULL OR json_valid(held)),
  absent TEXT CHECK (absent IS NULL OR json_valid(absent)),
  error_class TEXT,
  error_message TEXT,
  error_status INTEGER,
  seq INTEGER NOT NULL
) STRICT;
CREATE TABLE provider_refreshes (
  provider TEXT NOT NULL PRIMARY KEY,
  run_id TEXT NOT NULL,
  refreshed_at TEXT NOT NULL,
  refresh_outcome TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""
INDEXES = """
CREATE INDEX refreshes_by_provider ON refreshes (provider, seq);
"""

_START = """
INSERT INTO refreshes (run_id, provider, outcome, reason, force, started_at, seq)
VALUES (?, ?, 'started', ?, ?, ?, ?)
ON CONFLICT (run_id) DO UPDATE SET reason = excluded.reason, force = excluded.force,
  started_at = excluded.started_at
"""
_ENDED = (
    "outcome", "ended_at", "observed_at", "attempts", "models", "added", "updated", "missing",
    "removed", "skipped", "duplicates", "complete", "not_modified", "duration_ms", "held",
    "absent", "error_class", "error_message", "error_status", "seq",
)  # fmt: skip
_END = f"""
INSERT INTO refreshes (run_id, provider, {", ".join(_ENDED)})
VALUES (?, ?, {", ".join("?" * len(_ENDED))})
ON CONFLICT (run_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _ENDED)}
"""  # noqa: S608 - built of our own words
_LAST = """
INSERT INTO provider_refreshes VALUES (?, ?, ?, ?)
ON CONFLICT (provider) DO UPDATE SET run_id = excluded.run_id,
  refreshed_at = excluded.refreshed_at, refresh_outcome = excluded.refresh_outcome
"""


def apply(db: sqlite3.Connection, seq: int, event: AuditEvent) -> None:
    """Fold one event of the audit trail."""
    match event:
        case RefreshStarted(provider=provider, run_id=run_id):
            db.execute(_START, (run_id, provider, event.reason, event.force, event.at, seq))
        case RefreshSucceeded():
            _end(db, seq, event, "succeeded")
        case RefreshFailed():
            _end(db, seq, event, "failed")
        case RefreshQuarantined():
            _end(db, seq, event, "quarantined")
        case CheckCompleted():
            checks.apply(db, seq, event)
        case (
            DiscoveryStarted()
            | DiscoveryCompleted()
            | ServiceStarted()
            | ServiceStopped()
            | ServiceFailed()
            | CommandAccepted()
            | CommandRejected()
        ):
            pass
        case _:
            assert_never(event)


def _end(
    db: sqlite3.Connection,
    seq: int,
    event: RefreshSucceeded | RefreshFailed | RefreshQuarantined,
    outcome: str,
) -> None:
    error = event.error
    values = (
        outcome,
        event.at,
        event.observed_at,
        event.attempts,
        event.models,
        event.added,
        event.updated,
        event.missing,
        event.removed,
        event.skipped,
        event.duplicates,
        event.complete,
        event.not_modified,
        event.duration_ms,
        msgspec.json.encode(event.held).decode(),
        None if event.absent is None else msgspec.json.encode(event.absent).decode(),
        error.class_ if error else None,
        error.message if error else None,
        error.status if error else None,
        seq,
    )
    db.execute(_END, (event.run_id, event.provider, *values))
    db.execute(_LAST, (event.provider, event.run_id, event.at, outcome))
