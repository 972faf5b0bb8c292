"""Vercel's AI gateway: a type, tags and prices per token.

Source: Vercel's documentation of its REST API.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page
from services.providers.kinds import usual
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.units import AS_IS, PER_TOKEN, prices
from services.providers.values import day, first, listed, whole

KINDS = {
    "language": "chat",
    "embedding": "embeddings",
    "reranking": "rerank",
    "image": "image_generation",
    "video": "video_generation",
    "transcription": "transcription",
    "speech": "speech",
    "realtime": "realtime",
}
TAGS = {
    "tool-use": "tools",
    "reasoning": "reasoning",
    "vision": "vision",
    "file-input": "pdf_input",
    "implicit-caching": "prompt_caching",
}
TOKENS = {
    "input": "input",
    "output": "output",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]


class _Model(msgspec.Struct, frozen=True):
    id: str
    created: int | float | None = None
    released: int | float | None = None
    owned_by: str | None = None
    name: str | None = None
    description: str | None = None
    context_window: int | float | None = None
    max_tokens: int | float | None = None
    type: str | None = None
    tags: Any = None
    pricing: Any = None


_list = decoder(_List)
_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    known = listed(row.tags, TAGS, closed=False)
    known |= {KINDS[row.type]: True} if row.type in KINDS else {}
    inputs, outputs = usual(known)
    return record(
        row.id,
        name=row.name,
        owned_by=row.owned_by,
        description=row.description,
        created=first(day(row.released), day(row.created)),
        context_window=whole(row.context_window),
        max_output_tokens=whole(row.max_tokens),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        prices=prices(row.pricing, TOKENS, PER_TOKEN)
        | prices(row.pricing, {"image": "image"}, AS_IS),
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the list, which has one page."""
    return page(opened(body, _list).data, _model, _record)


DIALECT = Dialect("vercel", at("/models"), parse, bearer)
