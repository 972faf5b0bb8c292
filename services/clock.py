"""The only module that reads the time, draws lots or mints ids.

``MODELOG_CLOCK=<origin>,<speed>,<start>`` (Unix seconds) gives the demo's processes one shared,
fast, past clock: now = start + speed x (real time - origin). Ids keep real time.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import threading
import time
from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID

from events.base import Instant, instant_of

VARIABLE = "MODELOG_CLOCK"
_ELAPSED: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class BadClock(ValueError):
    """MODELOG_CLOCK is set to something that is no clock."""


class Clock:
    """A clock that starts at *start* when real time is *origin*, and runs *speed* times as fast."""

    def __init__(self, *, origin: float = 0.0, speed: float = 1.0, start: float = 0.0) -> None:
        self.origin = origin
        self.speed = speed
        self.start = start

    def utcnow(self) -> datetime:
        """Return the moment, in UTC."""
        return datetime.fromtimestamp(self.unix(), tz=UTC)

    def unix(self) -> float:
        """Return the moment in seconds since 1970."""
        return self.start + self.speed * (time.time() - self.origin)

    def now(self) -> Instant:
        """Return the moment as an instant."""
        return instant_of(self.utcnow())

    def monotonic(self) -> float:
        """Return seconds that never step back: differences are this clock's time."""
        return self.speed * time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep for *seconds* of this clock's time."""
        await asyncio.sleep(self.real_seconds(seconds))

    def real_seconds(self, seconds: float) -> float:
        """Return how long *seconds* of this clock's time are on the wall."""
        return max(0.0, seconds) / self.speed


def system() -> Clock:
    """Return this process's clock: real, unless MODELOG_CLOCK says another; raises BadClock."""
    text = os.environ.get(VARIABLE)
    if not text:
        return Clock()
    try:
        origin, speed, start = (float(part) for part in text.split(","))
    except ValueError as error:
        raise BadClock(f"{VARIABLE}: {text!r} is not <origin>,<speed>,<start>") from error
    if not speed > 0:
        raise BadClock(f"{VARIABLE}: a speed of {speed:g} does not run; it must be above 0")
    clock = Clock(origin=origin, speed=speed, start=start)
    try:
        clock.utcnow()
    except (ValueError, OverflowError, OSError) as error:
        raise BadClock(f"{VARIABLE}: {text!r} is at no moment of any calendar") from error
    return clock


class _Ids:
    """UUIDv7: milliseconds, then a counter that never falls within one process, then chance."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> str:
        """Mint the next id, above the last one even where the clock stepped back."""
        fresh = (time.time_ns() // 1_000_000 << 74) | secrets.randbits(73)
        with self._lock:
            # 74 bits stand beside the milliseconds: within one of them, ids grow by chance
            self._last = fresh if fresh > self._last else self._last + 1 + secrets.randbits(32)
            value = self._last
        return _spelled(value >> 74, value & ((1 << 74) - 1))


_ids = _Ids()
_instance = f"{secrets.randbits(40):08x}"[:8]


def derived_id(run_id: str, position: str) -> str:
    """Return the id of what a run has exactly one of, such as its outcome, whoever mints it.

    It keeps the layout of a UUIDv7: the milliseconds of *run_id*, a UUIDv7 itself (else it raises
    ValueError), then 74 bits of blake2b over ``run_id|position``. Source: health.md, section 5.
    """
    millis = UUID(run_id).int >> 80
    digest = blake2b(f"{run_id}|{position}".encode(), digest_size=10).digest()
    return _spelled(millis, int.from_bytes(digest, "big") >> 6)


def _spelled(millis: int, low: int) -> str:
    """Spell a UUIDv7 of 48 bits of milliseconds and the 74 *low* bits beside them."""
    number = millis << 80 | 0x7 << 76 | (low >> 62) << 64 | 0b10 << 62 | low & ((1 << 62) - 1)
    return str(UUID(int=number))


def elapsed() -> float:
    """Return seconds of real time that never step back, and pass while the machine sleeps, too."""
    return time.clock_gettime(_ELAPSED)


def new_id() -> str:
    """Return a new UUIDv7, above every one minted before by this process (RFC 9562, 6.2)."""
    return _ids.next()


def uniform(low: float, high: float) -> float:
    """Return a number between *low* and *high*, each as likely as the other."""
    return random.uniform(low, high)  # noqa: S311 - spreads load, hides nothing


def instance() -> str:
    """Return the name of this process instance: eight characters, new at every start."""
    return _instance


class Pinned:
    """Milliseconds since 1970 that never step: wall time is read once, and from then on counted."""

    def __init__(self, clock: Clock) -> None:
        """Read the wall clock."""
        self._clock = clock
        self._begun = clock.monotonic()
        self._wall = round(clock.unix() * 1000)

    def now(self) -> int:
        """Return the moment."""
        return self._wall + round((self._clock.monotonic() - self._begun) * 1000)
