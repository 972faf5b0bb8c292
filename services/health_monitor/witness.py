"""Is it us? Whether what failed at transport level was our own network, and not the provider.

Providers witness for each other: no third party is contacted unasked. Source: health.md, section 5,
"Own-network guard". Moments are milliseconds on the monitor's pinned clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Literal, NamedTuple

from services.clock import Clock, Pinned
from services.logs import say

FEWEST = 4
MOST = 8
HOLD = 10.0
"""Seconds that a verdict is held at most."""
REACHED = 0.4
LOST = 0.6
LONGEST = 30 * 60_000
OVER = 5.0
"""Seconds over which all cycles are pulled forward when the network may be back."""


class _Observed(NamedTuple):
    at: int
    reached: bool


class Source(NamedTuple):
    """What the guard needs of the providers' watchers.

    *pull* asks for the next cycles of the hosts now, *spread* for those of all within some seconds.
    *interval* is the usual one, in milliseconds; *barred* are hosts that want no call now.
    """

    pull: Callable[[Collection[str]], None]
    spread: Callable[[float], None]
    interval: Callable[[], int]
    barred: Callable[[], Collection[str]]
    hosts: Callable[[], Collection[str]]


class Guard:
    """What this process has observed of each host, and whether its own network is down."""

    def __init__(self, clock: Clock, pinned: Pinned, source: Source) -> None:
        """Nothing is observed yet."""
        self._clock = clock
        self._pinned = pinned
        self._source = source
        self._seen: dict[str, _Observed] = {}
        self._news = asyncio.Event()
        self._spent = False
        self.since: int | None = None
        self.witnesses: Callable[[], Awaitable[bool]] | None = None

    @property
    def local(self) -> bool:
        """Whether our own network is down."""
        return self.since is not None

    def heard(self, host: str, reached: bool) -> None:  # noqa: FBT001 - a callback of two values
        """Take note of a first attempt: whether a status line came back from *host*."""
        now = self._pinned.now()
        self._seen[host] = _Observed(now, reached)
        if self.since is not None:
            if reached and not self._spent:
                self._spent = True
                self._source.spread(OVER)
            self._end_if(now)
        elif self._spent and self._recovered(now, since=now - self._source.interval()):
            self._spent = False
        self._news.set()

    async def judge(self, host: str, began: int) -> Literal["FAIL", "local"]:
        """Return what a transport failure of *host*, in a cycle that *began* then, amounts to."""
        if self.local:
            return "local"
        if self.witnesses is not None:
            if await self.witnesses():
                return "FAIL"
            self._begin()
            return "local"
        if self._spent:  # a loss that lasted half an hour counts until it is seen to be over
            return "FAIL"
        jury = self._jury(host, began)
        if len(jury) < FEWEST:
            return "FAIL"
        self._source.pull(jury - {host} - self._since(began).keys())
        end = self._clock.monotonic() + HOLD
        while not self.local:
            known = {one: seen for one, seen in self._since(began).items() if one in jury}
            reached = sum(seen.reached for seen in known.values())
            failed = len(known) - reached
            left = end - self._clock.monotonic()
            if reached > REACHED * len(jury):
                return "FAIL"
            if failed >= LOST * len(jury) or (
                left <= 0 and len(known) >= FEWEST and failed >= LOST * len(known)
            ):
                self._begin()
                break
            if left <= 0:
                return "FAIL"
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._clock.real_seconds(left)):
                    await self._news.wait()
        return "local"

    def _since(self, began: int) -> dict[str, _Observed]:
        return {host: seen for host, seen in self._seen.items() if seen.at >= began}

    def _jury(self, host: str, began: int) -> set[str]:
        """Return the host, those observed since *began*, and others that were reached lately."""
        jury = {host} | self._since(began).keys()
        oldest = self._pinned.now() - 3 * self._source.interval()
        barred = self._source.barred()
        fitting = sorted(
            (seen.at, one)
            for one, seen in self._seen.items()
            if seen.reached and seen.at >= oldest and one not in jury and one not in barred
        )
        return jury | {one for _, one in fitting[: max(0, MOST - len(jury))]}

    def _begin(self) -> None:
        self.since = self._pinned.now()
        self._spent = False
        self._news.set()
        say("our own network is down", level=logging.WARNING)

    def _end_if(self, now: int) -> None:
        if self.since is None:
            return
        if self._recovered(now, since=self.since):
            say("our own network is up again", seconds=(now - self.since) / 1000)
            self.since, self._spent = None, False
            self._source.spread(OVER)
        elif now - self.since > LONGEST:
            say("our own network counts as up: half an hour", level=logging.WARNING)
            self.since, self._spent = None, True

    def _recovered(self, now: int, since: int) -> bool:
        """Tell whether less than four in ten hosts failed lately, of enough of them."""
        lately = max(since, now - self._source.interval())
        seen = [one.reached for one in self._seen.values() if one.at >= lately]
        enough = min(FEWEST, len(self._source.hosts()))
        return len(seen) >= enough and seen.count(False) < REACHED * len(seen)

    def tick(self) -> None:
        """Let time end what no observation ends."""
        self._end_if(self._pinned.now())
