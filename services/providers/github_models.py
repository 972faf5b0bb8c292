"""GitHub Models, retired by its operator on 2026-07-30; for what was recorded of it.

Source: recorded answers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page, Secrets
from services.providers.rows import array, decoder, page, record
from services.providers.values import inner, listed, modalities, senses, whole

CAPABILITIES = {"streaming": "streaming", "tool-calling": "tools", "reasoning": "reasoning"}
KINDS = {"text": "chat", "embeddings": "embeddings"}


class _Model(msgspec.Struct, frozen=True):
    id: str
    name: str | None = None
    publisher: str | None = None
    summary: str | None = None
    supported_input_modalities: Any = None
    supported_output_modalities: Any = None
    capabilities: Any = None
    limits: Any = None


_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    inputs = modalities(row.supported_input_modalities)
    return record(
        row.id,
        name=row.name,
        owned_by=row.publisher,
        description=row.summary,
        max_input_tokens=whole(inner(row.limits, "max_input_tokens")),
        max_output_tokens=whole(inner(row.limits, "max_output_tokens")),
        inputs=inputs,
        outputs=modalities(row.supported_output_modalities),
        capabilities=senses(inputs, closed=True)
        | listed(row.supported_output_modalities, KINDS, closed=False)
        | listed(row.capabilities, CAPABILITIES, closed=True),
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the array."""
    return page(array(body), _model, _record)


def headers(settings: Settings, secrets: Secrets) -> dict[str, str]:
    """Authenticate, and name the version of the interface."""
    return {"X-GitHub-Api-Version": "2022-11-28", **bearer(settings, secrets)}


DIALECT = Dialect("github_models", at("/models"), parse, headers)
