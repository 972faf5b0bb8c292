"""Fireworks' control plane: the models of an account; every page must repeat the first one's query.

Source: fireworks-ai 1.2.30.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer, with_query
from services.providers.dialect import Dialect, Page
from services.providers.rows import (
    Envelope,
    decoder,
    lifecycle,
    opened,
    page,
    record,
    rows_if_any,
)
from services.providers.values import day, flags, inner, text, whole

CAPABILITIES = {
    "supportsImageInput": "vision",
    "supportsTools": "tools",
    "tunable": "fine_tuning",
}


class _List(Envelope, frozen=True, rename="camel"):
    models: list[msgspec.Raw] | None = None
    next_page_token: str | None = None
    total_size: int | None = None


class _Model(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    display_name: str | None = None
    description: str | None = None
    create_time: str | None = None
    kind: str | None = None
    context_length: int | float | None = None
    supports_image_input: bool | None = None
    supports_tools: bool | None = None
    tunable: bool | None = None
    deprecation_date: Any = None
    hugging_face_url: str | None = None
    conversation_config: Any = None


_list = decoder(_List)
_model = decoder(_Model)


def _day(value: object) -> str | None:
    parts = [inner(value, part) for part in ("year", "month", "day")]
    if not all(isinstance(part, int) for part in parts):
        return None
    year, month, date = parts
    return day(f"{year:04}-{month:02}-{date:02}")


def _record(row: _Model) -> ModelRecord:
    said = {
        "supportsImageInput": row.supports_image_input,
        "supportsTools": row.supports_tools,
        "tunable": row.tunable,
    }
    known = flags(said, CAPABILITIES)
    known |= {"embeddings": True} if row.kind == "EMBEDDING_MODEL" else {}
    known |= {"chat": True} if row.conversation_config else {}
    account, _, short = row.name.removeprefix("accounts/").partition("/models/")
    return record(
        row.name,
        name=row.display_name,
        owned_by=account if short else None,
        description=row.description,
        created=day(row.create_time),
        context_window=whole(row.context_length),
        inputs=["image", "text"] if row.supports_image_input else None,
        capabilities=known,
        lifecycle=lifecycle(retires_on=_day(row.deprecation_date)),
        aliases=[short] if short else None,
        open_weights=True if text(row.hugging_face_url) else None,
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page; `totalSize` counts the rows of all."""
    read = opened(body, _list)
    onward = with_query(url, pageToken=read.next_page_token) if read.next_page_token else None
    raws = rows_if_any(body, read.models)
    return page(raws, _model, _record, onward=onward, total=read.total_size)


DIALECT = Dialect(
    "fireworks",
    at("/accounts/{account}/models?pageSize=200"),
    parse,
    bearer,
    codes={"PRECONDITION_FAILED": "quota"},
)
