"""Venice: what is known stands in `model_spec`; capabilities are explicit both ways.

Source: third-party clients.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page
from services.providers.kinds import usual
from services.providers.rows import Envelope, decoder, lifecycle, opened, page, record
from services.providers.units import PER_MILLION, prices
from services.providers.values import day, flag, flags, inner, text, whole

KINDS = {
    "text": "chat",
    "image": "image_generation",
    "tts": "speech",
    "asr": "transcription",
    "embedding": "embeddings",
    "video": "video_generation",
}
CAPABILITIES = {
    "supportsFunctionCalling": "tools",
    "supportsVision": "vision",
    "supportsReasoning": "reasoning",
    "supportsResponseSchema": "structured_output",
    "supportsWebSearch": "web_search",
    "supportsAudioInput": "audio_input",
    "supportsVideoInput": "video_input",
}
PRICES = {
    "input.usd": "input",
    "output.usd": "output",
    "cache_input.usd": "cache_read",
    "cache_write.usd": "cache_write",
}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]


class _Model(msgspec.Struct, frozen=True):
    id: str
    created: Any = None
    type: Any = None
    model_spec: Any = None


_list = decoder(_List)
_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    spec = row.model_spec
    known = flags(inner(spec, "capabilities"), CAPABILITIES)
    kind = KINDS.get(text(row.type) or "")
    known |= {kind: True} if kind else {}
    inputs, outputs = usual(known)
    source = text(inner(spec, "modelSource")) or ""
    return record(
        row.id,
        name=inner(spec, "name"),
        description=inner(spec, "description"),
        created=day(row.created),
        context_window=whole(inner(spec, "availableContextTokens")),
        max_output_tokens=whole(inner(spec, "maxCompletionTokens")),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        prices=prices(inner(spec, "pricing"), PRICES, PER_MILLION),
        lifecycle=lifecycle(preview=bool(flag(inner(spec, "betaModel")))),
        open_weights=True if "://huggingface.co/" in source else None,
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the list, which has one page."""
    return page(opened(body, _list).data, _model, _record)


DIALECT = Dialect("venice", at("/models?type=all"), parse, bearer)
