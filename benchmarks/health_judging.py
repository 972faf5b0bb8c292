"""What the monitor made of a world, against what happened: counts that add up over worlds.

Source of the metrics: health.md, section 13. Moments and durations are seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from benchmarks.health_classes import CLEAR, HOUR, LATEST, confusion, line, shares, truth, uptimes
from benchmarks.health_traces import GREY, TRUE, Episode, World
from benchmarks.health_world import Change, Lived
from events.health import down


class Down(NamedTuple):
    """A time for which a provider was called down: since when, told when, and both of its end."""

    began: float
    told: float
    ended: float
    over: float


@dataclass(slots=True)
class Tally:
    """Counts of one family, of the monitor or of the naive logic; `add` adds those of a part."""

    days: float = 0.0
    cycles: int = 0
    calls: int = 0
    true: int = 0
    found: int = 0
    right: int = 0
    false: int = 0
    false_strict: int = 0
    decoys: Counter[str] = field(default_factory=Counter[str])
    detection: list[float] = field(default_factory=list[float])
    recovery: list[float] = field(default_factory=list[float])
    hindered: list[float] = field(default_factory=list[float])
    raw: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    dated: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    seen: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    uptime: list[float] = field(default_factory=list[float])
    unwanted: int = 0
    missed: list[str] = field(default_factory=list[str])

    def add(self, other: Tally) -> None:
        """Add what *other* counted."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            else:
                setattr(self, one.name, mine + theirs)


def judged(world: World, lives: Sequence[Lived]) -> tuple[Tally, Tally]:
    """Return what is to be counted of *world*: of the monitor, and of the naive logic."""
    ours, plain = Tally(), Tally()
    for life in lives:
        ours.add(_one(world, life))
        plain.add(_one(world, naive(life), ours=False))
    for tally in (ours, plain):
        tally.decoys["pauses"] += len(world.pauses) * len(lives)
        tally.decoys["steps"] += len(world.steps) * len(lives)
        tally.decoys["restarts"] += len(world.restarts) * len(lives)
    return ours, plain


def naive(life: Lived) -> Lived:
    """Return *life* as seen by who flips at each first attempt, and knows up and down alone."""
    changes: list[Change] = []
    for cycle in life.cycles:
        status = "active" if cycle.first else "error"
        if not changes or changes[-1].status != status:
            cause = None if cycle.first else "outage"
            changes.append(Change(cycle.end, cycle.end, status, cause))
    return life._replace(changes=changes, gaps=[])


def _one(world: World, life: Lived, *, ours: bool = True) -> Tally:
    episodes = life.trace.episodes
    outages = [one for one in episodes if one.sort == "outage"]
    blips = [one for one in episodes if one.sort == "blip"]
    flaps = [one for one in episodes if one.sort == "flapping"]
    downs = list(_downs(life.changes, world.span))
    tally = Tally(days=world.days, cycles=len(life.cycles), calls=life.calls)
    for sort in ("blip", "throttled", "account", "local"):
        tally.decoys[sort] += sum(one.sort == sort for one in episodes)
    for one in downs:
        if _meeting(one, flaps):
            continue
        real = _meeting(one, outages)
        if any(true.lasts >= TRUE for true in real):
            tally.right += 1
        elif not (real or _meeting(one, blips, GREY)):
            tally.false += 1
            tally.missed.append(f"{world.family} {world.seed}: false at {one.told:.0f}")
        if not real:
            tally.false_strict += 1
    for true in outages:
        if true.lasts >= TRUE:
            _found(tally, world, true, downs)
    held = truth(episodes, world.span)
    for name, told in (("raw", True), ("dated", False)):
        seen = list(line(life, world.span, told=told))
        getattr(tally, name).update(shares(held, seen))
        if name == "dated":
            tally.uptime += uptimes(world, life, held, seen, ours=ours)
    tally.seen.update(confusion(world, life))
    if world.still:
        tally.unwanted += sum(one.told > CLEAR for one in life.changes)
    return tally


def _downs(changes: Sequence[Change], span: float) -> Iterator[Down]:
    since: Change | None = None
    for change in changes:
        is_down = down(change.status, change.cause)  # type: ignore[arg-type]  # a status all the same
        if is_down and since is None:
            since = change
        elif not is_down and since is not None:
            yield Down(since.began, since.told, change.began, change.told)
            since = None
    if since is not None:
        yield Down(since.began, since.told, span, span)


def _meeting(one: Down, episodes: Sequence[Episode], least: float = 0.0) -> list[Episode]:
    return [
        true
        for true in episodes
        if true.lasts >= least and true.start < one.over and one.began < true.end + 1
    ]


def _found(tally: Tally, world: World, true: Episode, downs: Sequence[Down]) -> None:
    tally.true += 1
    late = true.end + (HOUR if ":" in true.kind else LATEST)
    met = [
        one for one in downs if true.start < one.over and one.began < true.end and one.told < late
    ]
    if not met:
        tally.missed.append(
            f"{world.family} {world.seed}: {true.kind} at {true.start:.0f} for {true.lasts:.0f} s"
        )
        return
    tally.found += 1
    found = max(0.0, met[0].told - true.start)
    if ":" in true.kind or _disturbed(world, true):
        tally.hindered.append(found)
    else:
        tally.detection.append(found)
        tally.recovery.append(max(0.0, met[-1].over - true.end))


def _disturbed(world: World, true: Episode) -> bool:
    """Tell whether the monitor was away where it had to find the outage or its end."""
    away = [(at, at + seconds) for at, seconds in world.pauses]
    away += [
        (one.at, one.at + HOUR if one.phase == "recording" else one.at + one.away + 60)
        for one in world.restarts
    ]
    spans = ((true.start - 60, true.start + LATEST), (true.end - 60, true.end + LATEST))
    return any(start < end_ and begin < end for start, end in away for begin, end_ in spans)
