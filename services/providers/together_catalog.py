"""Together AI's catalogue of what can be deployed on hosts of one's own.

Source: together 3.1.1.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer, with_query
from services.providers.dialect import Dialect, Page
from services.providers.rows import Envelope, decoder, lifecycle, opened, page, record
from services.providers.units import PER_MILLION, prices
from services.providers.values import day, listed, modalities, senses, text, whole, words

CAPABILITIES = {
    "CAPABILITY_CHAT": "chat",
    "CAPABILITY_EMBEDDING": "embeddings",
    "CAPABILITY_RERANKING": "rerank",
    "CAPABILITY_IMAGE_GENERATION": "image_generation",
    "CAPABILITY_VIDEO_GENERATION": "video_generation",
}
FEATURES = {
    "FEATURE_TOOL_CALLING": "tools",
    "FEATURE_STRUCTURED_OUTPUT": "structured_output",
    "FEATURE_REASONING": "reasoning",
}
PRICES = {"input": "input", "output": "output", "cachedInput": "cache_read"}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]
    next_cursor: str | None = None


class _Model(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    display_name: str | None = None
    description: str | None = None
    publisher: str | None = None
    capabilities: Any = None
    features: Any = None
    input_modalities: Any = None
    output_modalities: Any = None
    context_length: str | int | float | None = None
    pricing: Any = None
    status: str | None = None
    serverless_endpoint: str | None = None
    created_at: Any = None


_list = decoder(_List)
_model = decoder(_Model)


def _modalities(value: object) -> list[str] | None:
    said = words(value)
    return (
        modalities([word.removeprefix("MODALITY_") for word in said]) if said is not None else None
    )


def _record(row: _Model) -> ModelRecord:
    inputs = _modalities(row.input_modalities)
    endpoint = text(row.serverless_endpoint)
    return record(
        row.id,
        name=row.display_name,
        owned_by=row.publisher,
        description=row.description,
        created=day(row.created_at),
        context_window=whole(row.context_length),
        inputs=inputs,
        outputs=_modalities(row.output_modalities),
        capabilities=senses(inputs, closed=True)
        | listed(row.capabilities, CAPABILITIES, closed=True)
        | listed(row.features, FEATURES, closed=True),
        prices=prices(row.pricing, PRICES, PER_MILLION),
        lifecycle=lifecycle(deprecated=row.status == "SUPPORTED_MODEL_STATUS_DEPRECATED"),
        aliases=[endpoint] if endpoint else None,
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page; the next one comes after its cursor."""
    read = opened(body, _list)
    onward = with_query(url, after=read.next_cursor) if read.next_cursor else None
    return page(read.data, _model, _record, onward=onward)


DIALECT = Dialect("together_catalog", at("/supported-models"), parse, bearer)
