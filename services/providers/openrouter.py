"""OpenRouter's list: almost all of a record; what follows the provider on top is a fact, too.

Source: openrouter 1.3.84; recorded answers of 2025 and 2026.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page
from services.providers.rows import Envelope, decoder, lifecycle, opened, page, record
from services.providers.units import AS_IS, PER_TOKEN, amount, price, prices
from services.providers.values import (
    cutoff,
    day,
    first,
    inner,
    listed,
    modalities,
    senses,
    text,
    whole,
)

KINDS = {
    "text": "chat",
    "speech": "speech",
    "transcription": "transcription",
    "image": "image_generation",
    "embeddings": "embeddings",
    "video": "video_generation",
    "rerank": "rerank",
}
PARAMETERS = {
    "tools": "tools",
    "parallel_tool_calls": "parallel_tools",
    "structured_outputs": "structured_output",
    "response_format": "json_mode",
    "reasoning": "reasoning",
    "web_search_options": "web_search",
}
TOKENS = {
    "prompt": "input",
    "completion": "output",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
    "input_cache_write_1h": "cache_write_1h",
    "internal_reasoning": "reasoning",
    "audio": "audio_input",
    "audio_output": "audio_output",
    "image_token": "image_input",
}
CALLS = {"request": "request", "web_search": "web_search"}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]
    links: Any = None
    total_count: int | None = None


class _Model(msgspec.Struct, frozen=True):
    id: str
    canonical_slug: str | None = None
    hugging_face_id: str | None = None
    name: str | None = None
    created: int | float | None = None
    description: str | None = None
    context_length: int | float | None = None
    architecture: dict[str, Any] | None = None
    pricing: dict[str, Any] | None = None
    top_provider: dict[str, Any] | None = None
    supported_parameters: list[str] | None = None
    knowledge_cutoff: Any = None
    expiration_date: Any = None
    alias_target: Any = None


_list = decoder(_List)
_model = decoder(_Model)


def image_price(pricing: object) -> dict[str, str]:
    """Return what an image costs: per token where it costs what text does, else each.

    It was USD per image in 2025 and is the price of a token in 2026; only the equality tells.
    """
    image = amount(inner(pricing, "image"))
    if image is None:
        return {}
    if image == amount(inner(pricing, "prompt")):
        ours, factor = "image_input", PER_TOKEN
    else:
        ours, factor = "image", AS_IS
    said = price(image, factor)
    return {} if said is None else {ours: said}


def all_prices(pricing: object) -> dict[str, str]:
    """Return the base prices; `discount` changes nothing, `overrides` are conditional."""
    tokens = prices(pricing, TOKENS, PER_TOKEN)
    return image_price(pricing) | tokens | prices(pricing, CALLS, AS_IS)


def owner_of(id: str) -> str | None:
    """Return what stands before the slash of an id; a moving alias begins with ``~``."""
    before, slash, _ = id.partition("/")
    return before.removeprefix("~") if slash else None


def _record(row: _Model) -> ModelRecord:
    inputs = modalities(inner(row.architecture, "input_modalities"))
    outputs = inner(row.architecture, "output_modalities")
    cached = amount(inner(row.pricing, "input_cache_read")) is not None
    target = text(inner(row.alias_target, "slug")) if row.id.startswith("~") else None
    top = row.top_provider
    return record(
        row.id,
        name=row.name,
        owned_by=owner_of(row.id),
        description=row.description,
        created=day(row.created),
        knowledge_cutoff=cutoff(row.knowledge_cutoff),
        context_window=first(whole(row.context_length), whole(inner(top, "context_length"))),
        max_output_tokens=whole(inner(top, "max_completion_tokens")),
        inputs=inputs,
        outputs=modalities(outputs),
        capabilities=senses(inputs, closed=True)
        | listed(outputs, KINDS, closed=True)
        | listed(row.supported_parameters, PARAMETERS, closed=True)
        | ({"prompt_caching": True} if cached else {}),
        prices=all_prices(row.pricing),
        lifecycle=lifecycle(retires_on=day(row.expiration_date), replacement=target),
        aliases=[alias for alias in (text(row.canonical_slug), target) if alias] or None,
        open_weights=True if text(row.hugging_face_id) else None,
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page; `links.next` is the next one, where there is one."""
    read = opened(body, _list)
    onward = inner(read.links, "next")
    return page(
        read.data,
        _model,
        _record,
        onward=urljoin(url, onward) if isinstance(onward, str) and onward else None,
        total=read.total_count,
    )


DIALECT = Dialect(
    "openrouter",
    at("/models?output_modalities=all"),
    parse,
    bearer,
    masked=frozenset({"created", "description"}),
)
