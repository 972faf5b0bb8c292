from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.schedule import next_tick, offset, tick, ticks
from tests.support.clock import ManualClock

names = st.text("abcxyz-09", min_size=1, max_size=8)
intervals = st.integers(1_000, 86_400_000)


def test_the_grid_is_the_one_of_the_design() -> None:
    """The vector of health.md, section 7: no other implementation may drift from it."""
    moments = [1_800_000_000_000]
    for _ in range(3):
        moments.append(next_tick("demo", "openai", "check", 60_000, moments[-1]))

    assert offset("demo", "openai", "check", 60_000) == 37_893
    assert moments[1:] == [1_800_000_037_589, 1_800_000_098_847, 1_800_000_157_609]


@given(names, names, intervals, st.integers(0, 10**8))
def test_a_tick_is_within_a_twentieth_of_its_place(
    installation: str, provider: str, interval: int, number: int
) -> None:
    place = offset(installation, provider, "refresh", interval) + number * interval
    moment = tick(installation, provider, "refresh", interval, number)

    assert abs(moment - place) <= interval // 20 + 1


@given(names, names, intervals, st.integers(0, 2 * 10**12))
def test_the_next_tick_is_the_first_one_after(
    installation: str, provider: str, interval: int, after: int
) -> None:
    moment = next_tick(installation, provider, "refresh", interval, after)
    around = (after // interval) - 2
    grid = [
        tick(installation, provider, "refresh", interval, number)
        for number in range(around, around + 6)
    ]

    assert moment == min(one for one in grid if one > after)


@given(names, names, intervals)
def test_ticks_never_drift(installation: str, provider: str, interval: int) -> None:
    numbers = (0, 1_000_000)
    first, last = (tick(installation, provider, "refresh", interval, number) for number in numbers)

    assert abs((last - first) - 1_000_000 * interval) <= interval // 10 + 1


def test_providers_and_installations_do_not_ask_at_once() -> None:
    places = {
        offset(installation, provider, "refresh", 300_000)
        for installation in ("a", "b")
        for provider in ("openai", "anthropic", "gemini")
    }

    assert len(places) == 6


async def _taken(clock: ManualClock, count: int, *, work: float = 0.0) -> list[int]:
    found = []
    grid = ticks(clock, installation="i", provider="p", kind="refresh", interval=60)
    async for moment in grid:
        found.append(moment)
        clock.advance(seconds=work)
        if len(found) == count:
            await grid.aclose()  # type: ignore[attr-defined]  # an async generator
            return found
    pytest.fail("the grid ended")


async def test_the_first_tick_is_now_and_the_others_are_on_the_grid() -> None:
    clock = ManualClock()
    now = round(clock.unix() * 1000)
    found = await _taken(clock, 4)

    assert found[0] == now
    assert found[1:] == sorted(found[1:])
    after = now
    for moment in found[1:]:
        after = next_tick("i", "p", "refresh", 60_000, after)
        assert moment == after


async def test_ticks_that_were_missed_are_merged_into_one() -> None:
    found = await _taken(ManualClock(), 4, work=600)

    assert all(later - earlier >= 600_000 for earlier, later in pairwise(found))
    assert found[3] - found[0] < 4 * 670_000
