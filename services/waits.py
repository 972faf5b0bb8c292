"""When a provider may be asked again: what it asked of one credential binds every process.

The moment only moves forward; success alone takes it back, and another credential is another's.
Source: health.md, section 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

from services.clock import Clock
from services.jetstream.buckets import Changed
from services.jetstream.connect import Client
from services.jetstream.state import Told, Wait, clear, not_before, put_off
from services.keys import Secret

WORTH_TELLING = 0.001
"""Seconds: a shorter wait is over before anybody could read of it."""


class Left(NamedTuple):
    """How many seconds are left to wait, and the class of the call that was told so."""

    seconds: float
    class_: str


class _Seen(NamedTuple):
    told: Told
    until: float


class Waits:
    """What providers asked for; without *nc* it is known to this process alone.

    What was read once is counted on the clock's monotonic time, so that a step of wall time moves
    nothing.
    """

    def __init__(self, clock: Clock, nc: Client | None = None) -> None:
        self._clock = clock
        self._nc = nc
        self._seen: dict[tuple[str, str], _Seen] = {}

    async def left(self, provider: str, credential: str) -> Left | None:
        """Return how long no call may be made, None where one may; raises what reading raises."""
        key = provider, credential
        if self._nc is not None:
            self._note(key, await not_before(self._nc, provider, credential))
        seen = self._seen.get(key)
        if seen is None or seen.told.wait is None:
            return None
        seconds = seen.until - self._clock.monotonic()
        return Left(seconds, seen.told.wait.class_) if seconds > 0 else None

    async def asked(self, provider: str, credential: str, seconds: float, class_: str) -> None:
        """Take note that *provider* asked to wait for *seconds*; less than is left is nothing new.

        Raises what writing raises.
        """
        if seconds < WORTH_TELLING:
            return
        wait = Wait(until=self._clock.unix() + seconds, seconds=seconds, class_=class_)
        key = provider, credential
        if self._nc is None:
            seen = self._seen.get(key)
            if seen is None or seen.until < self._clock.monotonic() + seconds:
                self._note(key, Told(0 if seen is None else seen.told.revision + 1, wait))
            return
        real = self._clock.real_seconds(seconds)
        try:
            told = await put_off(self._nc, provider, credential, wait, real_seconds=real)
        except Changed:  # others tell the same without end
            return
        self._note(key, told)

    async def answered(self, provider: str, credential: str) -> None:
        """Take note that *provider* has answered: what it asked for before is over."""
        seen = self._seen.pop((provider, credential), None)
        if self._nc is not None and seen is not None:
            await clear(self._nc, provider, credential, seen.told.revision)

    def _note(self, key: tuple[str, str], told: Told) -> None:
        seen = self._seen.get(key)
        if told.wait is None:
            self._seen.pop(key, None)
        elif seen is None or seen.told.revision != told.revision:
            left = min(told.wait.until - self._clock.unix(), told.wait.seconds)
            self._seen[key] = _Seen(told, self._clock.monotonic() + left)


def fingerprint(provider: str, secrets: Mapping[str, Secret]) -> str:
    """Return what tells one credential of a provider from another, and nothing else of it."""
    parts = [f"{name}={secret.reveal()}" for name, secret in sorted(secrets.items())]
    text = "\0".join([provider, *parts])
    return blake2b(text.encode(), digest_size=16, person=b"modelog").hexdigest()
