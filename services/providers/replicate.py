"""Replicate's collections, or all of its models; nothing is said of what a model can do.

Source: recorded answers; Replicate's documentation. A row may weigh 100 kB: what is not asked for
is passed over while decoding.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urljoin

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import base, bearer, option
from services.providers.dialect import Dialect, Page
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.values import day, inner


class _List(Envelope, frozen=True):
    results: list[msgspec.Raw] | None = None
    models: list[msgspec.Raw] | None = None
    next: str | None = None


class _Model(msgspec.Struct, frozen=True):
    owner: str
    name: str
    description: str | None = None
    latest_version: Any = None


_list = decoder(_List)
_model = decoder(_Model)


def first(settings: Settings) -> list[str]:
    """Return a list for each collection; without one, that of all models."""
    collections: Any = option(settings, "collections")
    if collections is None:
        collections = []
    names = collections if isinstance(collections, list) else str(collections).split(",")
    address = base(settings)
    tails = [f"/collections/{quote(str(name).strip(), safe='')}" for name in names]
    return [address + tail for tail in tails or ["/models"]]


def _record(row: _Model) -> ModelRecord:
    return record(
        f"{row.owner}/{row.name}" if row.owner and row.name else "",
        name=row.name,
        owned_by=row.owner,
        description=row.description,
        created=day(inner(row.latest_version, "created_at")),
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a collection, or a page of all models, whose `next` is a whole URL."""
    read = opened(body, _list)
    raws = read.models if read.models is not None else read.results
    if raws is None:
        raise msgspec.ValidationError("Object missing required field `models` or `results`")
    return page(raws, _model, _record, onward=urljoin(url, read.next) if read.next else None)


DIALECT = Dialect("replicate", first, parse, bearer)
