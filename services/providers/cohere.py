"""Cohere's list: 20 rows a page unless more are asked for; endpoints and features are closed lists.

Source: cohere 7.3.1.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer, with_query
from services.providers.dialect import Dialect, Page
from services.providers.kinds import usual
from services.providers.rows import (
    Envelope,
    decoder,
    lifecycle,
    opened,
    page,
    record,
)
from services.providers.values import listed, whole

ENDPOINTS = {
    "chat": "chat",
    "embed": "embeddings",
    "rerank": "rerank",
    "generate": "completion",
}
FEATURES = {
    "tools": "tools",
    "json_mode": "json_mode",
    "json_schema": "structured_output",
    "vision": "vision",
    "reasoning": "reasoning",
}


class _List(Envelope, frozen=True):
    models: list[msgspec.Raw]
    next_page_token: str | None = None


class _Model(msgspec.Struct, frozen=True):
    name: str
    is_deprecated: bool | None = None
    endpoints: Any = None
    context_length: int | float | None = None
    features: Any = None


_list = decoder(_List)
_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    known = listed(row.endpoints, ENDPOINTS, closed=True)
    known |= listed(row.features, FEATURES, closed=True)
    inputs, outputs = usual(known)
    return record(
        row.name,
        owned_by="cohere",
        context_window=whole(row.context_length),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        lifecycle=lifecycle(deprecated=bool(row.is_deprecated)),
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page; an empty token is the end."""
    read = opened(body, _list)
    onward = with_query(url, page_token=read.next_page_token) if read.next_page_token else None
    return page(read.models, _model, _record, onward=onward)


DIALECT = Dialect("cohere", at("/v1/models?page_size=1000"), parse, bearer)
