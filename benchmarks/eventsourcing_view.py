"""The same facts projected by the PyPI package `eventsourcing`: run by `million.py`, elsewhere.

    OTHER/bin/python benchmarks/eventsourcing_view.py FACTS.jsonl DDL.sql VIEW.db [--tuned]

This runs in an environment of its own, which has that package and nothing of ours. Its SQLite
recorder has no subscriptions, which its ProjectionRunner needs, so the events are in its recorder
in memory: there they cost the least. The view is a tracking recorder over SQLite, as its
documentation makes one: each event changes its rows and the tracking in one transaction, by its
design. What it reads in batches of 500, and tracks in a single row, it does by default. The tables
are ours, without what readers need besides the rows. The package leaves it to SQLite how often a
commit waits for the disk: every time. Tuned, it waits as rarely as ours does, which takes a patch.
"""

# The package is in another environment, where no checker looks.
# mypy: ignore-errors
# pyright: reportMissingImports=false

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from uuid import NAMESPACE_URL, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import Tracking
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteTrackingRecorder

SECONDS = 3_600
MOMENT = datetime(2026, 3, 1, tzinfo=UTC)
JOURNAL_PAGES = 4_000
COLUMNS = (
    *("name", "owned_by", "family", "description", "created", "knowledge_cutoff"),
    *("context_window", "max_input_tokens", "max_output_tokens", "open_weights"),
)
NESTED = (
    *("input_modalities", "output_modalities", "capabilities", "prices", "lifecycle"),
    *("aliases", "sources"),
)
RECORD = (*COLUMNS, *NESTED, "price_input", "price_output", "lifecycle_state", "retires_on")
CLOSE = """
UPDATE model_history SET until_seq = ?, until = ?
WHERE seq = (SELECT max(seq) FROM model_history WHERE provider = ? AND model_id = ?)
"""
OPEN = """
INSERT INTO model_history VALUES (?, ?, ?, NULL, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
KEEP = """
INSERT INTO model_history
SELECT provider, model_id, ?, NULL, ?, NULL, ?, '[]', record, context_window, price_input,
  lifecycle_state, retires_on, traits, ?
FROM model_history
WHERE seq = (SELECT max(seq) FROM model_history WHERE provider = ? AND model_id = ?)
"""
ADD = f"""
INSERT INTO models (provider, id, {", ".join(RECORD)}, traits, availability, first_seen_at,
  updated_at, seq)
VALUES (?, ?{", ?" * len(RECORD)}, 0, 'listed', ?, ?, ?)
"""  # noqa: S608 - built of our own words
UPDATE = f"""
UPDATE models SET {", ".join(f"{name} = ?" for name in RECORD)}, updated_at = ?, seq = ?
WHERE provider = ? AND id = ?
"""  # noqa: S608 - built of our own words


class Fact(DomainEvent):
    """One event of ours: its fields as plain JSON."""

    body: dict[str, Any]


class View(SQLiteTrackingRecorder):
    """The tables of the models; all of an event's changes and its tracking in one transaction."""

    ddl: ClassVar[list[str]] = []

    def construct_create_table_statements(self) -> list[str]:
        """Add our tables."""
        return [*super().construct_create_table_statements(), *self.ddl]

    def fold(self, body: dict[str, Any], tracking: Tracking) -> None:
        """Change the rows that an event is about."""
        with self.datastore.transaction(commit=True) as db:
            self._insert_tracking(db, tracking)
            DOES[body["type"]](db.execute, tracking.notification_id, body)


class Facts(Application):
    """The log, in memory."""


class Models(Projection[View]):
    """Hands each fact to the view."""

    name = "models"

    def process_event(self, domain_event: Fact, tracking: Tracking) -> None:
        """Fold one event."""
        self.view.fold(domain_event.body, tracking)


Execute = Callable[..., Any]


def added(execute: Execute, seq: int, body: dict[str, Any]) -> None:
    """Insert a model, and its first version."""
    model, at = body["model"], body["at"]
    execute(CLOSE, (seq, at, body["provider"], model["id"]))
    begin(execute, seq, body, "added")
    about = (body["provider"], model["id"])
    execute(ADD, (*about, *row(model), at, at, seq))


def updated(execute: Execute, seq: int, body: dict[str, Any]) -> None:
    """Replace a model, and begin a version."""
    model, at = body["model"], body["at"]
    execute(CLOSE, (seq, at, body["provider"], model["id"]))
    begin(execute, seq, body, "updated")
    execute(UPDATE, (*row(model), at, seq, body["provider"], model["id"]))


def missing(execute: Execute, seq: int, body: dict[str, Any]) -> None:
    """Note since when a model is missing."""
    about, at = (body["provider"], body["model_id"]), body["at"]
    execute(CLOSE, (seq, at, *about))
    execute(KEEP, (seq, at, "missing", at, *about))
    sql = "UPDATE models SET availability = 'missing', missing_since = ?, seq = ?"
    execute(f"{sql} WHERE provider = ? AND id = ?", (at, seq, *about))


