"""When to act: at once, then on a grid of each provider's own, jittered, never overlapping.

A tick is a function of its number, so neither restarts nor start order move it, its mean never
drifts, and two installations do not ask at the same moment. Source: health.md, section 7.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import blake2b

from services.clock import Clock

JITTER = 10
"""A tick lies within a tenth of the interval, half of it on either side of the grid."""


def offset(installation: str, provider: str, kind: str, interval: int) -> int:
    """Return where in its interval, in milliseconds, the grid of a provider lies."""
    return _hash(installation, provider, kind) % interval


def tick(installation: str, provider: str, kind: str, interval: int, number: int) -> int:
    """Return the moment of tick *number*, in milliseconds since 1970."""
    wide = interval // JITTER
    jitter = (_hash(installation, provider, kind, str(number)) * wide >> 64) - wide // 2
    return offset(installation, provider, kind, interval) + number * interval + jitter


def next_tick(installation: str, provider: str, kind: str, interval: int, after: int) -> int:
    """Return the first tick later than *after*, both in milliseconds since 1970."""
    number = (after - offset(installation, provider, kind, interval)) // interval
    while (moment := tick(installation, provider, kind, interval, number)) <= after:
        number += 1
    return moment


async def ticks(  # noqa: PLR0913 - whose grid it is, and how it begins
    clock: Clock,
    *,
    installation: str,
    provider: str,
    kind: str,
    interval: float,
    at_once: bool = True,
) -> AsyncIterator[int]:
    """Yield *at_once*, and then at every tick of a grid of *interval* seconds.

    What the loop's body takes too long for is merged: an overdue tick comes at once, once. Wall
    time is read at the start alone; a step of it moves no tick.
    """
    wide = round(interval * 1000)
    begun, wall = clock.monotonic(), round(clock.unix() * 1000)
    now = wall
    if at_once:
        yield now
    while True:
        due = next_tick(installation, provider, kind, wide, now)
        passed = wall + round((clock.monotonic() - begun) * 1000)
        await clock.sleep((due - passed) / 1000)
        now = max(due, wall + round((clock.monotonic() - begun) * 1000))
        yield now


def _hash(*parts: str) -> int:
    return int.from_bytes(blake2b("|".join(parts).encode(), digest_size=8).digest(), "big")
