"""The form in which OpenRouter asks providers to list themselves: Groq, Baseten, Chutes and others.

Source: groq 1.7.0; OpenRouter's guide for providers; recorded answers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page
from services.providers.openai import PER_UNIT, owner
from services.providers.openrouter import KINDS, image_price, owner_of
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.table import Builtin, row_of
from services.providers.units import AS_IS, PER_TOKEN, price, prices
from services.providers.values import (
    day,
    first,
    inner,
    listed,
    modalities,
    senses,
    text,
    whole,
    words,
)

FEATURES = {
    "tools": "tools",
    "json_mode": "json_mode",
    "structured_outputs": "structured_output",
    "reasoning": "reasoning",
    "web_search": "web_search",
}
TOKENS = {"prompt": "input", "completion": "output"}
CACHE = {
    "input_cache_read": "cache_read",
    "input_cache_reads": "cache_read",
    "input_cache_write": "cache_write",
    "input_cache_writes": "cache_write",
}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]


class _Model(msgspec.Struct, frozen=True):
    id: str
    name: str | None = None
    owned_by: str | None = None
    created: int | float | None = None
    description: str | None = None
    hugging_face_id: str | None = None
    input_modalities: Any = None
    output_modalities: Any = None
    context_length: int | float | None = None
    context_window: int | float | None = None
    max_model_len: int | float | None = None
    max_output_length: int | float | None = None
    max_completion_tokens: int | float | None = None
    pricing: Any = None
    supported_features: Any = None
    openrouter: Any = None


_list = decoder(_List)
_model = decoder(_Model)


def _prices(row: _Model, traits: Builtin | None) -> dict[str, str]:
    """Return the prices of a row.

    A zero for images, requests and caches says that there are none; the guide asks for them all.
    """
    if "speech" in (words(row.output_modalities) or ()):  # Groq's are per character
        each = price(inner(row.pricing, "prompt"), PER_TOKEN)
        return {} if each is None else {"characters_1m": each}
    factor = PER_UNIT[traits.price_unit] if traits and traits.price_unit else PER_TOKEN
    others = image_price(row.pricing) if factor == PER_TOKEN else {}
    others |= prices(row.pricing, CACHE, factor) | prices(
        row.pricing, {"request": "request"}, AS_IS
    )
    charged = {ours: said for ours, said in others.items() if said != "0"}
    return prices(row.pricing, TOKENS, factor) | charged


def _record(row: _Model, traits: Builtin | None) -> ModelRecord:
    inputs = modalities(row.input_modalities)
    charged = _prices(row, traits)
    slug = text(inner(row.openrouter, "slug"))
    return record(
        row.id,
        name=row.name,
        owned_by=first(owner(row.owned_by), owner_of(row.id)),
        description=row.description,
        created=day(row.created) if traits is None or traits.created_known else None,
        context_window=first(
            whole(row.context_length), whole(row.context_window), whole(row.max_model_len)
        ),
        max_output_tokens=first(whole(row.max_output_length), whole(row.max_completion_tokens)),
        inputs=inputs,
        outputs=modalities(row.output_modalities),
        capabilities=senses(inputs, closed=True)
        | listed(row.output_modalities, KINDS, closed=False)
        | listed(row.supported_features, FEATURES, closed=True)
        | ({"prompt_caching": True} if "cache_read" in charged else {}),
        prices=charged,
        aliases=[slug] if slug else None,
        open_weights=True if text(row.hugging_face_id) else None,
    )


def parse(body: bytes, _: str, settings: Settings) -> Page:
    """Read the list, which has one page."""
    traits = row_of(settings)
    return page(opened(body, _list).data, _model, lambda row: _record(row, traits))


DIALECT = Dialect("openrouter_provider", at("/models"), parse, bearer)
