from __future__ import annotations

import asyncio

from events.audit import RefreshOutcome, RefreshSucceeded
from services.refresher.flights import Flights
from services.refresher.refresh import Run


class _Sky:
    """Runs that land when they are told to."""

    def __init__(self) -> None:
        self.flown: list[Run] = []
        self.land = asyncio.Event()
        self.cancelled = 0

    async def fly(self, run: Run) -> RefreshOutcome:
        self.flown.append(run)
        try:
            await self.land.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return RefreshSucceeded(at="2026-01-01T00:00:00.000Z", provider="acme", run_id=run.run_id)


async def test_who_asks_second_joins_the_run_on_its_way() -> None:
    sky = _Sky()
    flights = Flights(sky.fly)
    first, second = flights.request(), flights.request(reason="command")
    sky.land.set()
    outcomes = await asyncio.gather(first.ended, second.ended)

    assert (first.joined, second.joined) == (False, True)
    assert [outcome.run_id for outcome in outcomes] == [first.run.run_id] * 2
    assert len(sky.flown) == 1


async def test_a_forced_run_waits_for_an_unforced_one_and_then_runs_once() -> None:
    sky = _Sky()
    flights = Flights(sky.fly)
    unforced = flights.request()
    forced, again = flights.request(force=True), flights.request(force=True)
    sky.land.set()
    await asyncio.gather(unforced.ended, forced.ended, again.ended)

    assert (forced.joined, again.joined) == (False, True)
    assert [run.force for run in sky.flown] == [False, True]


async def test_a_request_joins_a_forced_run_on_its_way() -> None:
    sky = _Sky()
    flights = Flights(sky.fly)
    forced, plain = flights.request(force=True), flights.request()
    sky.land.set()
    await forced.ended

    assert plain.joined
    assert plain.run == forced.run


async def test_after_a_landing_a_request_is_a_run_of_its_own() -> None:
    sky = _Sky()
    sky.land.set()
    flights = Flights(sky.fly)
    first = flights.request()
    await first.ended
    second = flights.request()
    await second.ended

    assert not second.joined
    assert not flights.running
    assert len(sky.flown) == 2


async def test_stopping_cancels_the_run_and_the_one_behind_it() -> None:
    sky = _Sky()
    flights = Flights(sky.fly)
    running, waiting = flights.request(), flights.request(force=True)
    await asyncio.sleep(0)
    await flights.stop()

    assert running.ended.cancelled()
    assert waiting.ended.cancelled()
    assert (len(sky.flown), sky.cancelled) == (1, 1)
