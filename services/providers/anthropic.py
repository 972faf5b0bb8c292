"""Anthropic's list: limits, capabilities and life cycle, explicit both ways; no price.

Source: anthropic 2.12.0.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from events.decide.providers import Settings
from events.record import Lifecycle, ModelRecord
from services.providers.address import at, keyed, with_query
from services.providers.dialect import Dialect, Page
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.values import day, flag, inner, whole

TAIL = "/v1/models?limit=1000" + "".join(
    f"&lifecycle%5B%5D={state}" for state in ("active", "deprecated", "retired")
)
CAPABILITIES = {
    "image_input": "vision",
    "pdf_input": "pdf_input",
    "structured_outputs": "structured_output",
    "thinking": "reasoning",
    "batch": "batch",
    "server_tools.web_search": "web_search",
    "server_tools.code_execution": "code_execution",
}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]
    has_more: bool | None = None
    last_id: str | None = None


class _Model(msgspec.Struct, frozen=True):
    id: str
    display_name: str | None = None
    created_at: str | None = None
    max_input_tokens: int | float | None = None
    max_tokens: int | float | None = None
    lifecycle: str | None = None
    deprecated_at: str | None = None
    retires_at: str | None = None
    capabilities: dict[str, Any] | None = None


_list = decoder(_List)
_model = decoder(_Model)


def _lifecycle(row: _Model) -> Lifecycle:
    deprecated_on, retires_on = day(row.deprecated_at), day(row.retires_at)
    state: Literal["active", "deprecated", "retired"] = "active"
    match row.lifecycle:
        case "active" | "deprecated" | "retired":
            state = row.lifecycle
        case _ if deprecated_on or retires_on:
            state = "deprecated"
        case _:
            pass
    return Lifecycle(state=state, deprecated_on=deprecated_on, retires_on=retires_on)


def _record(row: _Model) -> ModelRecord:
    known = {
        ours: said
        for path, ours in CAPABILITIES.items()
        if (said := flag(inner(row.capabilities, *path.split("."), "supported"))) is not None
    }
    inputs = {"text"} | ({"image"} if known.get("vision") else set())
    inputs |= {"pdf"} if known.get("pdf_input") else set()
    return record(
        row.id,
        name=row.display_name,
        owned_by="anthropic",
        created=day(row.created_at),
        context_window=whole(row.max_input_tokens),
        max_input_tokens=whole(row.max_input_tokens),
        max_output_tokens=whole(row.max_tokens),
        inputs=sorted(inputs),
        outputs=["text"],
        capabilities={"chat": True, **known},
        lifecycle=_lifecycle(row),
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page; the next one comes after its last id, while there is more."""
    read = opened(body, _list)
    onward = None
    if read.has_more:
        if not read.last_id:
            raise msgspec.ValidationError("`has_more` without a `last_id`")
        onward = with_query(url, after_id=read.last_id)
    return page(read.data, _model, _record, onward=onward)


DIALECT = Dialect("anthropic", at(TAIL), parse, keyed("x-api-key", anthropic_version="2023-06-01"))
