"""What happens to simulated providers, drawn from a seed: the truth that the monitor must find.

Source of the families: health.md, section 13. Moments and durations are seconds since the start.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from random import Random
from typing import Literal, NamedTuple

DAY = 86_400.0
QUIET = 1_800.0
"""Seconds at either end of a trace in which nothing happens."""
GREY = 30.0
TRUE = 180.0
"""From when on an outage has to be found; from `GREY` on it may be."""

Class = Literal["ok", "throttled", "account", "outage", "local"]
Phase = Literal["any", "calling", "recording"]
Sort = Literal["outage", "blip", "throttled", "account", "local", "odd", "flapping"]
"""What an episode is: `odd` is no fault at all (slow, a list in doubt), `flapping` is no truth."""

OUTAGES = (
    *("refuse", "blackhole", "reset", "dns", "tls", "silent", "hang", "drip"),
    *("500", "502", "520", "html", "broken"),
)
"""Ways of being down."""
BLIPS = ("refuse", "reset", "silent", "500", "502", "503", "broken")
NOISE = ("refuse", "blackhole", "reset", "500", "502", "503", "broken")
RETRY_AFTER = (
    *("none", "seconds", "float", "milliseconds", "date", "asctime", "theirs"),
    *("absurd", "negative", "garbage"),
)
"""Every form of the header that a 429 comes with."""
ASKED = ("5", "60", "600", "86400")
"""Seconds that a 503 asks for."""


class Episode(NamedTuple):
    """Something that happens to one provider; *kind* says how it shows."""

    start: float
    end: float
    sort: Sort
    kind: str

    @property
    def lasts(self) -> float:
        """Its length."""
        return self.end - self.start


class Trace(NamedTuple):
    """One provider's life: what happens to it, the sooner named wins, and its noise."""

    episodes: tuple[Episode, ...]
    noise: float = 0.0


class Restart(NamedTuple):
    """The monitor is ended *at* a moment and begun again; *phase* says in the midst of what."""

    at: float
    phase: Phase
    away: float


class World(NamedTuple):
    """Providers that one monitor watches, each on a host of its own, and what befalls it."""

    family: str
    seed: int
    days: float
    traces: tuple[Trace, ...]
    pauses: tuple[tuple[float, float], ...] = ()
    steps: tuple[tuple[float, float], ...] = ()
    restarts: tuple[Restart, ...] = ()
    still: bool = False
    """Whether no status may change."""

    @property
    def span(self) -> float:
        """Its length in seconds."""
        return self.days * DAY


class Line(NamedTuple):
    """A trace as a line of what holds from each moment on, None: nothing."""

    moments: tuple[float, ...]
    holds: tuple[Episode | None, ...]

    def at(self, moment: float) -> Episode | None:
        """Return what happens at *moment*."""
        return self.holds[bisect_right(self.moments, moment) - 1]


def line(episodes: Sequence[Episode]) -> Line:
    """Return *episodes* as a line; where several overlap, the first named holds."""
    edges = sorted({0.0, *(one.start for one in episodes), *(one.end for one in episodes)})
    holds = [next((one for one in episodes if one.start <= edge < one.end), None) for edge in edges]
    return Line(tuple(edges), tuple(holds))


def lognormal(random: Random) -> float:
    """Return the length of an outage: median 10 min, sigma .9, from 2 min to 3 h."""
    return min(10_800.0, max(120.0, random.lognormvariate(math.log(600), 0.9)))


def spread(random: Random, days: float, a_day: float, apart: float) -> list[float]:
    """Return starts as of a Poisson process of *a_day* a day, at least *apart* from each other."""
    found: list[float] = []
    at = QUIET
    while True:
        at += random.expovariate(a_day / DAY)
        if at > days * DAY - QUIET - apart:
            return found
        found.append(at)
        at += apart


def outages(
    random: Random, days: float, a_day: float, kinds: Sequence[str] = OUTAGES
) -> list[Episode]:
    """Return outages, each of a kind drawn from *kinds*."""
    made: list[Episode] = []
    for at in spread(random, days, a_day, 1_800):
        start = max(at, made[-1].end + 1_800) if made else at
        end = start + lognormal(random)
        if end < days * DAY - QUIET:
            made.append(Episode(start, end, "outage", random.choice(kinds)))
    return made


def blips(random: Random, days: float, a_day: float = 20.0) -> list[Episode]:
    """Return failures of 8 s on the average: nothing that anybody should hear of."""
    return [
        Episode(at, at + random.expovariate(1 / 8), "blip", random.choice(BLIPS))
        for at in spread(random, days, a_day, 0)
    ]


def bursts(random: Random, days: float) -> list[Episode]:
    """Return the bad spells of a Gilbert-Elliott channel: four calls in five are lost in one."""
    return [
        Episode(at, at + random.expovariate(1 / 12), "blip", "burst")
        for at in spread(random, days, 60, 0)
    ]


def spells(  # noqa: PLR0913, PLR0917 - what they are, and how often
    random: Random,
    days: float,
    a_day: float,
    sort: Sort,
    kinds: Sequence[str],
    lasts: tuple[float, float],
) -> list[Episode]:
    """Return episodes of *sort*, each *kind* in its turn, which last between two bounds."""
    made: list[Episode] = []
    shortest, longest = (math.log(one) for one in lasts)
    turn = random.randrange(len(kinds))
    for place, at in enumerate(spread(random, days, a_day, lasts[1] + 1_800)):
        end = at + math.exp(random.uniform(shortest, longest))
        made.append(Episode(at, end, sort, kinds[(turn + place) % len(kinds)]))
    return made


def retirement(random: Random) -> list[Episode]:
    """Return the end of an endpoint: storms of 429, two hours of 410, a good week, 404 for good."""
    storms: list[Episode] = []
    at = QUIET
    for _ in range(3):
        end = at + random.uniform(900, 2_400)
        storms.append(Episode(at, end, "throttled", "429:none"))
        at = end + 3_600
    gone = Episode(at, at + 7_200, "account", "410")
    week = gone.end + 7 * DAY
    return [*storms, gone, Episode(week, math.inf, "account", "404")]


def losses(random: Random, days: float, a_day: float) -> list[Episode]:
    """Return losses of the monitor's own network, which befall all hosts at once."""
    return [
        Episode(at, at + random.uniform(5, 900), "local", random.choice(("refuse", "blackhole")))
        for at in spread(random, days, a_day, 4_500)
    ]
