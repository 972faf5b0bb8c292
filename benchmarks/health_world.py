"""One monitor over the providers of a world: real scheduler, calls, guard, chart and reducers.

Only what lies beyond them is made up: the network plays traces, and the log is kept in memory.
"""

from __future__ import annotations

import asyncio
import random as chance
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from random import Random
from typing import NamedTuple

from benchmarks.health_time import START, VirtualClock, VirtualLoop, run
from benchmarks.health_traces import Restart, Trace, World, line
from benchmarks.health_transport import MODELS, Played, Provider
from events import codec
from events.alerts import AlertEvent
from events.base import millis_of
from events.decide.alerts import evolve
from events.decide.conditions import Condition
from events.decide.providers import Settings
from events.decide.retiring import NOTHING
from events.health import (
    CheckCompleted,
    HealthCoverageLost,
    HealthCoverageRestored,
    HealthEvent,
    HealthStatusChanged,
)
from services.calls.call import client
from services.calls.limits import Limits
from services.calls.tokens import Tokens
from services.clock import Pinned, uniform
from services.health_monitor.chart import Chart
from services.health_monitor.desk import Desk
from services.health_monitor.pace import Grid
from services.health_monitor.recall import Recalled, recalled
from services.health_monitor.watcher import Watcher
from services.health_monitor.witness import Guard, Source
from services.keys import Secret
from services.schedule import next_tick
from services.waits import Waits

TICK = 5.0


class Cycle(NamedTuple):
    """What a cycle has come to; moments in seconds. *first*: whether its first attempt was good."""

    start: float
    end: float
    verdict: str
    class_: str
    first: bool


class Change(NamedTuple):
    """A change of status; moments in seconds."""

    began: float
    told: float
    status: str
    cause: str | None


class Gap(NamedTuple):
    """A time of which nothing is known, in seconds; *end* None: not yet over."""

    start: float
    end: float | None
    reason: str


class Step(NamedTuple):
    """The wall clock is set forward *by* some seconds."""

    by: float


class Lived(NamedTuple):
    """A provider's life, and what the monitor made of it."""

    trace: Trace
    cycles: list[Cycle]
    changes: list[Change]
    gaps: list[Gap]
    calls: int
    alerts: int


class Kept:
    """What the log has of one provider, and the key that it is asked with."""

    def __init__(self) -> None:
        self.key = "first"
        self.last: CheckCompleted | None = None
        self.facts: list[HealthEvent] = []
        self.alerts: list[AlertEvent] = []
        self.cycles: list[Cycle] = []


