"""Gemini's native list: limits and methods; 50 rows a page unless more are asked for.

Source: google-genai 3.4.0.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, keyed, with_query
from services.providers.dialect import Dialect, Page
from services.providers.rows import Envelope, decoder, opened, page, record, rows_if_any
from services.providers.values import listed, text, whole

METHODS = {
    "generateContent": "chat",
    "embedContent": "embeddings",
    "embedText": "embeddings",
    "bidiGenerateContent": "realtime",
    "createCachedContent": "prompt_caching",
    "batchGenerateContent": "batch",
    "predict": "image_generation",
    "predictLongRunning": "video_generation",
}


class _List(Envelope, frozen=True):
    models: list[msgspec.Raw] | None = None
    nextPageToken: str | None = None  # noqa: N815 - the wire's


class _Model(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    base_model_id: str | None = None
    display_name: str | None = None
    description: str | None = None
    input_token_limit: int | float | None = None
    output_token_limit: int | float | None = None
    supported_generation_methods: Any = None
    thinking: bool | None = None


_list = decoder(_List)
_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    limit = whole(row.input_token_limit)
    methods = listed(row.supported_generation_methods, METHODS, closed=True)
    return record(
        row.name.removeprefix("models/"),
        name=row.display_name,
        owned_by="google",
        description=row.description,
        context_window=limit,
        max_input_tokens=limit,
        max_output_tokens=whole(row.output_token_limit),
        capabilities=methods | ({"reasoning": True} if row.thinking else {}),
        aliases=[row.name, text(row.base_model_id)],
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page; a list without rows is an object without `models`."""
    read = opened(body, _list)
    onward = with_query(url, pageToken=read.nextPageToken) if read.nextPageToken else None
    return page(rows_if_any(body, read.models), _model, _record, onward=onward)


DIALECT = Dialect(
    "gemini",
    at("/models?pageSize=1000"),
    parse,
    keyed("x-goog-api-key"),
    codes={"API_KEY_INVALID": "credential"},
)
