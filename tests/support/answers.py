"""Answers of our own in the shapes that providers document, with the records they amount to.

A file is one case: the provider and its options, the answer as it is on the wire, and what it must
be read as. `stated` names the leaves whose source is the provider; what a record leaves out is
unknown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.table import BUILTIN

FOLDER = Path(__file__).parent.parent / "answers"


class Detail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer to a request beside the list: *ask* is its URL, *body* what is sent."""

    ask: str
    answer: msgspec.Raw
    body: dict[str, Any] | None = None


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer and what it means."""

    provider: str
    answer: msgspec.Raw
    records: list[dict[str, Any]]
    dialect: str | None = None
    base_url: str | None = None
    options: dict[str, Any] = {}
    url: str | None = None
    next: str | None = None
    total: int | None = None
    failed: int = 0
    unusable: int = 0
    details: list[Detail] = []

    @property
    def settings(self) -> Settings:
        """The provider as it is registered."""
        row = BUILTIN.get(self.provider)
        return Settings(
            name=self.provider,
            dialect=self.dialect or (row.dialect if row else ""),
            base_url=self.base_url or (row.base_url if row else ""),
            options=self.options,
        )

    @property
    def expected(self) -> list[ModelRecord]:
        """The records in full."""
        return [_in_full(dict(one)) for one in self.records]


def _in_full(short: dict[str, Any]) -> ModelRecord:
    sources = dict.fromkeys(sorted(short.pop("stated", [])), "provider")
    return msgspec.convert({"name": short["id"], **short, "sources": sources}, ModelRecord)


def names() -> list[str]:
    """Return the name of every case."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def case(name: str) -> Case:
    """Read one case."""
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=Case)
