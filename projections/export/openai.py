"""The body of ``GET /v1/models``, as OpenAI and all who follow it answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from projections.rows import Model


class _Entry(NamedTuple):
    provider: str
    id: str
    created: int
    owned_by: str

    @property
    def qualified(self) -> str:
        return f"{self.provider}/{self.id}"


def openai(models: Iterable[Model]) -> Iterator[str]:
    """Yield the list of *models*; who owns one is its provider, where that is not known.

    An id is what its provider calls it. Where several providers serve the same one, each is
    ``provider/id``, as gateways (LiteLLM, OpenRouter) have it: no id occurs twice, for tools take
    the list for a dictionary.
    """
    entries = [
        _Entry(one.provider, one.id, _seconds(one.created), one.owned_by or one.provider)
        for one in models
    ]
    qualified = _qualified(entries)
    before = '{"object":"list","data":[\n '
    for entry in entries:
        told = {
            "id": entry.qualified if entry.id in qualified else entry.id,
            "object": "model",
            "created": entry.created,
            "owned_by": entry.owned_by,
        }
        yield before + msgspec.json.encode(told).decode()
        before = ",\n "
    yield "]}\n" if entries else '{"object":"list","data":[]}\n'


def _qualified(entries: list[_Entry]) -> set[str]:
    """Return the ids that need their provider before them.

    Those of several providers; and those that look like such a qualified one, as ``openai/gpt-4o``
    of a gateway does beside the `gpt-4o` of openai.
    """
    found = {one for one, count in Counter(entry.id for entry in entries).items() if count > 1}
    while True:
        taken = {entry.qualified for entry in entries if entry.id in found}
        more = {entry.id for entry in entries if entry.id in taken} - found
        if not more:
            return found
        found |= more


def _seconds(day: str | None) -> int:
    """Return the begin of *day* in seconds since 1970, 0 where it is not known."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) if day else 0
