"""The recorded months that the demo plays: who listed what, and when that changed."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Literal

import msgspec

from events.base import Instant
from services.demo.rows import ROWS, Row

PATH = Path(__file__).parent / "data" / "models-dev-2026.json.gz"

Model = dict[str, Any]


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One model comes, changes or goes; *model* is null where it goes."""

    at: Instant
    provider: str
    op: Literal["add", "update", "remove"]
    id: str
    model: Model | None


class Listed(msgspec.Struct, frozen=True):
    """A provider: the dialect it is played in, and its models at the start."""

    dialect: str
    models: list[Model]


class Incident(msgspec.Struct, frozen=True):
    """Something that was put in by us and never happened: *fault* is a name in `FAULTS`."""

    provider: str
    start: Instant
    end: Instant
    fault: str
    note: str


class Recording(msgspec.Struct, frozen=True):
    """All of it: changes in the order of their moments, between *start* and *end*."""

    about: dict[str, Any]
    start: Instant
    end: Instant
    providers: dict[str, Listed]
    changes: list[Change]
    incidents: list[Incident] = []


def load(path: Path = PATH) -> Recording:
    """Read a recording; by default the one that comes with modelog.

    Raises OSError or msgspec.DecodeError where *path* is none.
    """
    return msgspec.json.decode(gzip.decompress(path.read_bytes()), type=Recording)


class Timeline:
    """Every provider's list at any moment; cheap while the moments go forward."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._rewind()

    def list_at(self, provider: str, at: Instant) -> list[Model]:
        """Return the models that *provider* lists at *at*, as models.dev describes them.

        Before the start it is the first list, after the end the last. Raises KeyError for a
        provider that was not recorded.
        """
        self._move(at)
        return list(self._models[provider].values())

    def rows_at(self, provider: str, at: Instant) -> list[Row]:
        """Return the same list in the provider's own words."""
        self._move(at)
        made = self._rows[provider]
        row = ROWS[self._recording.providers[provider].dialect]
        for id_, model in self._models[provider].items():
            if id_ not in made:
                made[id_] = row(model, provider)
        return [made[id_] for id_ in self._models[provider]]

    def _rewind(self) -> None:
        listed = self._recording.providers.items()
        self._at: Instant = ""
        self._next = 0
        self._models = {name: {m["id"]: m for m in one.models} for name, one in listed}
        self._rows: dict[str, dict[str, Row]] = {name: {} for name, _ in listed}

    def _move(self, at: Instant) -> None:
        if at < self._at:
            self._rewind()
        self._at = at
        changes = self._recording.changes
        while self._next < len(changes) and changes[self._next].at <= at:
            change = changes[self._next]
            self._next += 1
            self._rows[change.provider].pop(change.id, None)
            if change.model is None:
                self._models[change.provider].pop(change.id, None)
            else:
                self._models[change.provider][change.id] = change.model
