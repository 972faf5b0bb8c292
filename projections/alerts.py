"""Whom to tell: a row an alert, open or past."""

from __future__ import annotations

import sqlite3
from typing import assert_never

from events.alerts import AlertEvent, AlertOpened, AlertResolved, AlertUpdated
from projections.faults import one_row

DDL = """
CREATE TABLE alerts (
  alert_id TEXT NOT NULL PRIMARY KEY,
  provider TEXT NOT NULL,
  model_id TEXT,
  kind TEXT NOT NULL,
  cause TEXT,
  severity TEXT NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
  message TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  since TEXT NOT NULL,
  opened_at TEXT NOT NULL,
  resolved_at TEXT,
  resolved_reason TEXT,
  state TEXT NOT NULL CHECK (state IN ('open', 'resolved')),
  acknowledged_at TEXT,
  silenced_until TEXT,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
INDEXES = """
CREATE INDEX alerts_by_provider ON alerts (provider, opened_at);
CREATE INDEX alerts_by_state ON alerts (state, provider, severity);
"""

_OPEN = """
INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, 'open', NULL, NULL, ?)
"""
_UPDATE = """
UPDATE alerts SET cause = ?, severity = ?, message = ?, seq = ? WHERE alert_id = ?
"""
_REOPEN = """
UPDATE alerts SET cause = ?, severity = ?, message = ?, seq = ?, state = 'open',
  resolved_at = NULL, resolved_reason = NULL, acknowledged_at = NULL WHERE alert_id = ?
"""
_ACKNOWLEDGE = "UPDATE alerts SET acknowledged_at = ?, seq = ? WHERE alert_id = ?"
_SILENCE = "UPDATE alerts SET silenced_until = ?, seq = ? WHERE alert_id = ?"
_RESOLVE = """
UPDATE alerts SET state = 'resolved', resolved_at = ?, resolved_reason = ?, message = ?, seq = ?
WHERE alert_id = ?
"""


def apply(db: sqlite3.Connection, seq: int, event: AlertEvent) -> None:
    """Fold one fact of an alert; raises MissingRow."""
    match event:
        case AlertOpened():
            db.execute(
                _OPEN,
                (
                    event.alert_id,
                    event.provider,
                    event.model_id,
                    event.kind,
                    event.cause,
                    event.severity,
                    event.message,
                    event.fingerprint,
                    event.since,
                    event.at,
                    seq,
                ),
            )
            return
        case AlertUpdated(change="acknowledged"):
            done = db.execute(_ACKNOWLEDGE, (event.at, seq, event.alert_id))
        case AlertUpdated(change="silenced"):
            done = db.execute(_SILENCE, (event.until, seq, event.alert_id))
        case AlertUpdated():
            statement = _REOPEN if event.change == "reopened" else _UPDATE
            given = (event.cause, event.severity, event.message, seq, event.alert_id)
            done = db.execute(statement, given)
        case AlertResolved():
            ended = (event.at, event.reason, event.message, seq, event.alert_id)
            done = db.execute(_RESOLVE, ended)
        case _:
            assert_never(event)
    one_row(done.rowcount, "alert", event.provider, event.alert_id)
