"""llama.cpp's server: one model, and what `/props` says of it.

Source: third-party clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord, with_leaves
from services.providers.address import at, base, bearer
from services.providers.dialect import Detail, Dialect, Page, Request
from services.providers.openai import Model, mapped
from services.providers.rows import PROVIDER, Envelope, decoder, opened, page
from services.providers.values import flags, inner, whole

MODALITIES = {"vision": "vision", "audio": "audio_input"}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw] | None


class _Props(Envelope, frozen=True):
    default_generation_settings: Any = None
    modalities: Any = None


_list = decoder(_List)
_props = decoder(_Props)
_model = decoder(Model)


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the plain list; the second array beside it is for Ollama's clients."""
    return page(opened(body, _list).data or [], _model, lambda row: mapped(row, None))


def details(settings: Settings, records: Sequence[ModelRecord]) -> list[Detail]:
    """Ask for the properties of the one model; of several they would be nobody's."""
    return [Detail(Request(base(settings) + "/props"), _merge)] if len(records) == 1 else []


def _merge(body: bytes, records: Sequence[ModelRecord]) -> list[ModelRecord]:
    props = _props.decode(body)
    known = flags(props.modalities, MODALITIES)
    said: dict[str, tuple[Any, str]] = {
        f"capabilities.{word}": (value, PROVIDER) for word, value in known.items()
    }
    if window := whole(inner(props.default_generation_settings, "n_ctx")):
        said["context_window"] = (window, PROVIDER)
    return [with_leaves(one, said) for one in records]


DIALECT = Dialect("llamacpp", at("/v1/models"), parse, bearer, details=details, local=True)
