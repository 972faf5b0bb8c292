"""How long to wait: what the provider asks for, else back-off with full jitter. Pure.

Source: health.md, sections 6 and 7.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

Draw = Callable[[float, float], float]
"""A number between two bounds, each as likely as the other: `services.clock.uniform`."""

MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
UNSAID = 30.0
"""What a 429 without Retry-After asks for."""
LONGEST_THROTTLED = 3600.0
LONGEST = 300.0
"""However long they ask for: an absurd value must not blind us."""

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?\Z", re.ASCII)
_NEGATIVE = re.compile(r"-[0-9]+(?:\.[0-9]*)?\Z", re.ASCII)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds for which the provider asks us to wait, or None where it does not say.

    *headers* has lower-case names. Milliseconds (``retry-after-ms``, ``x-ms-retry-after-ms``) win
    over ``retry-after``, which holds seconds or an HTTP date in any of its three forms; a date is
    taken against the answer's own ``date``, and against *now* where it has none. What is past or
    negative is 0. Never raises: a malformed header counts as absent. The value is as they said it,
    however large; `asked` bounds it.

    Source: RFC 9110, section 10.2.3.
    """
    for name in MILLISECONDS:
        if (milliseconds := _number(headers.get(name))) is not None:
            return milliseconds / 1000
    text = headers.get("retry-after")
    if (seconds := _number(text)) is not None:
        return seconds
    if (until := _date(text)) is None:
        return None
    return max(0.0, (until - (_date(headers.get("date")) or now)).total_seconds())


def _number(text: str | None) -> float | None:
    text = (text or "").strip()
    if _NEGATIVE.match(text):
        return 0.0
    if not _NUMBER.match(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime((text or "").strip())
    except (ValueError, IndexError, OverflowError):
        return None
    # The asctime form has no zone; HTTP dates are always UTC.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def asked(class_: str, status: int | None, retry_after: float | None, draw: Draw) -> float:
    """Return the seconds to wait before the next call because the provider asked for it.

    What it said, and up to a tenth more, so that not everybody comes back at once; 30 s for a
    throttled call that says nothing; at most an hour when throttled, 5 minutes otherwise.
    """
    throttled = class_ == "rate_limited"
    if retry_after is None:
        retry_after = UNSAID if status == 429 else 0.0  # noqa: PLR2004 - too many requests
    longest = LONGEST_THROTTLED if throttled else LONGEST
    return min(longest, retry_after + draw(0.0, min(retry_after, longest) / 10))


def backoff(
    attempt: int, *, base_delay: float, max_delay: float, multiplier: float, draw: Draw
) -> float:
    """Return the seconds to wait after failed attempt number *attempt*, from 1.

    Full jitter, at the cap too: anything up to min(max_delay, base x multiplier^(attempt-1)), so
    that many who failed together do not come back together.
    """
    try:
        ceiling = base_delay * multiplier ** (attempt - 1)
    except OverflowError:
        ceiling = max_delay
    return draw(0.0, min(max_delay, ceiling))


def not_before(current: float | None, now: float, wait: float) -> float:
    """Return the earliest moment of the next call, on the clock that *now* was read from.

    A shorter wait that comes later never shortens *current*, a longer one extends it.
    """
    return now + wait if current is None else max(current, now + wait)
