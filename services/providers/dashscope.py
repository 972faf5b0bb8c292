"""Alibaba's Model Studio: pages by number; prices in the currency of the region.

Source: Alibaba's documentation of *List models*; three independent clients.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer, with_query
from services.providers.dialect import Dialect, Page
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.units import AS_IS, PER_MILLION, PER_THOUSAND, price
from services.providers.values import inner, listed, modalities, senses, text, whole

PAGE_SIZE = 100
CAPABILITIES = {
    "TG": "chat",
    "VU": "vision",
    "IG": "image_generation",
    "Reasoning": "reasoning",
}
FEATURES = {"function-calling": "tools", "structured-outputs": "structured_output"}
PRICES = {
    "input_token": "input",
    "output_token": "output",
    "input_token_cache_read": "cache_read",
    "input_token_cache": "cache_read",
    "input_token_cache_creation_5m": "cache_write",
}
UNITS = {"per 1m tokens": PER_MILLION, "per 1k tokens": PER_THOUSAND}


class _Output(msgspec.Struct, frozen=True):
    models: list[msgspec.Raw]
    total: int | None = None
    page_no: int | None = None
    page_size: int | None = None


class _List(Envelope, frozen=True):
    output: _Output


class _Model(msgspec.Struct, frozen=True):
    model: str
    name: str | None = None
    description: str | None = None
    provider: str | None = None
    capabilities: Any = None
    features: Any = None
    inference_metadata: Any = None
    model_info: Any = None
    prices: Any = None


_list = decoder(_List)
_model = decoder(_Model)


def in_dollars(address: str) -> bool:
    """Tell whether the region of *address* charges USD: all but those in mainland China."""
    host = urlsplit(address).hostname or ""
    return host != "dashscope.aliyuncs.com" and ".cn-" not in f".{host}"


def _base_offers(value: object) -> dict[str, tuple[object, str]]:
    """Return type to price and unit of what has no condition."""
    found: dict[str, tuple[object, str]] = {}
    for band in value if isinstance(value, list) else []:
        if inner(band, "range_name") != "Default":
            continue
        offers = inner(band, "prices")
        for offer in offers if isinstance(offers, list) else []:
            kind, unit = text(inner(offer, "type")), text(inner(offer, "price_unit"))
            if kind and inner(offer, "time_band") is None:
                found.setdefault(kind, (inner(offer, "price"), (unit or "").lower()))
    return found


def _prices(value: object) -> dict[str, str]:
    found: dict[str, str] = {}
    offers = _base_offers(value)
    for theirs, ours in PRICES.items():
        amount, unit = offers.get(theirs, (None, ""))
        factor: Decimal | None = UNITS.get(unit)
        if factor is not None and (said := price(amount, factor)) is not None:
            found.setdefault(ours, said)
    each, unit = offers.get("image_number", (None, ""))
    if unit in ("", "per image") and (said := price(each, AS_IS)) is not None:
        found["image"] = said
    return found


def _record(row: _Model, *, dollars: bool) -> ModelRecord:
    inputs = modalities(inner(row.inference_metadata, "request_modality"))
    return record(
        row.model,
        name=row.name,
        owned_by=row.provider,
        description=row.description,
        context_window=whole(inner(row.model_info, "context_window")),
        max_input_tokens=whole(inner(row.model_info, "max_input_tokens")),
        max_output_tokens=whole(inner(row.model_info, "max_output_tokens")),
        inputs=inputs,
        outputs=modalities(inner(row.inference_metadata, "response_modality")),
        capabilities=senses(inputs, closed=True)
        | listed(row.capabilities, CAPABILITIES, closed=False)
        | listed(row.features, FEATURES, closed=False),
        prices=_prices(row.prices) if dollars else None,
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page; `total` counts the rows of all."""
    output = opened(body, _list).output
    number = int(parse_qs(urlsplit(url).query).get("page_no", ["1"])[0])
    size = output.page_size or PAGE_SIZE
    full = len(output.models) >= size
    more = full if output.total is None else number * size < output.total
    dollars = in_dollars(url)
    return page(
        output.models,
        _model,
        lambda row: _record(row, dollars=dollars),
        onward=with_query(url, page_no=number + 1) if more and output.models else None,
        total=output.total,
    )


DIALECT = Dialect("dashscope", at(f"/models?page_no=1&page_size={PAGE_SIZE}"), parse, bearer)
