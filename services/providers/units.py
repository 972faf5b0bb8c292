"""Their prices as ours: USD per 1,000,000 tokens, or per unit, as exact decimal texts.

A negative price, one that is no number and one that nobody asks are unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from events.record import decimal_text
from services.providers.values import inner

PER_TOKEN = Decimal(1_000_000)
"""USD per token, per character."""
PER_THOUSAND = Decimal(1000)
PER_MILLION = Decimal(1)
AS_IS = Decimal(1)
TEN_THOUSANDTH = Decimal("0.0001")
"""Novita: 1/10,000 USD per 1M. xAI: 10⁻¹⁰ USD per token."""
PER_MINUTE = Decimal(60)
"""USD per second."""
XAI_UNIT = Decimal("1e-10")

LARGEST = Decimal(10**9)
"""USD; what costs more is no price."""
MOST_UNITS = Decimal(10**20)
LONGEST = 60
"""Characters of a number; what is longer is none of ours."""


def amount(value: object) -> Decimal | None:
    """Return *value*, a number or the text of one, as a decimal; None where it is no price."""
    written = _written(value)
    return _amount(written) if written else None


def _written(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    written = str(value).strip()
    return written if len(written) <= LONGEST and "_" not in written else None


@lru_cache(4096)  # a catalogue has some hundred prices, each of them on many rows
def _amount(written: str) -> Decimal | None:
    try:
        found = Decimal(written)
    except InvalidOperation:
        return None
    return found if found.is_finite() and 0 <= found <= MOST_UNITS else None


def price(value: object, factor: Decimal) -> str | None:
    """Return *value* times *factor* as the catalogue spells it; None where it is no price."""
    written = _written(value)
    return _price(written, factor) if written else None


@lru_cache(4096)
def _price(written: str, factor: Decimal) -> str | None:
    found = _amount(written)
    if found is None or found * factor > LARGEST:
        return None
    return decimal_text(found * factor)


def prices(raw: object, names: Mapping[str, str], factor: Decimal) -> dict[str, str]:
    """Return the prices in the object *raw*; *names* are their keys and ours, the first one wins.

    A key of theirs may be dotted: ``input.usd``.
    """
    found: dict[str, str] = {}
    for theirs, ours in names.items():
        said = price(inner(raw, *theirs.split(".")), factor)
        if said is not None:
            found.setdefault(ours, said)
    return found
