"""Cloudflare's Workers AI: a task, and properties whose values are texts.

Source: Cloudflare's model files and documentation.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer, with_query
from services.providers.dialect import Dialect, Page
from services.providers.kinds import usual
from services.providers.rows import Envelope, decoder, lifecycle, opened, page, record
from services.providers.units import AS_IS, PER_MILLION, PER_THOUSAND, price
from services.providers.values import day, flag, flags, inner, text, whole

PER_PAGE = 100
TASKS = {
    "Text Generation": "chat",
    "Text Embeddings": "embeddings",
    "Text-to-Image": "image_generation",
    "Text-to-Speech": "speech",
    "Automatic Speech Recognition": "transcription",
    "Image-to-Text": "vision",
}
PROPERTIES = {
    "function_calling": "tools",
    "reasoning": "reasoning",
    "vision": "vision",
    "realtime": "realtime",
    "lora": "fine_tuning",
    "async_queue": "batch",
}
UNITS = {
    "per m input tokens": ("input", PER_MILLION),
    "per m output tokens": ("output", PER_MILLION),
    "per m cached input tokens": ("cache_read", PER_MILLION),
    "per 1k characters": ("characters_1m", PER_THOUSAND),
    "per audio minute": ("audio_minute", AS_IS),
}


class _List(Envelope, frozen=True):
    result: list[msgspec.Raw]
    result_info: Any = None


class _Property(msgspec.Struct, frozen=True):
    property_id: str
    value: Any = None


class _Model(msgspec.Struct, frozen=True):
    name: str
    id: str | None = None
    description: str | None = None
    task: dict[str, Any] | None = None
    created_at: str | None = None
    properties: list[_Property] = []
    deprecated: bool | None = None


_list = decoder(_List)
_model = decoder(_Model)


def _prices(offers: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for offer in offers if isinstance(offers, list) else []:
        unit = (text(inner(offer, "unit")) or "").lower()
        if unit not in UNITS or inner(offer, "currency") != "USD":
            continue
        ours, factor = UNITS[unit]
        if (said := price(inner(offer, "price"), factor)) is not None:
            found[ours] = said
    return found


def _record(row: _Model) -> ModelRecord:
    properties = {one.property_id: one.value for one in row.properties}
    known = flags(properties, PROPERTIES)
    task = TASKS.get(text(inner(row.task, "name")) or "")
    known |= {task: True} if task else {}
    inputs, outputs = usual(known)
    parts = row.name.split("/")
    uuid = text(row.id)
    return record(
        row.name,
        name=parts[-1],
        owned_by=parts[1] if len(parts) > 2 else None,  # noqa: PLR2004 - @cf/owner/name
        description=row.description,
        created=day(row.created_at),
        context_window=whole(properties.get("context_window")),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        prices=_prices(properties.get("price")),
        lifecycle=lifecycle(
            preview=bool(flag(properties.get("beta"))),
            deprecated=bool(row.deprecated),
            retires_on=day(properties.get("planned_deprecation_date")),
        ),
        aliases=[uuid] if uuid else None,
    )


def _onward(url: str, info: object, rows: int) -> str | None:
    """Return the next page: by the count of pages, of rows, or while a page is full."""
    page_now = int(parse_qs(urlsplit(url).query).get("page", ["1"])[0])
    size = whole(inner(info, "per_page")) or PER_PAGE
    pages = whole(inner(info, "total_pages"))
    total = whole(inner(info, "total_count"))
    if pages is None and total is not None:
        pages = -(-total // size)
    more = rows >= size if pages is None else page_now < pages
    return with_query(url, page=page_now + 1) if more and rows else None


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page of the number that *url* asks for."""
    read = opened(body, _list)
    return page(
        read.result,
        _model,
        _record,
        onward=_onward(url, read.result_info, len(read.result)),
        total=whole(inner(read.result_info, "total_count")),
    )


DIALECT = Dialect(
    "cloudflare",
    at(f"/accounts/{{account}}/ai/models/search?per_page={PER_PAGE}&page=1"),
    parse,
    bearer,
)