class Office:
    """The office of one process whose log is memory; see `watcher.Office`."""

    def __init__(self, guard: Guard, log: dict[str, Kept], time: Pinned, seed: int) -> None:
        self.vantage = "bench"
        self.guard = guard
        self.killed = False
        self.kill = False
        self.recording = asyncio.Event()
        self._log = log
        self._installation = f"bench-{seed}"
        self._pinned = time

    async def secrets(self, settings: Settings) -> dict[str, Secret]:
        """Return the key of a provider."""
        return {"api_key": Secret(self._log[settings.name].key)}

    async def recall(self, provider: str) -> Recalled:
        """Read what the log has, as the monitor's own recall reads it."""
        kept, chart = self._log[provider], Chart(provider, self.vantage)
        changed: HealthStatusChanged | None = None
        lost: HealthCoverageLost | None = None
        for fact in kept.facts:
            if isinstance(fact, HealthStatusChanged):
                changed = fact
            elif isinstance(fact, HealthCoverageLost):
                lost = fact
            elif isinstance(fact, HealthCoverageRestored):
                lost = None
        for alert in kept.alerts:
            chart.alerts = evolve(chart.alerts, alert)
        chart.known = MODELS
        chart.retiring = NOTHING
        last = None if kept.last is None else codec.decode(codec.encode(kept.last))
        assert last is None or isinstance(last, CheckCompleted)
        return recalled(chart, last, changed, lost)

    @asynccontextmanager
    async def turn(self, provider: str) -> AsyncIterator[bool]:  # noqa: ARG002 - nobody else calls
        """Hold the call lease: it is always ours."""
        yield True

    def put(self, event: CheckCompleted) -> asyncio.Future[None]:
        """Record a cycle, at once."""
        kept = self._log[event.provider]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.killed:
            return done
        kept.last = event
        first = event.checks[0]
        kept.cycles.append(
            Cycle(
                millis_of(event.started_at) / 1000 - START,
                millis_of(event.at) / 1000 - START,
                event.verdict,
                event.class_,
                first.attempts == 1 and first.verdict in {"OK", "PARTIAL"},
            )
        )
        done.set_result(None)
        return done

    async def append(
        self,
        provider: str,
        events: Sequence[HealthEvent | AlertEvent],
        seqs: dict[str, int],  # noqa: ARG002 - nobody else writes
        cycle_id: str,  # noqa: ARG002 - ids are of no use here
        behind: asyncio.Future[None] | None,  # noqa: ARG002 - recorded at once
    ) -> None:
        """Append facts; a kill that waits for this comes between the check and them."""
        if self.kill:
            self.killed = True
            self.recording.set()
        if self.killed:
            await asyncio.Event().wait()
        kept = self._log[provider]
        for event in events:
            if isinstance(event, HealthEvent):
                kept.facts.append(event)
            else:
                kept.alerts.append(event)

    def inhibits(self, condition: Condition, settings: Settings) -> bool:  # noqa: ARG002
        """Tell whether nobody is to be told now."""
        return self.guard.local

    def grid(self, provider: str) -> Grid:
        """Return the provider's grid."""
        return partial(next_tick, self._installation, provider, "check")


class Process:
    """One life of the monitor: what `services.health_monitor.monitor` wires, without the bus."""

    def __init__(
        self, world: World, clock: VirtualClock, played: Played, log: dict[str, Kept]
    ) -> None:
        self.pinned = Pinned(clock)
        source = Source(
            self._pull, self._spread, self._interval, self._barred, self._hosts, self._up
        )
        self.guard = Guard(clock, self.pinned, source)
        self.http = client(fresh=True)
        self.http._transport = played  # noqa: SLF001 - the one thing that is not real
        self.http._mounts.clear()  # noqa: SLF001 - as above
        self._clock = clock
        self._log = log
        self._world = world

    def watch(self, waits: Waits, names: Sequence[str]) -> None:
        """Watch every provider."""
        clock = self._clock
        self.office = Office(self.guard, self._log, self.pinned, self._world.seed)
        limits = Limits(16, 2, clock=clock)
        desk = Desk(self.http, limits, clock, waits, Tokens(clock), self.guard.heard)
        self.watchers = [
            Watcher(
                Settings(
                    name=name,
                    dialect="openai",
                    base_url=f"https://{host_of(name)}/v1",
                    credential={"env": "KEY"},
                ),
                self.office,
                desk,
                self.pinned,
            )
            for name in names
        ]
        self.tasks = [asyncio.create_task(one.keep()) for one in self.watchers]
        self.tasks.append(asyncio.create_task(self._tick()))

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK)
            self.guard.tick()

    def _pull(self, hosts: Collection[str]) -> None:
        now = self.pinned.now()
        for watcher in self.watchers:
            if watcher.host in hosts:
                watcher.pull(now)

    def _spread(self, seconds: float) -> None:
        now = self.pinned.now()
        for watcher in self.watchers:
            watcher.pull(now + round(uniform(0, 1000 * seconds)))

    def _interval(self) -> int:
        return round(1000 * max(one.health.interval for one in self.watchers))

    def _barred(self) -> Collection[str]:
        now = self.pinned.now()
        return {one.host for one in self.watchers if one.barred(now)}

    def _hosts(self) -> Collection[str]:
        return {one.host for one in self.watchers}

    def _up(self) -> Collection[str]:
        return {one.host for one in self.watchers if one.up}

    async def end(self) -> None:
        """End it, as a kill does: nothing more is written."""
        self.office.killed = True
        for task in self.tasks:
            if task.done() and not task.cancelled():
                task.result()  # raises: a watch has no other end
            task.cancel()
        await asyncio.gather(*(one.stop() for one in self.watchers))
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.http.aclose()


