"""Time that jumps: an event loop which never waits, and the monitor's clock upon it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from services.clock import Clock

T = TypeVar("T")
START = 1_773_480_000.0
"""Wall time at the beginning of every trace, in seconds since 1970."""


class _Jumping(selectors.BaseSelector):
    """A selector that takes the time for passed at once; there is no I/O to wait for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._kept: dict[Any, selectors.SelectorKey] = {}

    def register(
        self,
        fileobj: Any,  # noqa: ANN401 - as its base
        events: int,
        data: Any = None,  # noqa: ANN401 - as its base
    ) -> selectors.SelectorKey:
        """Keep what the loop registers for itself."""
        key = self._kept[fileobj] = selectors.SelectorKey(fileobj, fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:  # noqa: ANN401 - as its base
        """Forget it."""
        return self._kept.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let *timeout* seconds pass; raises RuntimeError where nothing would ever happen."""
        if timeout is None:
            raise RuntimeError("every task waits, and no timer will ever ring")
        self.now += max(0.0, timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return what is registered."""
        return self._kept


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose seconds take no time."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual moment, from 0."""
        return self._jumping.now

    def pause(self, seconds: float) -> None:
        """Let *seconds* pass in which nothing runs, as if the process had been stopped."""
        self._jumping.now += seconds


class VirtualClock(Clock):
    """The clock of a virtual loop; *step* is by how far its wall time was set, in seconds."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self.step = 0.0

    def unix(self) -> float:
        """Return the wall time."""
        return START + self.step + self._loop.time()

    def monotonic(self) -> float:
        """Return the loop's time."""
        return self._loop.time()


def run(loop: VirtualLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end, and end what it left."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(work)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()
