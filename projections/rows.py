"""The rows of the catalogue as people get them: the contract's columns, nested values nested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from events.base import Instant
from events.record import Change

Row = TypeVar("Row", bound=msgspec.Struct)
Ask = Callable[[str, Sequence[Any]], Iterable[tuple[Any, ...]]]
"""How a question in SQL is put, with its parameters."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is listed, or missing and not yet removed.

    *price_input* and *price_output* are USD per 1,000,000 tokens, for sorting; `prices` has the
    exact ones. *seq* is the sequence of its last `model.*` event.
    """

    provider: str
    id: str
    name: str
    owned_by: str | None
    family: str | None
    description: str | None
    created: str | None
    knowledge_cutoff: str | None
    context_window: int | None
    max_input_tokens: int | None
    max_output_tokens: int | None
    open_weights: bool | None
    input_modalities: list[str]
    output_modalities: list[str]
    capabilities: dict[str, bool]
    prices: dict[str, str]
    lifecycle: dict[str, Any]
    aliases: list[str]
    sources: dict[str, str]
    price_input: float | None
    price_output: float | None
    lifecycle_state: str
    retires_on: str | None
    availability: str
    first_seen_at: Instant
    updated_at: Instant
    missing_since: Instant | None
    seq: int


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a model; *until_seq* and *until* are null for the current one."""

    provider: str
    model_id: str
    seq: int
    until_seq: int | None
    at: Instant
    until: Instant | None
    change: str
    changed: list[Change]
    record: dict[str, Any]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a model between two moments: `appeared`, `vanished` or `changed`."""

    provider: str
    model_id: str
    change: str
    changed: list[Change]


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A registered provider; *refreshed_at* and *refresh_outcome* are those of its last run."""

    name: str
    dialect: str
    base_url: str
    enabled: bool
    priority: int
    origin: str
    status: str
    status_cause: str | None
    status_since: Instant | None
    stale: bool
    model_count: int
    refreshed_at: Instant | None
    refresh_outcome: str | None
    registered_at: Instant


class Refresh(msgspec.Struct, frozen=True, kw_only=True):
    """One run; *outcome* is `started` while there is none, *error_class* as in the contract."""

    run_id: str
    provider: str
    outcome: str
    reason: str | None
    force: bool | None
    started_at: Instant | None
    ended_at: Instant | None
    observed_at: Instant | None
    attempts: int | None
    models: int | None
    added: int | None
    updated: int | None
    missing: int | None
    removed: int | None
    skipped: int | None
    duplicates: int | None
    complete: bool | None
    not_modified: bool | None
    duration_ms: int | None
    held: list[Any] | None
    absent: dict[str, Any] | None
    error_class: str | None
    error_message: str | None
    error_status: int | None
    seq: int


NESTED = frozenset(
    {
        *("input_modalities", "output_modalities", "capabilities", "prices", "lifecycle"),
        *("aliases", "sources", "changed", "record", "held", "absent"),
        *("credential", "credentials", "headers", "options", "schedule", "health"),
        *("checks", "list"),
    }
)
"""Columns that hold JSON."""
TRUTHS = frozenset(
    {
        *("open_weights", "enabled", "stale", "force", "complete", "not_modified"),
        *("suspect", "flapping"),
    }
)
"""Columns that hold 0 or 1."""


def columns(kind: type[msgspec.Struct], table: str = "") -> str:
    """Return the columns of *kind* as a SELECT names them, of *table* where several are joined."""
    of = f"{table}." if table else ""
    return ", ".join(f'{of}"{name}"' for name in kind.__struct_encode_fields__)


def built(kind: type[Row], row: tuple[Any, ...]) -> Row:
    """Return *row*, selected by `columns`, as *kind*."""
    fields = dict(zip(kind.__struct_encode_fields__, row, strict=True))
    return msgspec.convert({name: value(name, fields[name]) for name in fields}, kind)


def value(name: str, stored: Any) -> Any:  # noqa: ANN401 - SQL's edge
    """Return a stored value as people get it."""
    if stored is None:
        return None
    if name in NESTED:
        return msgspec.json.decode(stored)
    return bool(stored) if name in TRUTHS else stored
