"""Recorded lists, scan by scan, as the providers sent them: what `discovery.py` replays.

A folder holds a log and the `timeline.py` that rebuilds it; see ../shared/recordings/README.md.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from events.base import Instant, instant_of
from events.decide.providers import Settings
from events.record import ModelRecord
from services.calls.rows import merged
from services.providers import DIALECTS
from services.providers.recall import Recall
from services.providers.table import BUILTIN

FOLDER = Path(__file__).parents[2] / "shared" / "recordings" / "timeline"
OURS = {
    "fireworks-ai": "fireworks",
    "google-gemini": "gemini-openai",
    "together-ai": "together",
    "xai-grok": "xai",
}
"""Our names of the recorder's providers, where they differ; any other speaks as OpenAI does."""

Row = dict[str, Any]


class Answer(NamedTuple):
    """What one provider answered in one scan: *body* is None where it failed, with *status*.

    *rows* are those of the list by id, as the recorder kept them. An unchanged list is the same
    object.
    """

    rows: dict[str, Row] | None
    body: bytes | None
    status: int | None


class Scan(NamedTuple):
    """One scan of all providers."""

    at: datetime
    answers: dict[str, Answer]

    @property
    def instant(self) -> Instant:
        """When it was, as events say it."""
        return instant_of(self.at.astimezone(UTC))


class NoTimeline(Exception):
    """A folder without recorded lists."""


def scans(folder: Path) -> list[Scan]:
    """Return every scan of the logs in *folder*, in order; raises NoTimeline."""
    logs = sorted([*folder.glob("*.jsonl.zst"), *folder.glob("*.jsonl")])
    code = folder / "timeline.py"
    if not logs:
        raise NoTimeline(f"{folder}: no *.jsonl or *.jsonl.zst here")
    timeline = _module(code if code.exists() else FOLDER / "timeline.py")
    return [scan for log in logs for scan in _read(timeline, log)]


def _module(path: Path) -> ModuleType:
    if not path.exists():
        raise NoTimeline(f"{path}: not there")
    spec = importlib.util.spec_from_file_location("timeline", path)
    if spec is None or spec.loader is None:
        raise NoTimeline(f"{path}: no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules["timeline"] = module
    spec.loader.exec_module(module)
    return module


def _read(timeline: ModuleType, log: Path) -> Iterator[Scan]:
    last: dict[str, tuple[object, Answer]] = {}
    scan: Scan | None = None
    for observed in timeline.observations(log):
        at: datetime = observed.time
        name = OURS.get(observed.provider, str(observed.provider))
        if scan is None or scan.at != at:
            if scan is not None:
                yield scan
            scan = Scan(at, {})
        if observed.models is None:
            found = re.match(r"HTTP (\d{3})\b", observed.error or "")
            scan.answers[name] = Answer(None, None, int(found[1]) if found else None)
            continue
        if name not in last or last[name][0] is not observed.models:
            body = json.dumps(timeline.body(observed.provider, observed.models)).encode()
            rows = {str(row["id"]): row for row in observed.models}
            last[name] = (observed.models, Answer(rows, body, 200))
        scan.answers[name] = last[name][1]
    if scan is not None:
        yield scan


def dialect_of(provider: str) -> str:
    """Return the dialect that *provider* speaks."""
    return BUILTIN[provider].dialect if provider in BUILTIN else "openai"


def read(provider: str, body: bytes, recall: Recall) -> dict[str, ModelRecord]:
    """Return the records of a list by their ids, as its dialect maps them.

    A row that is unchanged since the list before is the same object.
    """
    dialect = DIALECTS[dialect_of(provider)]
    settings = Settings(name=provider, dialect=dialect.name, base_url="http://127.0.0.1/v1")
    with recall.list():
        page = dialect.parse(body, "http://127.0.0.1/v1/models", settings)
    return {record.id: record for record in merged([row.record for row in page.rows])}


def good(all_scans: Sequence[Scan], provider: str) -> list[tuple[Scan, Answer]]:
    """Return the scans in which *provider* gave a list."""
    return [
        (scan, answer)
        for scan in all_scans
        if (answer := scan.answers.get(provider)) is not None and answer.rows is not None
    ]
