"""Do they answer: every status of every provider in time, and the one that holds now."""

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
) STRICT, WITHOUT ROWID;
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
_UNTIL = "UPDATE provider_history SET until = ? WHERE provider = ? AND until IS NULL"
_SEGMENT = "INSERT INTO provider_history VALUES (?, ?, ?, ?, ?, NULL, ?)"


def apply(db: sqlite3.Connection, seq: int, event: HealthEvent) -> None:
    """Fold one fact of a provider's health."""
    match event:
        case HealthStatusChanged():
            changed = (event.provider, event.to, event.cause, event.effective_at)
            db.execute(_STATUS, changed)
            db.execute(_UNTIL, (event.effective_at, event.provider))
            db.execute(_SEGMENT, (*changed, event.detected_at, seq))
        case HealthCoverageLost():
            db.execute(_STALE, (event.provider, event.since, True))
        case HealthCoverageRestored():
            db.execute(_STALE, (event.provider, event.since, False))
        case HealthMaintenanceStarted() | HealthMaintenanceEnded():
            pass
        case _:
            assert_never(event)
