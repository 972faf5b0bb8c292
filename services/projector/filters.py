"""The filters of a request become what is asked of the catalogue: the words of the command line."""

from __future__ import annotations

from collections.abc import Iterable

from events.base import Instant
from events.queries import ModelsQuery
from events.record import CAPABILITIES, MODALITIES
from projections import ModelFilter
from projections.search import SORTS

OVERDUE = "overdue"
"""Listed although the day on which it retires is past: not a state of its own, but asked for so."""
LIFECYCLES = ("preview", "active", "deprecated", "retired", OVERDUE)
AVAILABILITIES = ("listed", "missing")
STATUSES = ("inactive", "active", "degraded", "error")


def model_filter(asked: ModelsQuery, now: Instant) -> ModelFilter:
    """Return the filter that *asked* amounts to; raise ValueError for a word that is none."""
    state = _one(asked.lifecycle, LIFECYCLES, "lifecycle")
    if asked.sort is not None:
        check([asked.sort.removeprefix("-")], SORTS, "sort")
    window = asked.min_context
    return ModelFilter(
        provider=asked.provider,
        capability_all=tuple(check(several(asked.capability), CAPABILITIES, "capability")),
        capability_any=tuple(check(several(asked.any_capability), CAPABILITIES, "any_capability")),
        modality=_one(asked.modality, MODALITIES, "modality"),
        min_context=tokens(window) if isinstance(window, str) else window,
        max_input_price=asked.max_input_price,
        lifecycle=None if state == OVERDUE else state,
        overdue_on=now[:10] if state == OVERDUE else None,
        availability=_one(asked.availability, AVAILABILITIES, "availability"),
        text=asked.text,
        sort=asked.sort,
    )


def several(given: str | Iterable[str]) -> list[str]:
    """Return the words of a key that takes one or several."""
    return [given] if isinstance(given, str) else list(given)


def check(given: Iterable[str], known: Iterable[str], key: str) -> list[str]:
    """Return *given*, the value of *key*; raise ValueError where one is not among *known*."""
    found, words = list(given), list(known)
    for word in found:
        if word not in words:
            raise ValueError(f'{key}: "{word}" is none of {", ".join(words)}')
    return found


def _one(given: str | None, known: Iterable[str], key: str) -> str | None:
    return None if given is None else check([given], known, key)[0]


def tokens(text: str) -> int:
    """Return the number that ``128000``, ``128k`` or ``1M`` means; raises ValueError."""
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].isalpha() else (text, "")
    try:
        found = int(float(number) * {"": 1, "k": 1_000, "m": 1_000_000}[unit])
    except (ValueError, KeyError, OverflowError):
        found = -1
    if not 0 <= found < 2**63:
        raise ValueError(f'"{text}" is no number of tokens; write 128000, 128k or 1M')
    return found
