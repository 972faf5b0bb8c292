"""Whether a provider has changed the shape of its rows: for those who maintain its dialect.

Source: discovery.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from events.base import Instant
from events.providers import ProviderSchemaChanged

MOST_ROWS = 0.8
"""Share of the rows that must gain or lose a field."""
FEW = 3
"""Rows that may do so without its meaning anything."""


class Shape(NamedTuple):
    """Which raw fields the rows of a list have: how many rows have each, of which models."""

    fields: Mapping[str, int]
    ids: frozenset[str]
    rows: int


def drifted(
    provider: str, before: Shape | None, after: Shape, now: Instant
) -> ProviderSchemaChanged | None:
    """Return the drift between two lists, one after the other; None where there is none.

    Only rows of both lists can gain or lose a field. Counts do not say which rows have it, so all
    rows that came count as if they had brought it, and all that went as if they had taken it away:
    a list that merely grew or shrank is no drift.
    """
    if before is None or before.fields == after.fields:
        return None
    both = len(before.ids & after.ids)
    came, went = after.rows - both, before.rows - both
    names = sorted(before.fields.keys() | after.fields.keys())
    change = {name: after.fields.get(name, 0) - before.fields.get(name, 0) for name in names}
    gained = {name: by - came for name, by in change.items() if _is_most(by - came, both)}
    lost = {name: -by - went for name, by in change.items() if _is_most(-by - went, both)}
    if not gained and not lost:
        return None
    return ProviderSchemaChanged(
        at=now,
        provider=provider,
        added_fields=list(gained),
        removed_fields=list(lost),
        models=max(*gained.values(), *lost.values(), 0),
    )


def _is_most(rows: int, both: int) -> bool:
    return rows > FEW and rows >= MOST_ROWS * both
