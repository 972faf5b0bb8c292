"""LM Studio on this host: its newest list, else the older one, else the plain one.

Source: LM Studio's documentation of its REST API.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page, Refused
from services.providers.openai import owner
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.values import first, flag, inner, whole

NO_SUCH = "Unexpected endpoint"
LISTS = ("/api/v1/models", "/api/v0/models", "/v1/models")
KINDS = {
    "llm": {"chat": True},
    "vlm": {"chat": True, "vision": True},
    "embedding": {"embeddings": True},
    "embeddings": {"embeddings": True},
}


class _List(Envelope, frozen=True):
    models: list[msgspec.Raw] | None = None
    data: list[msgspec.Raw] | None = None


class _Model(msgspec.Struct, frozen=True, kw_only=True):
    type: str | None = None
    publisher: str | None = None
    owned_by: str | None = None
    display_name: str | None = None
    description: str | None = None
    max_context_length: int | float | None = None
    capabilities: Any = None


class _Keyed(_Model, frozen=True, kw_only=True):
    id: str = msgspec.field(name="key")


class _Plain(_Model, frozen=True, kw_only=True):
    id: str


_list = decoder(_List)
_keyed = decoder(_Keyed)
_plain = decoder(_Plain)


def _record(row: _Keyed | _Plain) -> ModelRecord:
    reasoning = inner(row.capabilities, "reasoning")
    said = {
        "vision": flag(inner(row.capabilities, "vision")),
        "tools": flag(inner(row.capabilities, "trained_for_tool_use")),
        "reasoning": True if isinstance(reasoning, dict) else flag(reasoning),
    }
    known: dict[str, bool | None] = dict(KINDS.get(row.type or "", {}))
    known |= {word: value for word, value in said.items() if value is not None}
    return record(
        row.id,
        name=row.display_name,
        owned_by=first(row.publisher, owner(row.owned_by)),
        description=row.description,
        context_window=whole(row.max_context_length),
        capabilities=known,
        open_weights=True,
    )


def parse(body: bytes, url: str, settings: Settings) -> Page:
    """Read a list of any of the three forms; the one after a list that is not there is the next.

    Some versions answer 200 where they know no such address, and say so.
    """
    try:
        read = opened(body, _list)
    except Refused as refused:
        older = instead(url, settings)
        if older is None or not refused.message.startswith(NO_SUCH):
            raise
        return Page([], older)
    if read.models is not None:
        return page(read.models, _keyed, _record)
    if read.data is None:
        raise msgspec.ValidationError("Object missing required field `models` or `data`")
    return page(read.data, _plain, _record)


def instead(url: str, _: Settings) -> str | None:
    """Return the next older list after the one at *url*."""
    parts = urlsplit(url)
    for newer, older in pairwise(LISTS):
        if parts.path.endswith(newer):
            return urlunsplit(parts._replace(path=parts.path.removesuffix(newer) + older))
    return None


DIALECT = Dialect("lmstudio", at(LISTS[0]), parse, bearer, local=True, instead=instead)
