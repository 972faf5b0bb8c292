"""The guard of our own network, after a start: it goes by what the log says of each host."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.health_time import VirtualClock, VirtualLoop, run
from services.clock import Pinned
from services.health_monitor.witness import FEWEST, HOLD, LONGEST, Guard, Source

INTERVAL = 60_000


class Network:
    """A guard that has just started; a host that is pulled is asked, and answers as it does."""

    def __init__(
        self, loop: VirtualLoop, hosts: Mapping[str, bool], down: Collection[str] = ()
    ) -> None:
        self.clock = VirtualClock(loop)
        self.pinned = Pinned(self.clock)
        self.hosts = hosts
        self.pulled: list[str] = []
        self.asked: set[asyncio.Task[None]] = set()
        source = Source(
            self._pull,
            lambda _: None,
            lambda: INTERVAL,
            lambda: (),
            hosts.keys,
            lambda: hosts.keys() - set(down),
        )
        self.guard = Guard(self.clock, self.pinned, source)

    def _pull(self, hosts: Collection[str]) -> None:
        self.pulled += hosts
        for host in hosts:
            task = asyncio.create_task(self._ask(host))
            self.asked.add(task)
            task.add_done_callback(self.asked.discard)

    async def _ask(self, host: str) -> None:
        await asyncio.sleep(1)
        self.guard.heard(host, self.hosts[host])

    async def fails(self, host: str) -> str:
        """Let a cycle of *host* fail, and return what that amounts to."""
        began = self.pinned.now()
        self.guard.heard(host, False)  # noqa: FBT003 - as the calls say it
        return await self.guard.judge(host, began)


@given(
    count=st.integers(FEWEST, 12),
    down=st.integers(0, 8),
    ages=st.lists(st.one_of(st.none(), st.integers(0, 20 * INTERVAL)), min_size=12, max_size=12),
    gaps=st.lists(st.integers(0, 90), min_size=12, max_size=12),
)
def test_a_start_while_all_are_unreachable_blames_none(
    count: int, down: int, ages: list[int | None], gaps: list[int]
) -> None:
    """However old the log is, and whichever cycle is the first, if four were not down before."""
    names = [f"h{number}" for number in range(count)]
    known_down = names[FEWEST : FEWEST + down]
    loop = VirtualLoop()

    async def story() -> list[str]:
        network = Network(loop, dict.fromkeys(names, False), known_down)
        now = network.pinned.now()
        for name, age in zip(names, ages, strict=False):
            if age is not None:
                network.guard.recalled(name, now - age, name not in known_down)
        found = []
        for name, gap in zip(names, gaps, strict=False):
            found.append(await network.fails(name))
            await network.clock.sleep(gap)
        return found

    assert set(run(loop, story())) == {"local"}


@given(count=st.integers(FEWEST, 12), age=st.integers(0, 20 * INTERVAL))
def test_a_start_while_one_is_unreachable_finds_it_at_its_first_cycle(count: int, age: int) -> None:
    names = [f"h{number}" for number in range(count)]
    loop = VirtualLoop()

    async def story() -> tuple[str, float]:
        network = Network(loop, dict.fromkeys(names[1:], True) | {names[0]: False})
        for name in names:
            network.guard.recalled(name, network.pinned.now() - age, name != names[0])
        found = await network.fails(names[0])
        return found, loop.time()

    found, took = run(loop, story())
    assert found == "FAIL"
    assert took <= 1.1


@given(count=st.integers(1, FEWEST - 1))
def test_too_small_a_fleet_has_no_witnesses_and_fails_at_once(count: int) -> None:
    loop = VirtualLoop()

    async def story() -> tuple[str, float]:
        network = Network(loop, {f"h{number}": False for number in range(count)})
        return await network.fails("h0"), loop.time()

    assert run(loop, story()) == ("FAIL", 0.0)


def test_where_too_few_were_up_before_the_start_a_failure_is_held_and_counts() -> None:
    names = ["a", "b", "c", "d"]
    loop = VirtualLoop()

    async def story() -> tuple[str, float, list[str]]:
        network = Network(loop, dict.fromkeys(names, False), down=["b", "c", "d"])
        return await network.fails("a"), loop.time(), network.pulled

    assert run(loop, story()) == ("FAIL", HOLD, [])


def test_a_loss_soon_after_a_start_is_seen_by_those_that_the_log_says_were_reached() -> None:
    names = ["a", "b", "c", "d", "e"]
    loop = VirtualLoop()

    async def story() -> str:
        network = Network(loop, dict.fromkeys(names, False))
        for name in names:
            network.guard.recalled(name, network.pinned.now() - INTERVAL, reached=True)
        network.guard.heard("e", reached=True)
        await network.clock.sleep(5)
        return await network.fails("a")

    assert run(loop, story()) == "local"


def test_what_is_older_in_the_log_changes_nothing() -> None:
    loop = VirtualLoop()

    async def story() -> str:
        network = Network(loop, dict.fromkeys("abcd", False), down="bcd")
        now = network.pinned.now()
        network.guard.heard("a", reached=True)
        await network.clock.sleep(1)
        for name in "bcd":
            network.guard.recalled(name, now - 1_000, reached=False)
            network.guard.recalled(name, now - 2_000, reached=True)
        return await network.fails("a")

    assert run(loop, story()) == "FAIL"


def test_a_guard_is_unsure_until_it_reaches_somebody_or_half_an_hour_has_passed() -> None:
    loop = VirtualLoop()

    async def story() -> list[bool]:
        network = Network(loop, {"a": False})
        found = [network.guard.unsure]
        network.guard.heard("a", reached=False)
        found.append(network.guard.unsure)
        await network.clock.sleep(LONGEST / 1000 + 1)
        found.append(network.guard.unsure)
        other = Network(loop, {"a": True})
        other.guard.heard("a", reached=True)
        return [*found, other.guard.unsure]

    assert run(loop, story()) == [True, True, False, False]
