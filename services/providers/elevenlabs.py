"""ElevenLabs: speech; limits are characters, so there are none in tokens.

Source: elevenlabs 2.78.0; recorded answers.
"""

from __future__ import annotations

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, keyed
from services.providers.dialect import Dialect, Page
from services.providers.rows import array, decoder, lifecycle, page, record


class _Model(msgspec.Struct, frozen=True):
    model_id: str
    name: str | None = None
    description: str | None = None
    can_do_text_to_speech: bool | None = None
    can_do_voice_conversion: bool | None = None
    can_be_finetuned: bool | None = None
    requires_alpha_access: bool | None = None


_model = decoder(_Model)


def _record(row: _Model) -> ModelRecord:
    inputs = {"text"} if row.can_do_text_to_speech else set[str]()
    inputs |= {"audio"} if row.can_do_voice_conversion else set()
    return record(
        row.model_id,
        name=row.name,
        owned_by="elevenlabs",
        description=row.description,
        inputs=sorted(inputs) or None,
        outputs=["audio"] if inputs else None,
        capabilities={
            "speech": row.can_do_text_to_speech,
            "fine_tuning": row.can_be_finetuned,
        },
        lifecycle=lifecycle(preview=bool(row.requires_alpha_access)),
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the array."""
    return page(array(body), _model, _record)


DIALECT = Dialect("elevenlabs", at("/v1/models"), parse, keyed("xi-api-key"))
