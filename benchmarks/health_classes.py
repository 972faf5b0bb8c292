"""Which class held when, in truth and as the monitor saw it: shares of time, and episodes.

Classes are ok, throttled, account, outage and local. Moments and durations are seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from benchmarks.health_traces import DAY, GREY, TRUE, Episode, World
from benchmarks.health_world import Change, Lived
from events.health import blocked, down

LATEST = 151.0
"""Seconds by which every outage is to be found."""
HOUR = 3_600.0
CLEAR = 600.0
"""Seconds that an hour without faults lies apart from any."""
LEAST = {"outage": TRUE, "throttled": 900.0, "account": 300.0, "local": 60.0}
"""How long an episode lasts at least for its class to be asked for."""
WORST = ("outage", "account", "throttled")

Segment = tuple[float, float, str]
Shares = Counter[tuple[str, str]]


def truth(episodes: Sequence[Episode], span: float) -> list[Segment]:
    """Return the classes that hold; blips count for nothing."""
    held = [
        (one.start, min(one.end, span), one.sort)
        for one in episodes
        if one.sort in {"outage", "throttled", "account", "local", "flapping"}
    ]
    return list(_filled([(start, end, str(sort)) for start, end, sort in held], span, "ok"))


def line(life: Lived, span: float, *, told: bool) -> Iterator[Segment]:
    """Return the classes that the monitor saw, as told or since when it said they held."""
    turns = [(one.told if told else one.began, _class(one)) for one in life.changes]
    turns = [(0.0, "unknown"), *turns, (span, "")]
    segments = [(max(0.0, start), end, class_) for (start, class_), (end, _) in pairwise(turns)]
    gaps = [
        (
            one.start,
            span if one.end is None else one.end,
            "local" if one.reason == "local_network" else "unknown",
        )
        for one in life.gaps
    ]
    for start, end, class_ in segments:
        if start < end:
            yield from _filled(
                [(max(start, a), min(end, b), c) for a, b, c in gaps if a < end and start < b],
                end,
                class_,
                start,
            )


def _filled(
    held: Sequence[Segment], span: float, rest: str, start: float = 0.0
) -> Iterator[Segment]:
    at = start
    for begin, end, class_ in sorted(held):
        if begin > at:
            yield at, begin, rest
        if end > max(at, begin):
            yield max(at, begin), end, class_
            at = end
    if at < span:
        yield at, span, rest


def _class(change: Change) -> str:
    status: Any = change.status
    if down(status, change.cause):
        return "outage"
    if blocked(status, change.cause):
        return "account"
    if change.status == "inactive":
        return "unknown"
    return "throttled" if change.cause == "throttled" else "ok"


def shares(
    truth: Sequence[Segment], line: Sequence[Segment], begin: float = 0.0, end: float = 1e12
) -> Shares:
    """Return for how long each class held while each was seen."""
    found: Shares = Counter()
    place = 0
    for start, stop, class_ in truth:
        while place and line[place][0] > start:
            place -= 1
        for at in range(place, len(line)):
            a, b, seen = line[at]
            if a >= stop:
                break
            place = at
            lasts = min(stop, b, end) - max(start, a, begin)
            if lasts > 0:
                found[class_, seen] += lasts  # type: ignore[assignment]  # seconds, not a number of
    return found


def uptime(shared: Shares, of: int) -> float | None:
    """Return the share of up time: true (*of* 0) or as seen (1); None where nothing is known."""
    up = sum(time for pair, time in shared.items() if pair[of] in {"ok", "throttled"})
    bad = sum(time for pair, time in shared.items() if pair[of] == "outage")
    return up / (up + bad) if up + bad else None


def uptimes(
    world: World, life: Lived, truth: Sequence[Segment], line: Sequence[Segment], *, ours: bool
) -> list[float]:
    """Return by how much the uptime of each day is wrong; the naive one is of ten checks."""
    found: list[float] = []
    checks = [(one.end, one.first) for one in life.cycles]
    place = 0
    for day in range(int(world.days)):
        both = shares(truth, line, day * DAY, (day + 1) * DAY)
        for pair in [one for one in both if one[0] == "flapping"]:
            del both[pair]
        true, seen = uptime(both, 0), uptime(both, 1)
        if true is None:
            continue
        if ours:
            if seen is not None:
                found.append(abs(true - seen))
            continue
        for hour in range(1, 25):
            while place < len(checks) and checks[place][0] <= day * DAY + hour * HOUR:
                place += 1
            last = checks[max(0, place - 10) : place]
            found.append(abs(true - sum(good for _, good in last) / max(1, len(last))))
    return found


def confusion(world: World, life: Lived) -> Iterator[tuple[str, str]]:
    """Yield the class of every episode, blip and clear hour, and what was seen in it."""
    segments_ = list(line(life, world.span, told=True))
    faults = [one for one in life.trace.episodes if one.sort not in {"blip", "odd"}]
    for one in life.trace.episodes:
        if one.sort == "blip":
            if one.lasts < GREY and not _near(one.start, one.end + LATEST, faults):
                yield "ok", _worst(life, one.start, one.end + LATEST)
        elif one.sort in LEAST and one.lasts >= LEAST[one.sort]:
            end = min(one.end, world.span)
            late = HOUR if ":" in one.kind and one.sort == "outage" else LATEST
            if one.sort == "local":
                seen = _local(life, one)
                if seen is not None:
                    yield "local", seen
                continue
            held = {
                c for a, b, c in segments_ if a < end + late and one.start < b and b > one.start + 1
            }
            own = {_class(c) for c in life.changes if one.start <= c.told <= end + late}
            yield one.sort, next((c for c in WORST if c in held & own), "ok")
    for hour in range(int(world.span // HOUR)):
        start, end = hour * HOUR, (hour + 1) * HOUR
        if hour and not _near(start, end, faults):
            yield "ok", _worst(life, start, end)


def _near(start: float, end: float, faults: Sequence[Episode]) -> bool:
    return any(one.start < end + CLEAR and start - CLEAR < one.end + HOUR for one in faults)


def _worst(life: Lived, start: float, end: float) -> str:
    """Return the worst class that was told between two moments."""
    told = {_class(one) for one in life.changes if start <= one.told < end}
    return next((one for one in WORST if one in told), "ok")


def _local(life: Lived, one: Episode) -> str | None:
    """Return what a loss of our own network was taken for; None where nobody was asked in it."""
    told = {_class(c) for c in life.changes if one.start <= c.told <= one.end + LATEST}
    for class_ in WORST:
        if class_ in told:
            return class_
    within = [c.verdict for c in life.cycles if one.start <= c.start and c.end <= one.end]
    if not within:
        return None
    return "local" if "UNKNOWN" in within else "ok"
