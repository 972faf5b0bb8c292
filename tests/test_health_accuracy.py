from collections.abc import Sequence
from random import Random

import pytest

from benchmarks.health_families import worlds
from benchmarks.health_judging import judged
from benchmarks.health_traces import DAY, OUTAGES, Episode, Restart, Trace, World, blips
from benchmarks.health_world import Lived, lived
from events.health import down

NOISY = Trace((), 0.01)
LOSSES = tuple(
    Episode(start, start + lasts, "local", kind)
    for start, lasts, kind in [
        (1_800.0, 20.0, "refuse"),
        (3_600.0, 90.0, "blackhole"),
        (7_200.0, 600.0, "refuse"),
        (10_800.0, 900.0, "blackhole"),
    ]
)
STILL = [
    World("all hosts at once", 1, 0.16, (Trace(LOSSES, 0.01),) * 6),
    World("monitor paused", 1, 0.1, (NOISY,) * 4, pauses=((1_800.0, 600.0), (5_400.0, 600.0))),
    World("clock set", 1, 0.1, (NOISY,) * 4, steps=((1_800.0, 3_600.0), (5_400.0, -3_600.0))),
    World(
        "restarts",
        1,
        0.1,
        (NOISY,) * 4,
        restarts=tuple(
            Restart(600.0 * turn, "calling" if turn % 2 else "any", 2.0 * turn)
            for turn in range(1, 13)
        ),
    ),
]
MINUTE = 60.0


def told(lives: Sequence[Lived]) -> list[list[str]]:
    return [[change.status for change in life.changes] for life in lives]


def test_noise_of_a_twentieth_never_makes_an_error() -> None:
    world = World("noise", 3, 0.15, tuple(Trace((), 0.05) for _ in range(8)))
    lives = lived(world)
    assert told(lives) == [["active"]] * 8
    assert all(any(not cycle.first for cycle in life.cycles) for life in lives)


@pytest.mark.parametrize("kinds", [OUTAGES[:7], OUTAGES[7:]], ids=lambda kinds: kinds[0])
def test_every_outage_of_180_s_is_found_and_ends(kinds: Sequence[str]) -> None:
    starts = [30 * MINUTE + 997 * place for place in range(len(kinds))]
    traces = [
        Trace((Episode(start, start + 180, "outage", kind),), 0.01)
        for start, kind in zip(starts, kinds, strict=True)
    ]
    world = World("outages", 5, 3 * 3600 / DAY, tuple(traces))
    lives = lived(world)
    ours, _ = judged(world, lives)
    assert (ours.true, ours.found, ours.false_strict) == (len(kinds), len(kinds), 0)
    assert max(ours.detection) <= 151
    assert told(lives) == [["active", "error", "active"]] * len(kinds)


def test_a_blip_of_less_than_40_s_is_not_called_an_outage() -> None:
    world = World("blips", 7, 0.2, ())
    short = tuple(
        one._replace(end=min(one.end, one.start + 35))
        for one in blips(Random(7), world.days, 60)  # noqa: S311 - the same at every run
    )
    lives = lived(world._replace(traces=tuple(Trace(short) for _ in range(3))))
    assert told(lives) == [["active"]] * 3


@pytest.mark.parametrize("world", STILL, ids=lambda world: world.family)
def test_what_is_our_own_fault_changes_no_status(world: World) -> None:
    lives = lived(world)
    assert told(lives) == [["active"]] * len(world.traces)
    if world.family == "all hosts at once":
        judgements = [cycle.class_ for life in lives for cycle in life.cycles]
        assert judgements.count("local") >= len(lives)


def test_a_fault_of_our_own_code_says_nothing_of_the_provider() -> None:
    bug = Episode(600, 1_800, "odd", "bug")
    lives = lived(World("bug", 1, 0.03, (Trace((bug,)), Trace(()), Trace(()), Trace(()))))
    assert told(lives) == [["active"]] * 4
    within = [cycle.class_ for cycle in lives[0].cycles if 600 <= cycle.start < 1_800]
    assert set(within) == {"check_error"}
    assert all(cycle.class_ == "ok" for life in lives[1:] for cycle in life.cycles)


def test_the_same_seed_gives_the_same_life() -> None:
    world = next(world for world in worlds(2, 0.005) if world.family == "everything")
    first, again = lived(world), lived(world)
    assert [life.changes for life in first] == [life.changes for life in again]
    assert [life.cycles for life in first] == [life.cycles for life in again]


def test_the_naive_logic_is_fed_by_the_same_cycles() -> None:
    world = World("noise", 3, 0.1, tuple(Trace((), 0.05) for _ in range(4)))
    lives = lived(world)
    _, naive = judged(world, lives)
    flips = sum(
        not now.first and before.first
        for life in lives
        for before, now in zip(life.cycles, life.cycles[1:], strict=False)
    )
    assert naive.false == naive.false_strict == flips > 0
    assert not any(down("error", change.cause) for life in lives for change in life.changes)
