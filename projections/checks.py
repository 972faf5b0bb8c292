"""How the cycles of checks ended: each for two days, and every hour of them for 400 days.

Owned by the audit trail alone, and pruned by the time of events, when a provider's hour turns: so a
replay makes the same rows, however it is batched.
"""

from __future__ import annotations

import sqlite3
from typing import get_args

import msgspec

from events.health import CheckCompleted, Verdict
from projections.latency import bucket, clamped

KEPT = 100
"""Cycles of a provider that stay, however old they are."""

DDL = """
CREATE TABLE checks (
  provider TEXT NOT NULL,
  at TEXT NOT NULL,
  seq INTEGER NOT NULL,
  cycle_id TEXT NOT NULL,
  source TEXT NOT NULL,
  started_at TEXT NOT NULL,
  duration_ms INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  cause TEXT,
  class TEXT NOT NULL,
  status_code INTEGER,
  latency_ms INTEGER,
  error_rate REAL NOT NULL,
  checks TEXT NOT NULL CHECK (json_valid(checks)),
  list TEXT CHECK (list IS NULL OR json_valid(list)),
  suspect INTEGER NOT NULL CHECK (suspect IN (0, 1)),
  flapping INTEGER NOT NULL CHECK (flapping IN (0, 1)),
  not_before TEXT,
  next_due TEXT,
  vantage TEXT NOT NULL,
  error_class TEXT,
  error_message TEXT,
  error_status INTEGER,
  PRIMARY KEY (provider, at, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE provider_checks (
  provider TEXT NOT NULL PRIMARY KEY,
  cycle_id TEXT NOT NULL,
  last_check_at TEXT NOT NULL,
  failures INTEGER NOT NULL,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE check_hours (
  provider TEXT NOT NULL,
  hour TEXT NOT NULL,
  ok INTEGER NOT NULL,
  partial INTEGER NOT NULL,
  fail INTEGER NOT NULL,
  blocked INTEGER NOT NULL,
  throttled INTEGER NOT NULL,
  unknown INTEGER NOT NULL,
  blips INTEGER NOT NULL,
  timeouts INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  latency_total_ms INTEGER NOT NULL,
  latency TEXT NOT NULL CHECK (json_valid(latency)),
  PRIMARY KEY (provider, hour)
) STRICT, WITHOUT ROWID;
"""

_COUNTS = (
    *(verdict.lower() for verdict in get_args(Verdict)),
    *("blips", "timeouts", "calls", "latency_total_ms"),
)
_LAST = "SELECT cycle_id, last_check_at, failures FROM provider_checks WHERE provider = ?"
_CHECK = f"INSERT INTO checks VALUES ({', '.join('?' * 23)})"  # noqa: S608 - our own words
_NOW = """
INSERT INTO provider_checks VALUES (?, ?, ?, ?, ?)
ON CONFLICT (provider) DO UPDATE SET cycle_id = excluded.cycle_id,
  last_check_at = excluded.last_check_at, failures = excluded.failures, seq = excluded.seq
"""
_HOUR = f"""
INSERT INTO check_hours
VALUES (?1, ?2, {", ".join(f"?3 = '{verdict}'" for verdict in get_args(Verdict))}, ?4, ?5, ?6, ?7,
  iif(?6, json_object(?8, 1), '{{}}'))
ON CONFLICT (provider, hour) DO UPDATE SET
  {", ".join(f"{name} = {name} + excluded.{name}" for name in _COUNTS)},
  latency = iif(?6, json_set(latency, ?9, coalesce(json_extract(latency, ?9), 0) + 1), latency)
"""  # noqa: S608 - built of our own words
_OLD_CHECKS = f"""
DELETE FROM checks WHERE provider = ?1 AND at < min(
  strftime('%Y-%m-%dT%H:%M:%fZ', ?2, '-48 hours'),
  (SELECT at FROM checks WHERE provider = ?1 ORDER BY at DESC LIMIT 1 OFFSET {KEPT - 1})
)
"""  # noqa: S608 - built of our own words
_OLD_HOURS = """
DELETE FROM check_hours
WHERE provider = ?1 AND hour < strftime('%Y-%m-%dT%H:%M:%fZ', ?2, '-400 days')
"""


def apply(db: sqlite3.Connection, seq: int, event: CheckCompleted) -> None:
    """Fold a cycle; one that was appended twice counts once."""
    provider, at, state = event.provider, event.at, event.state
    last = db.execute(_LAST, (provider,)).fetchone()
    cycle_id, last_at, failures = last or ("", "", 0)
    if cycle_id == event.cycle_id:
        return
    erred = state.status == "error"
    blip = failures > 0 and not state.f.count and not erred
    db.execute(_CHECK, _row(seq, event))
    db.execute(_NOW, (provider, event.cycle_id, at, 0 if erred else state.f.count, seq))
    timed_out = event.class_.startswith("timeout")
    taken = event.latency_ms
    place = "" if taken is None else str(bucket(taken))
    called, ms = (0, 0) if taken is None else (1, clamped(taken))
    hour = f"{at[:13]}:00:00.000Z"
    counts = (event.verdict, blip, timed_out, called, ms)
    db.execute(_HOUR, (provider, hour, *counts, place, f'$."{place}"'))
    if last_at[:13] != at[:13]:
        db.execute(_OLD_CHECKS, (provider, at))
        db.execute(_OLD_HOURS, (provider, at))


def _row(seq: int, event: CheckCompleted) -> tuple[object, ...]:
    wrong = event.verdict != "OK"
    messages = (one.message for one in event.checks if one.message and one.verdict != "OK")
    return (
        event.provider,
        event.at,
        seq,
        event.cycle_id,
        event.source,
        event.started_at,
        event.duration_ms,
        event.verdict,
        event.cause,
        event.class_,
        event.status_code,
        event.latency_ms,
        event.error_rate,
        msgspec.json.encode(event.checks).decode(),
        None if event.list_ is None else msgspec.json.encode(event.list_).decode(),
        event.suspect,
        event.flapping,
        event.not_before,
        event.next_due,
        event.vantage,
        event.class_ if wrong else None,
        next(messages, None) if wrong else None,
        event.status_code if wrong else None,
    )
