"""What processes tell each other: who lives, and until when a provider is not to be asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from services.demo import faults
from services.jetstream import state
from services.jetstream.setup import ensure
from services.jetstream.state import Told, Wait
from services.keys import Secret
from services.seats import holder
from services.waits import Waits, fingerprint
from tests.support.clock import ManualClock
from tests.support.refreshing import acme, eventually

INSTANCES = st.lists(st.text("abcdef0123456789", min_size=8, max_size=8), min_size=1, unique=True)
NAMES = [f"provider-{number}" for number in range(60)]


@given(INSTANCES, st.sampled_from(["joins", "leaves"]))
def test_when_one_comes_or_goes_no_other_provider_moves(instances: list[str], change: str) -> None:
    one, more = "newcomer", [*instances, "newcomer"]
    before, after = (instances, more) if change == "joins" else (more, instances)
    moved = [name for name in NAMES if holder(name, before) != holder(name, after)]

    assert {one} >= {holder(name, after if change == "joins" else before) for name in moved}


def test_instances_hold_about_as_many_providers_each() -> None:
    instances = ["a1b2c3d4", "e5f6a7b8", "c9d0e1f2"]
    held = [holder(f"provider-{number}", instances) for number in range(300)]

    assert all(70 <= held.count(one) <= 130 for one in instances)


def test_a_fingerprint_tells_credentials_apart_and_tells_none() -> None:
    keys = [{"api_key": Secret("one")}, {"api_key": Secret("two")}, {"token": Secret("one")}, {}]
    prints = [fingerprint("acme", key) for key in keys] + [fingerprint("other", keys[0])]

    assert len(set(prints)) == len(prints)
    assert fingerprint("acme", {"api_key": Secret("one")}) == prints[0]
    assert all("one" not in text and len(text) == 32 for text in prints)


def _wait(until: float) -> Wait:
    return Wait(until=until, seconds=60.0, class_="rate_limited")


@pytest.mark.nats
class TestBucket:
    @pytest.fixture(autouse=True)
    async def _streams(self, nc: Client) -> None:
        await ensure(nc, audit_max_age=None, monitor_url=None)

    async def test_who_beats_lives_until_it_rests(self, nc: Client) -> None:
        await state.beat(nc, "refresher", "one")
        await state.beat(nc, "refresher", "two")
        await state.beat(nc, "health-monitor", "three")
        both = await state.alive(nc, "refresher")
        await state.rest(nc, "refresher", "one")

        assert both == {"one", "two"}
        assert await state.alive(nc, "refresher") == {"two"}
        assert await state.alive(nc, "projector") == frozenset()

    async def test_not_before_only_moves_forward(self, nc: Client) -> None:
        waits = [_wait(until) for until in (100.0, 300.0, 200.0)]
        told = [await state.put_off(nc, "acme", "key", one, real_seconds=60) for one in waits]

        assert [one.wait for one in told] == [waits[0], waits[1], waits[1]]
        assert (await state.not_before(nc, "acme", "key")).wait == waits[1]
        assert (await state.not_before(nc, "acme", "other")) == Told(0, None)

    async def test_of_many_who_tell_at_once_the_latest_moment_stays(self, nc: Client) -> None:
        waits = [_wait(float(until)) for until in range(100, 108)]
        await asyncio.gather(
            *(state.put_off(nc, "acme", "key", one, real_seconds=60) for one in waits)
        )

        assert (await state.not_before(nc, "acme", "key")).wait == waits[-1]

    async def test_success_takes_back_what_it_knew_of_and_no_more(self, nc: Client) -> None:
        first = await state.put_off(nc, "acme", "key", _wait(100.0), real_seconds=60)
        second = await state.put_off(nc, "acme", "key", _wait(200.0), real_seconds=60)
        await state.clear(nc, "acme", "key", first.revision)
        assert await state.not_before(nc, "acme", "key") == second

        await state.clear(nc, "acme", "key", second.revision)
        assert (await state.not_before(nc, "acme", "key")).wait is None

    async def test_what_is_over_is_gone_by_itself(self, nc: Client) -> None:
        await state.put_off(nc, "acme", "key", _wait(100.0), real_seconds=1.0)

        async def gone() -> bool:
            return (await state.not_before(nc, "acme", "key")).wait is None

        await eventually(gone, 5)

    async def test_one_process_waits_for_what_another_was_told(self, nc: Client) -> None:
        clock = ManualClock()
        one, two = Waits(clock, nc), Waits(clock, nc)
        await one.asked("acme", "key", 60.0, "overloaded")
        clock.advance(seconds=20)
        left = await two.left("acme", "key")

        assert left is not None
        assert (left.seconds, left.class_) == (40.0, "overloaded")
        assert await two.left("acme", "another key") is None
        assert await two.left("other", "key") is None

        await two.answered("acme", "key")
        assert await one.left("acme", "key") is None

    async def test_a_wrong_clock_makes_nobody_wait_longer(self, nc: Client) -> None:
        ahead, behind = ManualClock(), ManualClock()
        ahead.advance(hours=5)
        await Waits(ahead, nc).asked("acme", "key", 60.0, "rate_limited")
        left = await Waits(behind, nc).left("acme", "key")

        assert left is not None
        assert left.seconds == 60.0

    async def test_what_is_less_than_is_left_is_nothing_new(self, nc: Client) -> None:
        clock = ManualClock()
        waits = Waits(clock, nc)
        for seconds in (60.0, 30.0, 0.0):
            await waits.asked("acme", "key", seconds, "rate_limited")
        left = await waits.left("acme", "key")

        assert left is not None
        assert left.seconds == 60.0


async def test_without_a_bucket_a_process_remembers_by_itself() -> None:
    clock = ManualClock()
    waits = Waits(clock)
    await waits.asked("acme", "key", 60.0, "rate_limited")
    await waits.asked("acme", "key", 30.0, "rate_limited")
    clock.advance(seconds=59)
    left = await waits.left("acme", "key")
    clock.advance(seconds=2)

    assert left is not None
    assert left.seconds == 1.0
    assert await waits.left("acme", "key") is None


@pytest.mark.nats
async def test_nothing_overrides_what_a_provider_asked_for(nc: Client, tmp_path: Path) -> None:
    """Neither a command, nor force, nor a restart; an hour later it is asked again."""
    async with acme(nc, tmp_path, ["a"], attempts=1) as (bench, site, clock):
        site.faults.next(faults.status(429, retry_after="3600"))
        first = await bench.run()
        clock.advance(seconds=1800)
        forced = await bench.run(force=True, reason="command")
        bench.restart()
        restarted = await bench.run()
        calls = len(site.requests)
        clock.advance(seconds=2200)
        last = await bench.run()

    assert [one.error and one.error.class_ for one in (first, forced, restarted, last)] == [
        "rate_limited",
        "rate_limited",
        "rate_limited",
        None,
    ]
    assert [one.attempts for one in (first, forced, restarted, last)] == [1, 0, 0, 1]
    assert (calls, len(site.requests)) == (1, 2)


@pytest.mark.nats
async def test_a_success_within_the_run_takes_the_wait_back(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, ["a"], attempts=2) as (bench, site, _):
        site.faults.next(faults.status(503, retry_after="7"))
        outcome = await bench.run()
        again = await bench.run()

    assert (outcome.error, outcome.attempts, again.error) == (None, 2, None)