def host_of(name: str) -> str:
    """Return the host of a provider."""
    return f"{name}.example"


def lived(world: World) -> list[Lived]:
    """Let *world* pass, and return what became of its providers."""
    chance.seed(world.seed)
    loop = VirtualLoop()
    return run(loop, _live(world, loop))


async def _live(world: World, loop: VirtualLoop) -> list[Lived]:
    clock = VirtualClock(loop)
    names = [f"p{number}" for number in range(len(world.traces))]
    log = {name: Kept() for name in names}
    providers = {
        host_of(name): Provider(
            line(trace.episodes),
            trace.noise,
            Random(f"{world.seed}|{name}"),  # noqa: S311 - a seeded trace
            world.seed * 1_000_003 + place * 7_919_000,
        )
        for place, (name, trace) in enumerate(zip(names, world.traces, strict=True))
    }
    played = Played(providers, clock, loop.time)
    waits = Waits(clock)
    process = Process(world, clock, played, log)
    process.watch(waits, names)
    for at, what in _disturbances(world, names):
        await clock.sleep(at - loop.time())
        if isinstance(what, Restart):
            await _until(process, what, clock)
            await process.end()
            await clock.sleep(what.away)
            process = Process(world, clock, played, log)
            process.watch(waits, names)
        elif isinstance(what, Step):
            clock.step += what.by
        elif isinstance(what, str):
            log[what].key = f"from {at}"
        else:
            loop.pause(what)
    await clock.sleep(world.span - loop.time())
    await process.end()
    return [
        Lived(
            trace,
            log[name].cycles,
            *_told(log[name].facts),
            providers[host_of(name)].calls,
            len(log[name].alerts),
        )
        for name, trace in zip(names, world.traces, strict=True)
    ]


def _disturbances(
    world: World, names: Sequence[str]
) -> list[tuple[float, Restart | Step | str | float]]:
    """Return what befalls the monitor, in order: ends, steps, new keys by provider, pauses."""
    found: list[tuple[float, Restart | Step | str | float]] = [
        *((one.at, one) for one in world.restarts),
        *((at, Step(by)) for at, by in world.steps),
        *world.pauses,
    ]
    for name, trace in zip(names, world.traces, strict=True):
        found += [(one.end, name) for one in trace.episodes if one.kind == "rotated"]
    return sorted(found, key=lambda one: one[0])


async def _until(process: Process, restart: Restart, clock: VirtualClock) -> None:
    """Wait until the process is in the phase in which it is to be ended."""
    if restart.phase == "recording":
        process.office.kill = True
        with suppress(TimeoutError):
            async with asyncio.timeout(3_600):
                await process.office.recording.wait()
    elif restart.phase == "calling":
        while not any(one.flying for one in process.watchers):
            await clock.sleep(0.02)


def _told(facts: Sequence[HealthEvent]) -> tuple[list[Change], list[Gap]]:
    changes: list[Change] = []
    gaps: list[Gap] = []
    for fact in facts:
        match fact:
            case HealthStatusChanged():
                changes.append(
                    Change(
                        _second(fact.effective_at), _second(fact.detected_at), fact.to, fact.cause
                    )
                )
            case HealthCoverageLost():
                gaps.append(Gap(_second(fact.since), None, fact.reason))
            case HealthCoverageRestored():
                gaps[-1] = Gap(_second(fact.since), _second(fact.until), fact.reason)
            case _:
                pass
    return changes, gaps


def _second(instant: str) -> float:
    return millis_of(instant) / 1000 - START
