"""One fetch of a provider's list: what was seen, when, and whether it was all."""

from __future__ import annotations

from typing import NamedTuple

from events.base import Instant, ProviderName
from events.record import ModelRecord


class Observation(NamedTuple):
    """What one fetch brought, mapped to our records.

    *records* holds one record an id, in any order. Only a *complete* observation may make a model
    missing or removed. *skipped* counts rows kept out, *duplicates* rows merged into another of
    their id.
    """

    provider: ProviderName
    at: Instant
    records: tuple[ModelRecord, ...]
    complete: bool = True
    skipped: int = 0
    duplicates: int = 0
