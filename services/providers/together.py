"""Together AI's list: a bare array; a zero is what does not apply, and half a row is half known.

Source: together 3.1.1; recorded answers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page
from services.providers.kinds import usual
from services.providers.rows import array, decoder, page, record
from services.providers.units import AS_IS, PER_MILLION, prices
from services.providers.values import day, inner, whole

KINDS = {
    "chat": ("chat",),
    "language": ("chat", "completion"),
    "code": ("chat", "completion"),
    "image": ("image_generation",),
    "video": ("video_generation",),
    "audio": ("speech",),
    "transcribe": ("transcription",),
    "embedding": ("embeddings",),
    "rerank": ("rerank",),
    "moderation": ("moderation",),
}
OPEN_LICENSES = {
    "apache-2.0", "apache2", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0",
    "cc-by-sa-4.0", "openrail", "openrail++", "bigscience-openrail-m", "creativeml-openrail-m",
    "bigcode-openrail-m",
}  # fmt: skip
TOKENS = {"input": "input", "output": "output", "cached_input": "cache_read"}
UNITS = {
    "hourly": "hour",
    "image_pixel.price_per_megapixel": "megapixel",
    "transcribe.price_per_minute": "audio_minute",
}


class _Model(msgspec.Struct, frozen=True):
    id: str
    created: int | float | None = None
    type: str | None = None
    display_name: str | None = None
    organization: str | None = None
    license: str | None = None
    context_length: int | float | None = None
    config: Any = None
    pricing: Any = None


_model = decoder(_Model)


def _prices(pricing: object) -> dict[str, str]:
    """Return what is charged; of tokens, a zero is free only where the other price is none."""
    tokens = prices(pricing, TOKENS, PER_MILLION)
    if tokens.get("cache_read") == "0":
        del tokens["cache_read"]
    if set(tokens.values()) <= {"0"}:
        tokens = {}
    others = prices(pricing, UNITS, AS_IS)
    return tokens | {ours: said for ours, said in others.items() if said != "0"}


def _record(row: _Model) -> ModelRecord:
    known = dict.fromkeys(KINDS.get(row.type or "", ()), True)
    inputs, outputs = usual(known)
    return record(
        row.id,
        name=row.display_name,
        owned_by=row.organization,
        created=day(row.created),
        context_window=whole(row.context_length),
        max_output_tokens=whole(inner(row.config, "max_output_length")),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        prices=_prices(row.pricing),
        open_weights=True if (row.license or "").lower() in OPEN_LICENSES else None,
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the array."""
    return page(array(body), _model, _record)


DIALECT = Dialect("together", at("/models"), parse, bearer)
