"""How many calls at once, to whom, and who goes first; how many retries the process may spend."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from services.clock import Clock

HEAD_START = 10.0
"""Seconds of waiting that one step of priority is worth: waiting overtakes any priority."""
HIGHEST = 9

TOKENS = 10.0
PER_FIRST_ATTEMPT = 0.1


class _Waiter(NamedTuple):
    key: float
    number: int
    host: str
    granted: asyncio.Future[None]


class Limits:
    """The bounds that all calls of a process share: *most* at once, *per_host* to one host.

    Lives as long as the process. Who waits longest goes first, a step of priority (-9 to 9) being
    worth 10 s; one who waits for its host holds up nobody else.
    """

    def __init__(self, most: int, per_host: int = 2, *, clock: Clock) -> None:
        self.most = most
        self.per_host = per_host
        self.retries = RetryBudget()
        self._clock = clock
        self._running = 0
        self._at: Counter[str] = Counter()
        self._waiting: list[_Waiter] = []
        self._number = 0

    @asynccontextmanager
    async def slot(self, host: str, priority: int = 0) -> AsyncIterator[None]:
        """Wait for a place among the calls to *host* and to all, and hold it within the block."""
        head_start = HEAD_START * max(-HIGHEST, min(HIGHEST, priority))
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number += 1
        waiter = _Waiter(self._clock.monotonic() - head_start, self._number, host, granted)
        self._waiting.append(waiter)
        self._grant()
        try:
            await granted
            yield
        finally:
            if granted.done() and not granted.cancelled():
                self._running -= 1
                self._at[host] -= 1
            else:
                self._waiting.remove(waiter)
            self._grant()

    def _grant(self) -> None:
        """Give free places to those whose turn it is."""
        for waiter in sorted(self._waiting):
            if self._running >= self.most:
                return
            if self._at[waiter.host] < self.per_host and not waiter.granted.done():
                self._waiting.remove(waiter)
                self._running += 1
                self._at[waiter.host] += 1
                waiter.granted.set_result(None)


class RetryBudget:
    """Retries that a process may still make: an outage of many must not triple the load.

    10 at first; each first attempt earns a tenth of one. *refused* counts those not made.
    """

    def __init__(self) -> None:
        self.tokens = TOKENS
        self.refused = 0

    def earn(self) -> None:
        """Count a first attempt."""
        self.tokens = min(TOKENS, self.tokens + PER_FIRST_ATTEMPT)

    def spend(self) -> bool:
        """Take one retry out of the budget; False, and counted, where none is left."""
        if self.tokens < 1:
            self.refused += 1
            return False
        self.tokens -= 1
        return True
