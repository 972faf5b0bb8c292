"""When a site goes wrong: the next few requests, until cleared, or in a window of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from events.base import Instant
from services.demo.exchange import Asked
from services.demo.faults import Fault

When = Callable[[Asked], bool]


def _any(_: Asked) -> bool:
    return True


class Window(NamedTuple):
    """A fault that stands from *start* until before *end* on the modelled clock."""

    start: Instant
    end: Instant
    fault: Fault


class Faults:
    """The script of one site: the next few, then those that stand, then those of a time window."""

    def __init__(self) -> None:
        self._next: deque[tuple[Fault, When]] = deque()
        self._standing: list[tuple[Fault, When]] = []
        self._windows: list[Window] = []

    def next(self, fault: Fault, times: int = 1, *, when: When = _any) -> None:
        """Spoil the next *times* requests for which *when* holds."""
        self._next.extend((fault, when) for _ in range(times))

    def always(self, fault: Fault, *, when: When = _any) -> None:
        """Spoil every request for which *when* holds, until `clear`."""
        self._standing.append((fault, when))

    def between(self, start: Instant, end: Instant, fault: Fault) -> None:
        """Spoil every request from *start* until before *end* on the modelled clock."""
        self._windows.append(Window(start, end, fault))

    def clear(self) -> None:
        """Forget the whole script."""
        self._next.clear()
        self._standing.clear()
        self._windows.clear()

    def pick(self, asked: Asked, now: Instant) -> Fault | None:
        """Return the fault for this request, and strike it off where its turn is over."""
        for place, (fault, when) in enumerate(self._next):
            if when(asked):
                del self._next[place]
                return fault
        for fault, when in self._standing:
            if when(asked):
                return fault
        return next((w.fault for w in self._windows if w.start <= now < w.end), None)
