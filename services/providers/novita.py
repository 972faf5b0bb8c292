"""Novita's list: prices are whole numbers, in 1/10,000 USD per 1M tokens.

Source: Novita's documentation; recorded answers.
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
from services.providers.units import TEN_THOUSANDTH, prices
from services.providers.values import day, first, listed, whole

FEATURES = {
    "function-calling": "tools",
    "structured-outputs": "structured_output",
    "reasoning": "reasoning",
    "vision": "vision",
}
PRICES = {"input_token_price_per_m": "input", "output_token_price_per_m": "output"}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]


class _Model(msgspec.Struct, frozen=True):
    id: str
    created: int | float | None = None
    title: str | None = None
    display_name: str | None = None
    description: str | None = None
    context_size: int | float | None = None
    max_output_tokens: int | float | None = None
    input_token_price_per_m: Any = None
    output_token_price_per_m: Any = None
    features: Any = None
    endpoints: Any = None
    model_type: str | None = None


_list = decoder(_List)
_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    known = listed(row.features, FEATURES, closed=True)
    known |= listed(row.endpoints, {"batch-api": "batch"}, closed=False)
    known |= {"chat": True} if row.model_type == "chat" else {}
    inputs, outputs = usual(known)
    return record(
        row.id,
        name=first(row.display_name, row.title),
        owned_by=owner_of(row.id),
        description=row.description,
        created=day(row.created),
        context_window=whole(row.context_size),
        max_output_tokens=whole(row.max_output_tokens),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        prices=prices(msgspec.structs.asdict(row), PRICES, TEN_THOUSANDTH),
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the list, which has one page."""
    return page(opened(body, _list).data, _model, _record)


DIALECT = Dialect("novita", at("/models"), parse, bearer)
