"""Do they answer: the last status of each provider that is judged.

No process judges one yet. Until then the table is empty, and the view `providers` says so; its
segments in time are to be written here, too.
"""

from __future__ import annotations

DDL = """
CREATE TABLE provider_status (
  provider TEXT NOT NULL PRIMARY KEY,
  status TEXT NOT NULL CHECK (status IN ('inactive', 'active', 'degraded', 'error')),
  cause TEXT,
  since TEXT NOT NULL,
  stale INTEGER NOT NULL CHECK (stale IN (0, 1))
) STRICT, WITHOUT ROWID;
"""
