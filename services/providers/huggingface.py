"""Hugging Face's router: one model, many offers; nothing is taken from any single one of them.

Source: Hugging Face's documentation of Inference Providers; recorded answers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.values import day, inner, modalities, senses


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]


class _Model(msgspec.Struct, frozen=True):
    id: str
    created: int | float | None = None
    owned_by: str | None = None
    architecture: Any = None


_list = decoder(_List)
_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    inputs = modalities(inner(row.architecture, "input_modalities"))
    return record(
        row.id,
        owned_by=row.owned_by,
        created=day(row.created),
        inputs=inputs,
        outputs=modalities(inner(row.architecture, "output_modalities")),
        capabilities={"chat": True, **senses(inputs, closed=True)},
        open_weights=True,
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the list, which has one page."""
    return page(opened(body, _list).data, _model, _record)


DIALECT = Dialect("huggingface", at("/models"), parse, bearer)
