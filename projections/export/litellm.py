"""Entries as in LiteLLM's ``model_prices_and_context_window.json``; what is unknown stays out.

Source: litellm 1.109.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from events.record import KINDS
from projections.export.vendor import Vendor, unnamed
from projections.rows import Model

MODES = {
    "chat": "chat",
    "completion": "completion",
    "embeddings": "embedding",
    "rerank": "rerank",
    "moderation": "moderation",
    "image_generation": "image_generation",
    "image_editing": "image_edit",
    "video_generation": "video_generation",
    "speech": "audio_speech",
    "transcription": "audio_transcription",
    "realtime": "realtime",
}
SUPPORTS = {
    "tools": "supports_function_calling",
    "parallel_tools": "supports_parallel_function_calling",
    "structured_output": "supports_response_schema",
    "streaming": "supports_native_streaming",
    "vision": "supports_vision",
    "audio_input": "supports_audio_input",
    "video_input": "supports_video_input",
    "pdf_input": "supports_pdf_input",
    "reasoning": "supports_reasoning",
    "web_search": "supports_web_search",
    "code_execution": "supports_code_execution",
    "computer_use": "supports_computer_use",
    "prompt_caching": "supports_prompt_caching",
}
_MILLION = 1_000_000
COSTS = {
    "input": ("input_cost_per_token", _MILLION),
    "output": ("output_cost_per_token", _MILLION),
    "cache_read": ("cache_read_input_token_cost", _MILLION),
    "cache_write": ("cache_creation_input_token_cost", _MILLION),
    "cache_write_1h": ("cache_creation_input_token_cost_above_1hr", _MILLION),
    "reasoning": ("output_cost_per_reasoning_token", _MILLION),
    "audio_input": ("input_cost_per_audio_token", _MILLION),
    "audio_output": ("output_cost_per_audio_token", _MILLION),
    "image_input": ("input_cost_per_image_token", _MILLION),
    "image": ("output_cost_per_image", 1),
    "second": ("input_cost_per_second", 1),
    "audio_minute": ("input_cost_per_second", 60),
    "video_second": ("output_cost_per_video_per_second", 1),
    "characters_1m": ("input_cost_per_character", _MILLION),
}
"""Our prices, their keys, and of how many of their units ours is the price.

They have none of ours per megapixel, request, web search and hour.
"""
_HEARD = ("text", "image", "audio", "video")
"""Modalities that they name."""


def litellm(models: Iterable[Model], vendors: Mapping[str, Vendor]) -> Iterator[str]:
    """Yield one JSON object of *models* by LiteLLM's key; *vendors* are by our name of theirs.

    Where two providers have the same key, the later one is ``provider/id`` of ours.
    """
    taken: set[str] = set()
    before = "{\n "
    for model in models:
        vendor = vendors.get(model.provider) or unnamed(model.provider)
        key = model.id if vendor.plain else f"{vendor.litellm}/{model.id}"
        if key in taken:
            key = f"{model.provider}/{model.id}"
        if key in taken:
            continue
        taken.add(key)
        told = {key: _entry(model, vendor.litellm)}
        yield before + msgspec.json.encode(told).decode()[1:-1]
        before = ",\n "
    yield "}\n" if taken else "{}\n"


def _entry(model: Model, vendor: str) -> dict[str, Any]:
    mode = next((MODES[kind] for kind in KINDS if model.capabilities.get(kind)), None)
    longest = model.max_input_tokens or model.context_window
    told = {
        "litellm_provider": vendor,
        "mode": mode,
        "max_input_tokens": longest,
        "max_output_tokens": model.max_output_tokens,
        "max_tokens": model.max_output_tokens or longest,
        **_costs(model.prices),
        **{
            theirs: model.capabilities[ours]
            for ours, theirs in SUPPORTS.items()
            if ours in model.capabilities
        },
        "supported_modalities": _heard(model.input_modalities),
        "supported_output_modalities": _heard(model.output_modalities),
        "deprecation_date": model.retires_on,
    }
    return {key: value for key, value in told.items() if value is not None}


def _costs(prices: Mapping[str, str]) -> dict[str, float]:
    return {
        key: float(Decimal(prices[ours]) / units)
        for ours, (key, units) in COSTS.items()
        if ours in prices
    }


def _heard(modalities: list[str]) -> list[str] | None:
    return [one for one in _HEARD if one in modalities] or None
