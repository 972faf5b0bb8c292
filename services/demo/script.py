"""When a site goes wrong: one step a request, until cleared, or in a window of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat

from events.base import Instant
from services.demo.exchange import Asked, Fault, Handshake, Step

When = Callable[[Asked], bool]
Steps = Step | Iterable[Step]
"""One step for every request, or one a request: a list, or an iterator that may never end."""

FIRST, LAST = "0000", "9999"
"""Before and after every instant."""


def _any(_: Asked) -> bool:
    return True


class _Part:
    """Steps that are taken one a turn, from *start* until before *end*."""

    def __init__(
        self, steps: Steps, when: When, start: Instant = FIRST, end: Instant = LAST
    ) -> None:
        lone = isinstance(steps, Handshake) or not isinstance(steps, Iterable)
        self._steps: Iterator[Step] = repeat(steps) if lone else iter(steps)  # type: ignore[arg-type] # a lone step is no iterable of steps
        self._head: Step | None = None
        self._start, self._end = start, end
        self.when = when

    def head(self, now: Instant) -> Step | None:
        """Return the step whose turn it is; None outside the window and after the last."""
        if not self._start <= now < self._end:
            return None
        if self._head is None:
            self._head = next(self._steps, None)
        return self._head

    def strike(self) -> None:
        """Go on to the next step."""
        self._head = None


class Faults:
    """The script of one site: the next few, then those that stand, then those of a time window.

    What concerns a connection waits for a new one: one that is open is answered rightly, and closed
    thereafter.
    """

    def __init__(self) -> None:
        self._next: list[_Part] = []
        self._standing: list[_Part] = []
        self._windows: list[_Part] = []

    def script(self, steps: Steps) -> None:
        """Forget what there is; then one step for every request, or one a request and no more."""
        self.clear()
        self._next.append(_Part(steps, _any))

    def next(self, step: Step, times: int = 1, *, when: When = _any) -> None:
        """Spoil the next *times* requests for which *when* holds."""
        self._next.append(_Part(repeat(step, times), when))

    def always(self, step: Step, *, when: When = _any) -> None:
        """Spoil every request for which *when* holds, until `clear`."""
        self._standing.append(_Part(repeat(step), when))

    def between(self, start: Instant, end: Instant, steps: Steps) -> None:
        """Spoil every request from *start* until before *end* on the modelled clock."""
        self._windows.append(_Part(steps, _any, start, end))

    def clear(self) -> None:
        """Forget the whole script."""
        self._next.clear()
        self._standing.clear()
        self._windows.clear()

    def pick(self, asked: Asked, now: Instant) -> Fault | None:
        """Return the fault for this request, and strike it off where its turn is over."""
        for part, step in self._due(now):
            if isinstance(step, Handshake):
                return None
            if part.when(asked):
                part.strike()
                return step
        return None

    def greet(self, now: Instant) -> Handshake | None:
        """Return what becomes of a new connection, and strike it off where its turn is over."""
        for part, step in self._due(now):
            if isinstance(step, Handshake):
                part.strike()
                return step
            if part.when is _any:
                return None
        return None

    def waits(self, now: Instant) -> bool:
        """Tell whether the next step is for a new connection."""
        steps = (step for part, step in self._due(now) if part.when is _any)
        return isinstance(next(steps, None), Handshake)

    def _due(self, now: Instant) -> Iterator[tuple[_Part, Step]]:
        self._next = [part for part in self._next if part.head(now) is not None]
        for part in (*self._next, *self._standing, *self._windows):
            if (step := part.head(now)) is not None:
                yield part, step
