"""A TIME or SEQ, as people write it, becomes an instant or a sequence."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from events.base import Instant, instant_of, later
from services.durations import parse_duration

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)?)?\Z", re.ASCII
)


class NoMoment(ValueError):
    """A text that is neither a TIME nor a SEQ."""

    def __init__(self, text: str) -> None:
        """Name *text*, and what it could be instead."""
        super().__init__(
            f'"{text}" is no moment; write a sequence (1234), a date (2026-01-31), a time'
            " (2026-01-31T12:00:00Z) or a span back from now (7d, 12h)"
        )


def moment(text: str, *, now: Instant) -> int | Instant:
    """Read *text*: digits alone are a sequence, everything else is a time.

    A time is RFC 3339, where the seconds and the zone may be missing (UTC then), a date, or a span
    back from *now*. Raises NoMoment.
    """
    plain = text.strip()
    if re.fullmatch(r"\d{1,18}", plain, re.ASCII):
        return int(plain)
    try:
        if _RFC3339.match(plain):
            return _instant(plain)
        return later(now, -timedelta(seconds=parse_duration(plain)))
    except (ValueError, OverflowError) as error:
        raise NoMoment(text) from error


def _instant(text: str) -> Instant:
    read = datetime.fromisoformat(text.upper())
    zoned = read.replace(tzinfo=UTC) if read.tzinfo is None else read
    return instant_of(zoned.astimezone(UTC))
