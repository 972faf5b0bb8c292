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
    *interval* is the usual one, in milliseconds; *barred* are hosts that want no call now; *up* are
    those that nothing in the log says are down.
    """

    pull: Callable[[Collection[str]], None]
    spread: Callable[[float], None]
    interval: Callable[[], int]
    barred: Callable[[], Collection[str]]
    hosts: Callable[[], Collection[str]]
    up: Callable[[], Collection[str]]


class Guard:
    """What this process has observed of each host, and whether its own network is down.

    A process that has just started has observed nothing: it goes by what the log says of each host.
    As long as it reaches nobody, all that are not known to be down are its witnesses.
    """

    def __init__(self, clock: Clock, pinned: Pinned, source: Source) -> None:
        """Nothing is observed yet."""
        self._clock = clock
        self._pinned = pinned
        self._source = source
        self._seen: dict[str, _Observed] = {}
        self._told: dict[str, _Observed] = {}
        self._met = False
        self._began = pinned.now()
        self._news = asyncio.Event()
        self._spent = False
        self.since: int | None = None
        self.witnesses: Callable[[], Awaitable[bool]] | None = None

    @property
    def local(self) -> bool:
        """Whether our own network is down."""
        return self.since is not None

    @property
    def unsure(self) -> bool:
        """Whether nobody was reached since the start, so that a loss before it may go on."""
        return not self._met and self._pinned.now() - self._began <= LONGEST

    def recalled(self, host: str, at: int, reached: bool) -> None:  # noqa: FBT001 - as `heard`
        """Take note of what the log says of *host*: when it was asked, and if it was reached."""
        before = self._told.get(host)
        if before is None or before.at <= at:
            self._told[host] = _Observed(at, reached)
        self._news.set()

    def heard(self, host: str, reached: bool) -> None:  # noqa: FBT001 - a callback of two values
        """Take note of a first attempt: whether a status line came back from *host*."""
        now = self._pinned.now()
        self._seen[host] = _Observed(now, reached)
        self._met = self._met or reached
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
        if len(jury) < FEWEST and not (self._blank() and len(self._source.hosts()) >= FEWEST):
            return "FAIL"
        pulled = False
        end = self._clock.monotonic() + HOLD
        while not self.local:
            if len(jury) < FEWEST:  # more may be recalled meanwhile
                jury = self._jury(host, began)
            if len(jury) >= FEWEST and not pulled:
                pulled = True
                self._source.pull(jury - {host} - self._since(began).keys())
            known = {one: seen for one, seen in self._since(began).items() if one in jury}
            reached = sum(seen.reached for seen in known.values())
            failed = len(known) - reached
            left = end - self._clock.monotonic()
            if reached > REACHED * len(jury):
                return "FAIL"
            late = left <= 0 and len(known) >= FEWEST and failed >= LOST * len(known)
            if late or (len(jury) >= FEWEST and failed >= LOST * len(jury)):
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
        out = jury | set(self._source.barred())
        oldest = self._oldest()
        known = {**self._told, **self._seen}
        fitting = sorted(
            (seen.at, one) for one, seen in known.items() if seen.reached and seen.at >= oldest
        )
        named = [one for _, one in fitting if one not in out]
        if self._blank():
            named += sorted(set(self._source.up()) - out - set(named))
        return jury | set(named[: max(0, MOST - len(jury))])

    def _blank(self) -> bool:
        """Tell whether this process has reached nobody lately: so it is after a start."""
        oldest = self._oldest()
        return not any(seen.reached and seen.at >= oldest for seen in self._seen.values())

    def _oldest(self) -> int:
        return self._pinned.now() - 3 * self._source.interval()

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
