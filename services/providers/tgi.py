"""Text Generation Inference: one server, one model.

Source: Hugging Face's documentation of TGI.
"""

from __future__ import annotations

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.values import first, whole


class _Model(Envelope, frozen=True):
    model_id: str
    model_pipeline_tag: str | None = None
    max_input_tokens: int | float | None = None
    max_input_length: int | float | None = None
    max_total_tokens: int | float | None = None


_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    return record(
        row.model_id,
        context_window=whole(row.max_total_tokens),
        max_input_tokens=first(whole(row.max_input_tokens), whole(row.max_input_length)),
        capabilities={"chat": True} if row.model_pipeline_tag == "text-generation" else None,
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the one object that is both list and row."""
    opened(body, _model)
    return page([msgspec.Raw(body)], _model, _record)


DIALECT = Dialect("tgi", at("/info"), parse, bearer, local=True)
