"""Mistral's list: every alias is a row of its own, one id can have two, and `created` is now.

Source: mistralai 3.7.0; recorded answers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Page
from services.providers.kinds import usual
from services.providers.openai import owner
from services.providers.rows import Envelope, decoder, lifecycle, opened, page, record
from services.providers.values import day, flags, whole

CAPABILITIES = {
    "completion_chat": "chat",
    "completion_fim": "completion",
    "function_calling": "tools",
    "vision": "vision",
    "reasoning": "reasoning",
    "fine_tuning": "fine_tuning",
    "moderation": "moderation",
    "audio": "audio_input",
    "audio_transcription": "transcription",
    "audio_transcription_realtime": "realtime",
    "audio_speech": "speech",
    "ocr": "pdf_input",
}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]


class _Model(msgspec.Struct, frozen=True):
    id: str
    owned_by: str | None = None
    name: str | None = None
    description: str | None = None
    max_context_length: int | float | None = None
    aliases: list[str] | None = None
    deprecation: str | None = None
    deprecation_replacement_model: Any = None
    capabilities: dict[str, Any] | None = None


_list = decoder(_List)
_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    known = flags(row.capabilities, CAPABILITIES)
    inputs, outputs = usual(known)
    return record(
        row.id,
        name=row.name,
        owned_by=owner(row.owned_by),
        description=row.description,
        context_window=whole(row.max_context_length),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        lifecycle=lifecycle(
            retires_on=day(row.deprecation), replacement=row.deprecation_replacement_model
        ),
        aliases=row.aliases,
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the list, which has one page."""
    return page(opened(body, _list).data, _model, _record)


DIALECT = Dialect("mistral", at("/models"), parse, bearer)
