"""A LiteLLM proxy: one row a deployment, so several of one name merge.

Source: litellm 1.109.1.
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
from services.providers.units import PER_TOKEN, prices
from services.providers.values import flags, inner, text, whole

MODES = {
    "chat": "chat",
    "responses": "chat",
    "completion": "completion",
    "embedding": "embeddings",
    "rerank": "rerank",
    "moderation": "moderation",
    "image_generation": "image_generation",
    "image_edit": "image_editing",
    "video_generation": "video_generation",
    "audio_transcription": "transcription",
    "audio_speech": "speech",
    "realtime": "realtime",
}
CAPABILITIES = {
    "supports_function_calling": "tools",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_response_schema": "structured_output",
    "supports_native_streaming": "streaming",
    "supports_vision": "vision",
    "supports_audio_input": "audio_input",
    "supports_video_input": "video_input",
    "supports_pdf_input": "pdf_input",
    "supports_reasoning": "reasoning",
    "supports_web_search": "web_search",
    "supports_code_execution": "code_execution",
    "supports_computer_use": "computer_use",
    "supports_prompt_caching": "prompt_caching",
}
PRICES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "audio_input",
}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]


class _Model(msgspec.Struct, frozen=True):
    model_name: str
    model_info: dict[str, Any] | None = None


_list = decoder(_List)
_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    info = row.model_info
    known = flags(info, CAPABILITIES)
    kind = MODES.get(text(inner(info, "mode")) or "")
    known |= {kind: True} if kind else {}
    inputs, outputs = usual(known)
    return record(
        row.model_name,
        max_input_tokens=whole(inner(info, "max_input_tokens")),
        max_output_tokens=whole(inner(info, "max_output_tokens")),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        prices=prices(info, PRICES, PER_TOKEN),
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the list, which has one page."""
    return page(opened(body, _list).data, _model, _record)


DIALECT = Dialect("litellm", at("/v1/model/info"), parse, bearer, local=True)
