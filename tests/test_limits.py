"""How many calls at once, who goes first, and how many retries a process may spend."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from services.calls.limits import Limits, RetryBudget
from services.clock import Clock


class Hand(Clock):
    """A clock that stands where the test puts it."""

    at = 0.0

    def monotonic(self) -> float:
        return self.at


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Calls:
    """Calls that last until the test ends them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.running: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, asyncio.Event] = {}

    async def start(self, name: str, host: str = "", priority: int = 0) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._call(name, host or name, priority))
        await settled()

    async def _call(self, name: str, host: str, priority: int) -> None:
        async with self.limits.slot(host, priority):
            self.running.append(name)
            try:
                await self.ends[name].wait()
            finally:
                self.running.remove(name)

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        await settled()

    async def cancel(self, name: str) -> None:
        self.tasks[name].cancel()
        await settled()

        assert self.tasks[name].cancelled()


async def test_so_many_run_at_once_and_no_more() -> None:
    calls = Calls(Limits(2, clock=Hand()))
    for name in "abc":
        await calls.start(name)

    assert calls.running == ["a", "b"]
    await calls.end("a")
    assert calls.running == ["b", "c"]
    await calls.end("b")
    await calls.end("c")


async def test_two_run_at_one_host_and_hold_up_nobody_else() -> None:
    calls = Calls(Limits(5, per_host=2, clock=Hand()))
    for name in "abc":
        await calls.start(name, "one")
    await calls.start("d", "other")

    assert calls.running == ["a", "b", "d"]
    await calls.end("b")
    assert calls.running == ["a", "d", "c"]
    for name in "acd":
        await calls.end(name)


async def test_priority_goes_first_and_waiting_overtakes_it() -> None:
    clock = Hand()
    calls = Calls(Limits(1, clock=clock))
    await calls.start("running")
    await calls.start("low", priority=-100)
    clock.at = 10.0
    await calls.start("plain")
    await calls.start("high", priority=1)
    clock.at = 101.0
    await calls.start("late", priority=0)
    order = []
    for _ in range(5):
        (name,) = calls.running
        order.append(name)
        await calls.end(name)

    assert order == ["running", "high", "plain", "low", "late"]


async def test_who_is_cancelled_gives_its_place_away() -> None:
    calls = Calls(Limits(1, clock=Hand()))
    for name in "abc":
        await calls.start(name)
    await calls.cancel("b")
    await calls.cancel("a")

    assert calls.running == ["c"]
    await calls.end("c")
    await calls.start("d")
    assert calls.running == ["d"]
    await calls.end("d")


async def test_who_is_cancelled_when_its_turn_has_just_come_gives_it_away() -> None:
    calls = Calls(Limits(1, clock=Hand()))
    await calls.start("a")
    await calls.start("b")
    calls.ends["a"].set()
    await calls.tasks["a"]
    await calls.cancel("b")
    await calls.start("c")

    assert calls.running == ["c"]
    await calls.end("c")


async def test_many_calls_keep_to_the_bounds() -> None:
    limits = Limits(4, per_host=2, clock=Clock())
    now: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def one(host: str) -> None:
        async with limits.slot(host):
            now.update([host, "all"])
            most[host] = max(most[host], now[host])
            most["all"] = max(most["all"], now["all"])
            await asyncio.sleep(0)
            now.subtract([host, "all"])

    async with asyncio.timeout(10):
        await asyncio.gather(*(one("abc"[number % 3]) for number in range(60)))

    assert most == {"a": 2, "b": 2, "c": 2, "all": 4}


def test_retries_are_earned_by_first_attempts() -> None:
    budget = RetryBudget()
    spent = [budget.spend() for _ in range(11)]

    assert (spent, budget.refused) == ([True] * 10 + [False], 1)
    for _ in range(11):
        budget.earn()
    assert (budget.spend(), budget.spend()) == (True, False)
    for _ in range(1000):
        budget.earn()
    assert budget.tokens == pytest.approx(10.0)