def returned(execute: Execute, seq: int, body: dict[str, Any]) -> None:
    """Note that a model is there again."""
    about, at = (body["provider"], body["model_id"]), body["at"]
    execute(CLOSE, (seq, at, *about))
    execute(KEEP, (seq, at, "returned", None, *about))
    sql = "UPDATE models SET availability = 'listed', missing_since = NULL, seq = ?"
    execute(f"{sql} WHERE provider = ? AND id = ?", (seq, *about))


def removed(execute: Execute, seq: int, body: dict[str, Any]) -> None:
    """Delete a model; its versions stay."""
    about, at = (body["provider"], body["model_id"]), body["at"]
    execute(CLOSE, (seq, at, *about))
    begin(execute, seq, body, "removed")
    execute("DELETE FROM models WHERE provider = ? AND id = ?", about)


def gained(execute: Execute, _: int, body: dict[str, Any]) -> None:
    """Insert a capability."""
    about = (body["provider"], body["model_id"], body["capability"])
    execute("INSERT INTO model_capabilities VALUES (?, ?, ?)", about)


def lost(execute: Execute, _: int, body: dict[str, Any]) -> None:
    """Delete a capability."""
    about = (body["provider"], body["model_id"], body["capability"])
    sql = "DELETE FROM model_capabilities WHERE provider = ? AND model_id = ? AND capability = ?"
    execute(sql, about)


DOES: dict[str, Callable[[Execute, int, dict[str, Any]], None]] = {
    "model.added": added,
    "model.updated": updated,
    "model.missing": missing,
    "model.returned": returned,
    "model.removed": removed,
    "capability.gained": gained,
    "capability.lost": lost,
}


def begin(execute: Execute, seq: int, body: dict[str, Any], change: str) -> None:
    """Begin a version."""
    model = body["model"]
    price = model.get("prices", {}).get("input")
    lifecycle = model.get("lifecycle", {})
    values = (
        *(body["provider"], model["id"], seq, body["at"], change),
        *(json.dumps(body.get("changed", [])), json.dumps(model), model.get("context_window")),
        None if price is None else float(price),
        *(lifecycle.get("state", "active"), lifecycle.get("retires_on"), 0, None),
    )
    execute(OPEN, values)


def row(model: dict[str, Any]) -> tuple[Any, ...]:
    """Return the columns of a model."""
    prices, lifecycle = model.get("prices", {}), model.get("lifecycle", {})
    return (
        *(model.get(name) for name in COLUMNS),
        *(json.dumps(model.get(name, {})) for name in NESTED),
        float(prices["input"]) if "input" in prices else None,
        float(prices["output"]) if "output" in prices else None,
        *(lifecycle.get("state", "active"), lifecycle.get("retires_on")),
    )


def facts(path: Path) -> Iterator[Fact]:
    """Read the events, a line each."""
    versions: dict[tuple[str, str], int] = {}
    with path.open() as lines:
        for line in lines:
            body = json.loads(line)
            about = (body["provider"], body.get("model_id") or body["model"]["id"])
            versions[about] = versions.get(about, 0) + 1
            yield Fact(
                originator_id=uuid5(NAMESPACE_URL, "/".join(about)),
                originator_version=versions[about],
                timestamp=MOMENT,
                body=body,
            )


def main(path: Path, ddl: Path, target: Path, *, tune: bool) -> None:
    """Fill the log, then project it, and print the seconds of the latter and what it made."""
    View.ddl = [one for one in ddl.read_text().split(";") if one.strip()]
    connect = sqlite3.connect

    def tuned(*args: Any, **settings: Any) -> sqlite3.Connection:  # noqa: ANN401 - passed on
        db = connect(*args, **settings)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {JOURNAL_PAGES}")
        return db

    if tune:
        sqlite3.connect = tuned  # the package has no setting for it
    env = {
        "MODELS_PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "MODELS_SQLITE_DBNAME": str(target),
    }
    made = Facts.__init__

    def filled(self: Facts, *args: Any, **settings: Any) -> None:  # noqa: ANN401 - passed on
        made(self, *args, **settings)
        for fact in facts(path):
            self.recorder.insert_events([self.mapper.to_stored_event(fact)])

    Facts.__init__ = filled  # the runner makes its own application
    runner = ProjectionRunner(
        application_class=Facts, projection_class=Models, view_class=View, env=env
    )
    began = time.perf_counter()  # its thread has begun a moment ago
    with runner:
        last = runner.app.recorder.max_notification_id()
        runner.wait(last, timeout=SECONDS)
        seconds = time.perf_counter() - began
    db = connect(target)
    rows = {
        table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - ours
        for table in ("models", "model_history", "model_capabilities")
    }
    print(json.dumps({"events": last, "seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), tune="--tuned" in sys.argv)
