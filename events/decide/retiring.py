"""Which models come to their end, as their life cycles say. Pure.

Source: discovery.md, section 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from events.base import millis_of
from events.models import ModelAdded, ModelEvent, ModelRemoved, ModelUpdated

DAY = 86_400_000


class Retirement(NamedTuple):
    """A model that retires: on which date, and what replaces it, where that is known."""

    model_id: str
    retires_on: str
    replacement: str | None = None


Retiring = Mapping[str, Retirement]
"""Every listed model whose end is known, by its id."""
NOTHING: Retiring = {}


def evolve(retiring: Retiring, event: ModelEvent) -> Retiring:
    """Return *retiring* after one more fact; the mapping given stays as it is."""
    match event:
        case ModelAdded() | ModelUpdated():
            model = event.model
            date = model.lifecycle.retires_on
            if date is not None:
                retirement = Retirement(model.id, date, model.lifecycle.replacement)
                return {**retiring, model.id: retirement}
            return _without(retiring, model.id)
        case ModelRemoved():
            return _without(retiring, event.model_id)
        case _:
            return retiring


def _without(retiring: Retiring, model_id: str) -> Retiring:
    if model_id not in retiring:
        return retiring
    return {key: one for key, one in retiring.items() if key != model_id}


def days_left(retires_on: str, now: int) -> int | None:
    """Return the whole days from *now* to the start of a date; None where it is no date."""
    try:
        end = millis_of(f"{retires_on}T00:00:00.000Z")
    except ValueError:
        return None
    return -((now - end) // DAY)


def soon(retiring: Retiring, now: int, days: int = 30) -> tuple[Retirement, ...]:
    """Return what retires within *days* of *now*, in milliseconds, or should be gone already."""
    found = []
    for one in retiring.values():
        left = days_left(one.retires_on, now)
        if left is not None and left <= days:
            found.append(one)
    return tuple(sorted(found))
