"""What every event carries, and how its instants are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NewType

import msgspec

ProviderName = NewType("ProviderName", str)
"""The name under which a provider is registered: ``[a-z0-9][a-z0-9_-]{0,63}``."""

ModelId = NewType("ModelId", str)
"""What a caller puts into a request; unique within a provider."""

Sequence = NewType("Sequence", int)
"""A position in one stream, from 1; 0 stands before the first event."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Instant = str
"""A moment in UTC, ``YYYY-MM-DDTHH:MM:SS.mmmZ``: instants sort as text."""


class BaseEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every event carries: the moment at which modelog saw it.

    A field added later has a default; the meaning of a tag never changes.
    """

    at: Instant


def elapsed(start: Instant, end: Instant) -> timedelta:
    """Return the time from *start* to *end*, negative where *end* is earlier.

    Raises ValueError where one of them is no instant.
    """
    return datetime.fromisoformat(end) - datetime.fromisoformat(start)


def later(instant: Instant, by: timedelta) -> Instant:
    """Return the instant *by* after *instant*, in milliseconds, rounded down."""
    return instant_of(datetime.fromisoformat(instant) + by)


def instant_of(moment: datetime) -> Instant:
    """Spell *moment*, which must have a zone and be in UTC, in the one form of an instant."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant_at(millis: int) -> Instant:
    """Spell a moment in milliseconds since 1970 in the one form of an instant."""
    return instant_of(EPOCH + timedelta(milliseconds=millis))


def millis_of(instant: Instant) -> int:
    """Return *instant* in milliseconds since 1970; raises ValueError where it is none."""
    return (datetime.fromisoformat(instant) - EPOCH) // timedelta(milliseconds=1)
