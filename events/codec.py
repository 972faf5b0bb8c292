"""Events to bytes and back: one JSON object, tagged by its `type`."""

from __future__ import annotations

from typing import get_args

import msgspec

from events.alerts import AlertEvent
from events.audit import AuditEvent
from events.health import HealthEvent
from events.models import ModelEvent
from events.providers import ProviderEvent

FactEvent = ModelEvent | ProviderEvent | HealthEvent | AlertEvent
Event = FactEvent | AuditEvent

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


class UnknownEvent(Exception):
    """A payload whose tag this version does not know: written by a newer one."""


class BrokenEvent(Exception):
    """A payload that is no event: not JSON, or a known tag with a field that does not fit."""


class _Tag(msgspec.Struct, frozen=True):
    """The tag alone."""

    type: str


_tag_decoder = msgspec.json.Decoder(_Tag)


def types() -> dict[str, type[msgspec.Struct]]:
    """Return every event type by its tag."""
    return {str(member.__struct_config__.tag): member for member in _members(Event)}


def _members(union: object) -> tuple[type[msgspec.Struct], ...]:
    return get_args(union)


_TAGS = frozenset(types())


def encode(event: Event) -> bytes:
    """Return *event* as JSON."""
    return _encoder.encode(event)


def decode(payload: bytes | str) -> Event:
    """Turn any payload of modelog's streams and subjects into its event.

    Fields that this version does not know are passed over. Raises UnknownEvent for a tag of a newer
    version and BrokenEvent for everything else that is no event; both name the tag or the field.
    """
    try:
        return _decoder.decode(payload)
    except msgspec.DecodeError as error:
        raise _explain(payload, error) from error
    except (UnicodeError, RecursionError) as error:
        raise BrokenEvent(f"no event: {error}") from error


def tag_of(event: Event) -> str:
    """Return the tag of *event*, such as ``model.added``."""
    return str(event.__struct_config__.tag)


def _explain(payload: bytes | str, error: msgspec.DecodeError) -> Exception:
    try:
        tag = _tag_decoder.decode(payload).type
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return BrokenEvent(f"no event: {error}")
    if tag not in _TAGS:
        return UnknownEvent(f"unknown event type {tag!r}: written by a newer version of modelog")
    return BrokenEvent(f"event {tag!r} does not decode: {error}")
