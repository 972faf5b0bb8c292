"""Do they answer: every status of every provider in time, and when nothing could be said."""

from __future__ import annotations

import sqlite3
from typing import assert_never

from events.health import (
    HealthCoverageLost,
    HealthCoverageRestored,
    HealthEvent,
    HealthMaintenanceEnded,
    HealthMaintenanceStarted,
    HealthStatusChanged,
)

DDL = """
CREATE TABLE provider_status (
  provider TEXT NOT NULL PRIMARY KEY,
  status TEXT NOT NULL CHECK (status IN ('inactive', 'active', 'degraded', 'error')),
  cause TEXT,
  since TEXT NOT NULL,
  stale INTEGER NOT NULL CHECK (stale IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE TABLE provider_history (
  provider TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('inactive', 'active', 'degraded', 'error')),
  cause TEXT,
  effective_at TEXT NOT NULL,
  detected_at TEXT NOT NULL,
  until TEXT,
  seq INTEGER NOT NULL,
  PRIMARY KEY (provider, seq)
) STRICT;
CREATE TABLE provider_gaps (
  provider TEXT NOT NULL,
  since TEXT NOT NULL,
  until TEXT,
  reason TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (provider, seq)
) STRICT;
CREATE TABLE provider_maintenance (
  provider TEXT NOT NULL,
  window_id TEXT NOT NULL,
  since TEXT NOT NULL,
  until TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (provider, seq)
) STRICT;
"""

_STATUS = """
INSERT INTO provider_status VALUES (?, ?, ?, ?, 0)
ON CONFLICT (provider) DO UPDATE SET status = excluded.status, cause = excluded.cause,
  since = excluded.since
"""
_STALE = """
INSERT INTO provider_status VALUES (?, 'inactive', 'unchecked', ?, ?)
ON CONFLICT (provider) DO UPDATE SET stale = excluded.stale
"""
_UNTIL = """
UPDATE provider_history SET until = ?1 WHERE provider = ?2
  AND seq = (SELECT max(seq) FROM provider_history WHERE provider = ?2)
"""
_SEGMENT = "INSERT INTO provider_history VALUES (?, ?, ?, ?, ?, NULL, ?)"
_LOST = """
INSERT INTO provider_gaps SELECT ?1, ?2, ?3, ?4, ?5
WHERE NOT EXISTS (SELECT 1 FROM provider_gaps WHERE provider = ?1 AND until IS NULL)
"""
_FOUND = """
UPDATE provider_gaps SET since = min(since, ?1), until = ?2 WHERE provider = ?3 AND until IS NULL
"""
_MAINTAIN = "INSERT INTO provider_maintenance VALUES (?, ?, ?, ?, ?)"
_MAINTAINED = """
UPDATE provider_maintenance SET until = ?1 WHERE provider = ?2
  AND seq = (SELECT max(seq) FROM provider_maintenance WHERE provider = ?2 AND window_id = ?3)
"""


def apply(db: sqlite3.Connection, seq: int, event: HealthEvent) -> None:
    """Fold one fact of a provider's health."""
    match event:
        case HealthStatusChanged():
            changed = (event.provider, event.to, event.cause, event.effective_at)
            db.execute(_STATUS, changed)
            db.execute(_UNTIL, (event.effective_at, event.provider))
            db.execute(_SEGMENT, (*changed, event.detected_at, seq))
        case HealthCoverageLost(provider=name, since=since):
            db.execute(_STALE, (name, since, True))
            db.execute(_LOST, (name, since, None, event.reason, seq))
        case HealthCoverageRestored(provider=name, since=since, until=until):
            db.execute(_STALE, (name, since, False))
            if not db.execute(_FOUND, (since, until, name)).rowcount:
                db.execute(_LOST, (name, since, until, event.reason, seq))
        case HealthMaintenanceStarted(provider=name, window_id=window):
            db.execute(_MAINTAIN, (name, window, event.at, event.until, seq))
        case HealthMaintenanceEnded(provider=name, window_id=window):
            db.execute(_MAINTAINED, (event.until, name, window))
        case _:
            assert_never(event)
