"""Every family of traces, alone and mixed: which worlds the monitor lives through.

Source: health.md, section 13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random
from zlib import crc32

from benchmarks.health_traces import (
    ASKED,
    OUTAGES,
    RETRY_AFTER,
    Episode,
    Phase,
    Restart,
    Trace,
    World,
    blips,
    bursts,
    losses,
    outages,
    retirement,
    spells,
    spread,
)

HOSTS = 8
LONGEST = 4.0
"""Days of one world at most: what is longer is split, so that all cores have work."""
APART = 900.0
"""Seconds between two faults of a provider: what follows at once is no matter of its own."""
NOISE = (0.001, 0.01, 0.02, 0.05)
LOUD = 0.1
"""Noise beyond what the figures are promised for."""
STORMS = tuple(f"429:{form}" for form in RETRY_AFTER if form != "absurd")

Make = Callable[[Random, float], Sequence[Episode]]


def fitting(*layers: Sequence[Episode]) -> tuple[Episode, ...]:
    """Return what fits beside each other; of two that are too near, the one named first stays."""
    kept: list[Episode] = []
    for layer in layers:
        for one in layer:
            apart = 0.0 if one.sort == "blip" else APART
            if all(
                one.end + apart < other.start or other.end + apart < one.start
                for other in kept
                if other.sort != "blip"
            ):
                kept.append(one)
    return tuple(kept)


def storms(random: Random, days: float, a_day: float = 3.0) -> list[Episode]:
    """Return storms of 429 with every form of Retry-After, and some that ask for years."""
    usual = spells(random, days, a_day, "throttled", STORMS, (900, 7_200))
    absurd = spells(random, days, a_day / 9, "throttled", ("429:absurd",), (4_800, 9_000))
    return list(fitting(absurd, usual))


def _accounts(kinds: Sequence[str], random: Random, days: float) -> list[Episode]:
    """Return troubles of our account: two a day."""
    return spells(random, days, 2, "account", kinds, (1_800, 10_800))


def _of_kind(kind: str, random: Random, days: float) -> list[Episode]:
    return outages(random, days, 6, (kind,))


def overloads(random: Random, days: float) -> list[Episode]:
    """Return outages in which the provider asks to wait, from 5 s to a day."""
    kinds = [f"503:{seconds}" for seconds in ASKED]
    return spells(random, days, 3, "outage", kinds, (1_800, 7_200))


def _odd(kind: str, random: Random, days: float) -> list[Episode]:
    """Return what is no fault at all, and looks like one."""
    return spells(random, days, 4, "odd", (kind,), (1_800, 5_400))


ALONE: dict[str, tuple[Make, float, float]] = {
    "quiet": (lambda _, __: (), 2, 0),
    "blips": (blips, 4, 0),
    "bursts": (bursts, 2, 0),
    "outages": (lambda random, days: outages(random, days, 1), 4, 0),
    **{f"outages: {kind}": (partial(_of_kind, kind), 1, 0.001) for kind in OUTAGES},
    "503, Retry-After": (overloads, 4, 0.01),
    "429 storms": (storms, 4, 0.01),
    "key revoked": (partial(_accounts, ("401", "rotated", "403")), 3, 0.01),
    "empty account": (partial(_accounts, ("402", "quota")), 3, 0.01),
    "empty list": (partial(_odd, "empty"), 1, 0.01),
    "half list": (partial(_odd, "half"), 1, 0.01),
    "slow ramp": (partial(_odd, "slow"), 1, 0.01),
    "flapping": (
        lambda random, days: spells(random, days, 4, "flapping", ("coin",), (3_600, 3_600)),
        1,
        0,
    ),
}
"""Families of one kind of trouble: what makes them, days, noise."""


def worlds(seed: int, scale: float = 1.0) -> Iterator[World]:
    """Yield every world; *scale* multiplies the days."""
    for level in (*NOISE, LOUD):
        name = f"noise {level:.1%}"
        yield from _made(name, seed, 1 * scale, level, lambda _, __: ())
    for family, (make, days, noise) in ALONE.items():
        yield from _made(family, seed, days * scale, noise, make)
    for level in NOISE:
        yield from _made(f"mixed, noise {level:.1%}", seed, 8 * scale, level, _usual)
    yield from _made(f"mixed, noise {LOUD:.1%}", seed, 4 * scale, LOUD, _usual)
    for world in _made("retirement", seed, 9.5, 0.01, lambda random, _: retirement(random)):
        yield world._replace(traces=world.traces[:4])
    yield from _still(seed, scale)
    for world in _made("restarts in outages", seed, 4 * scale, 0.01, _usual):
        yield world._replace(restarts=_restarts(_random(world, "restart"), world.days, "recording"))
    for world in _made("everything", seed, 8 * scale, 0.02, _everything):
        random = _random(world, "all")
        lost = losses(random, world.days, 2)
        traces = tuple(one._replace(episodes=fitting(lost, one.episodes)) for one in world.traces)
        away = _restarts(random, world.days, "recording", a_day=4)
        yield world._replace(traces=traces, restarts=away)


def _usual(random: Random, days: float) -> Sequence[Episode]:
    return fitting(outages(random, days, 1), blips(random, days))


def _everything(random: Random, days: float) -> Sequence[Episode]:
    return fitting(
        outages(random, days, 1),
        storms(random, days, 0.5),
        spells(random, days, 0.3, "account", ("401", "rotated", "402", "quota"), (1_800, 7_200)),
        spells(random, days, 0.3, "odd", ("slow", "half"), (1_800, 5_400)),
        blips(random, days),
        bursts(random, days)[::4],
    )


def _still(seed: int, scale: float) -> Iterator[World]:
    """Yield the worlds in which no status may change."""
    for hosts in (HOSTS, 6, 20):
        name = "all hosts at once"
        days = 4 * scale * HOSTS / hosts
        for world in _made(f"{name}, {hosts}", seed, days, 0.01, lambda _, __: (), hosts):
            lost = tuple(losses(_random(world, name), world.days, 12))
            yield world._replace(
                family=name, still=True, traces=tuple(Trace(lost, 0.01) for _ in range(hosts))
            )
    for world in _made("monitor paused", seed, 3 * scale, 0.01, lambda _, __: ()):
        starts = spread(_random(world, "pause"), world.days, 12, 1_800)
        yield world._replace(still=True, pauses=tuple((at, 600.0) for at in starts))
    for world in _made("clock set", seed, 2 * scale, 0.01, lambda _, __: ()):
        starts = spread(_random(world, "step"), world.days, 12, 1_200)
        steps = tuple((at, 3_600.0 * (-1) ** turn) for turn, at in enumerate(starts))
        yield world._replace(still=True, steps=steps)
    for world in _made("restarts", seed, 3 * scale, 0.01, lambda _, __: ()):
        restarts = _restarts(_random(world, "restart"), world.days, "calling", a_day=60)
        yield world._replace(still=True, restarts=restarts)


def _restarts(
    random: Random, days: float, other: Phase, a_day: float = 24.0
) -> tuple[Restart, ...]:
    """Return restarts; every third in the midst of a call, and of recording where there is any."""
    phases: tuple[Phase, ...] = ("any", "calling", other)
    found = spread(random, days, a_day, 400)
    return tuple(
        Restart(at, phases[turn % 3], random.uniform(0.5, 25)) for turn, at in enumerate(found)
    )


def _made(  # noqa: PLR0913, PLR0917 - a family
    family: str, seed: int, days: float, noise: float, make: Make, hosts: int = HOSTS
) -> Iterator[World]:
    """Yield worlds of *family* for *days* in all, none longer than `LONGEST`."""
    part = 0
    while days > 0:
        length = days if family == "retirement" else min(days, LONGEST)
        days -= length
        world = World(
            family, (seed * 7_919 + crc32(f"{family}|{part}".encode())) % 2**31, length, ()
        )
        traces = tuple(
            Trace(tuple(make(_random(world, str(place)), length)), noise) for place in range(hosts)
        )
        yield world._replace(traces=traces)
        part += 1


def _random(world: World, of: str) -> Random:
    return Random(f"{world.seed}|{of}")  # noqa: S311 - the same traces for the same seed
