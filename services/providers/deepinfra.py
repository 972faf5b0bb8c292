"""DeepInfra's list: what is known stands in `metadata`, which is null on some rows.

Source: recorded answers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page
from services.providers.kinds import usual
from services.providers.openrouter import owner_of
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.units import AS_IS, PER_MILLION, PER_MINUTE, prices
from services.providers.values import inner, listed, whole

TAGS = {
    "chat": "chat",
    "embed": "embeddings",
    "image-gen": "image_generation",
    "tts": "speech",
    "stt": "transcription",
    "vision": "vision",
    "vlm": "vision",
    "reasoning": "reasoning",
    "prompt_cache": "prompt_caching",
}
TOKENS = {"input_tokens": "input", "output_tokens": "output", "cache_read_tokens": "cache_read"}
UNITS = {
    "per_image_unit": "image",
    "input_characters": "characters_1m",
    "output_seconds": "video_second",
}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]


class _Model(msgspec.Struct, frozen=True):
    id: str
    metadata: dict[str, Any] | None = None


_list = decoder(_List)
_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    pricing = inner(row.metadata, "pricing")
    known = listed(inner(row.metadata, "tags"), TAGS, closed=False)
    inputs, outputs = usual(known)
    return record(
        row.id,
        owned_by=owner_of(row.id),
        description=inner(row.metadata, "description"),
        context_window=whole(inner(row.metadata, "context_length")),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        prices=prices(pricing, TOKENS, PER_MILLION)
        | prices(pricing, UNITS, AS_IS)
        | prices(pricing, {"input_seconds": "audio_minute"}, PER_MINUTE),
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the list, which has one page."""
    return page(opened(body, _list).data, _model, _record)


DIALECT = Dialect("deepinfra", at("/models"), parse, bearer)
