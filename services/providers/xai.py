"""xAI's list, and its three lists by kind, which add modalities and prices.

Source: xai-sdk 1.21.0; recorded answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord, with_leaves
from services.providers.address import at, base, bearer
from services.providers.dialect import Detail, Dialect, Page, Request
from services.providers.openai import owner
from services.providers.rows import PROVIDER, Envelope, decoder, opened, page, record
from services.providers.units import PER_TOKEN, XAI_UNIT, amount, price, prices
from services.providers.values import day, inner, listed, modalities, senses, whole, words

KINDS = {"text": "chat", "image": "image_generation"}
TOKENS = {
    "prompt_text_token_price": "input",
    "cached_prompt_text_token_price": "cache_read",
    "completion_text_token_price": "output",
    "prompt_image_token_price": "image_input",
}
CALLS = {"image_price": "image", "search_price": "web_search"}
DETAILS = ("/language-models", "/image-generation-models", "/video-generation-models")


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]


class _Details(Envelope, frozen=True):
    models: list[msgspec.Raw]


class _Model(msgspec.Struct, frozen=True):
    id: str
    created: int | float | None = None
    owned_by: str | None = None
    aliases: list[str] | None = None
    context_length: int | float | None = None
    max_prompt_length: int | float | None = None
    input_modalities: Any = None
    output_modalities: Any = None
    prompt_text_token_price: Any = None
    cached_prompt_text_token_price: Any = None
    completion_text_token_price: Any = None
    prompt_image_token_price: Any = None
    image_price: Any = None
    search_price: Any = None
    pricing: Any = None


_list = decoder(_List)
_details = decoder(_Details)
_model = decoder(_Model)


def _prices(row: _Model) -> dict[str, str]:
    """Return the base prices; of images, where every quality and resolution costs the same."""
    wire = msgspec.structs.asdict(row)
    found = prices(wire, TOKENS, XAI_UNIT * PER_TOKEN) | prices(wire, CALLS, XAI_UNIT)
    offers = row.pricing if isinstance(row.pricing, list) else []
    each = {price(inner(offer, "price_per_image"), XAI_UNIT) for offer in offers}
    if "image" not in found and len(each) == 1 and (only := each.pop()) is not None:
        found["image"] = only
    return found


def _record(row: _Model) -> ModelRecord:
    inputs = modalities(row.input_modalities)
    searches = amount(row.search_price)
    return record(
        row.id,
        owned_by=owner(row.owned_by),
        created=day(row.created),
        context_window=whole(row.context_length),
        max_input_tokens=whole(row.max_prompt_length),
        inputs=inputs,
        outputs=modalities(row.output_modalities),
        capabilities=senses(inputs, closed=True)
        | listed(row.output_modalities, KINDS, closed=False)
        | ({"web_search": True} if searches else {}),
        prices=_prices(row),
        aliases=words(row.aliases),
    )


def replaced(records: Sequence[ModelRecord]) -> list[ModelRecord]:
    """Say of each model that another one lists among its aliases what has come in its place."""
    successors = {alias: one.id for one in records for alias in one.aliases}
    return [
        with_leaves(one, {"lifecycle.replacement": (successors[one.id], PROVIDER)})
        if one.id in successors
        else one
        for one in records
    ]


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the list, which has one page."""
    read = page(opened(body, _list).data, _model, _record)
    records = replaced([row.record for row in read.rows])
    rows = [row._replace(record=one) for row, one in zip(read.rows, records, strict=True)]
    return read._replace(rows=rows)


def details(settings: Settings, _: Sequence[ModelRecord]) -> list[Detail]:
    """Ask the lists by kind; which of them answer depends on the key's permissions."""
    return [Detail(Request(base(settings) + tail), _merge) for tail in DETAILS]


def _merge(body: bytes, records: Sequence[ModelRecord]) -> list[ModelRecord]:
    said = {
        row.record.id: row.record
        for row in page(opened(body, _details).models, _model, _record).rows
    }
    return replaced([_both(one, said[one.id]) if one.id in said else one for one in records])


def _both(known: ModelRecord, more: ModelRecord) -> ModelRecord:
    """Return *known* with what *more* states and *known* does not.

    The lists by kind write a zero for a price that does not apply.
    """
    values = {
        path: (_leaf(more, path), source)
        for path, source in more.sources.items()
        if (path not in known.sources or (path == "aliases" and not known.aliases))
        and not (path.startswith("prices.") and _leaf(more, path) == "0")
    }
    return with_leaves(known, values)


def _leaf(one: ModelRecord, path: str) -> Any:  # noqa: ANN401 - a leaf is any value of a record
    head, _, key = path.partition(".")
    value = getattr(one, head)
    if not key:
        return value
    return value[key] if isinstance(value, dict) else getattr(value, key)


DIALECT = Dialect("xai", at("/models"), parse, bearer, details=details)
