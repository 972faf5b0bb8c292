"""Who offers it: what the registry says, and a view that joins it with what audit owns."""

from __future__ import annotations

import sqlite3
from typing import assert_never

import msgspec

from events.providers import (
    ProviderEvent,
    ProviderReconfigured,
    ProviderRegistered,
    ProviderSchemaChanged,
    ProviderUnregistered,
)
from projections.faults import one_row

DDL = """
CREATE TABLE provider_settings (
  name TEXT NOT NULL PRIMARY KEY,
  dialect TEXT NOT NULL,
  base_url TEXT NOT NULL,
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  priority INTEGER NOT NULL,
  origin TEXT NOT NULL,
  credential TEXT CHECK (credential IS NULL OR json_valid(credential)),
  credentials TEXT NOT NULL CHECK (json_valid(credentials)),
  headers TEXT NOT NULL CHECK (json_valid(headers)),
  options TEXT NOT NULL CHECK (json_valid(options)),
  schedule TEXT NOT NULL CHECK (json_valid(schedule)),
  health TEXT NOT NULL CHECK (json_valid(health)),
  registered_at TEXT NOT NULL,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE VIEW providers AS
SELECT
  s.name, s.dialect, s.base_url, s.enabled, s.priority, s.origin,
  coalesce(h.status, 'inactive') AS status,
  CASE
    WHEN h.provider IS NOT NULL THEN h.cause
    WHEN s.enabled THEN 'unchecked'
    ELSE 'disabled'
  END AS status_cause,
  coalesce(h.since, s.registered_at) AS status_since,
  coalesce(h.stale, 0) AS stale,
  (SELECT count(*) FROM models AS m WHERE m.provider = s.name) AS model_count,
  r.refreshed_at, r.refresh_outcome, s.registered_at
FROM provider_settings AS s
LEFT JOIN provider_refreshes AS r ON r.provider = s.name
LEFT JOIN provider_status AS h ON h.provider = s.name;
"""

_REGISTER = "INSERT INTO provider_settings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RECONFIGURE = """
UPDATE provider_settings SET dialect = ?, base_url = ?, enabled = ?, priority = ?, origin = ?,
  credential = ?, credentials = ?, headers = ?, options = ?, schedule = ?, health = ?, seq = ?
WHERE name = ?
"""
_UNREGISTER = "DELETE FROM provider_settings WHERE name = ?"


def apply(db: sqlite3.Connection, seq: int, event: ProviderEvent) -> None:
    """Fold one fact of the registry; raises MissingRow."""
    match event:
        case ProviderRegistered():
            db.execute(_REGISTER, (event.provider, *_settings(event), event.at, seq))
        case ProviderReconfigured():
            changed = db.execute(_RECONFIGURE, (*_settings(event), seq, event.provider))
            one_row(changed.rowcount, "new settings of", event.provider)
        case ProviderUnregistered():
            changed = db.execute(_UNREGISTER, (event.provider,))
            one_row(changed.rowcount, "the end of", event.provider)
        case ProviderSchemaChanged():
            pass
        case _:
            assert_never(event)


def _settings(event: ProviderRegistered | ProviderReconfigured) -> tuple[object, ...]:
    return (
        event.dialect,
        event.base_url,
        event.enabled,
        event.priority,
        event.origin,
        None if event.credential is None else _json(event.credential),
        _json(event.credentials),
        _json(event.headers),
        _json(event.options),
        _json(event.schedule),
        _json(event.health),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
