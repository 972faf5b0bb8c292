"""Stories of a provider's cycles, told in letters, and the reducer that they are played on.

A letter is a cycle: it was due and starts 20 s after the one before it, lasts 1 s and counts 2 s
after its start. ``F@5`` is due 5 s after it, ``F@20+9`` starts 9 s after it was due, ``F*3`` are
three. ``O`` OK, ``P`` and ``S`` PARTIAL (partial, slow; E 1/2), ``p`` PARTIAL with E 1/10, ``F``
FAIL, ``V`` and ``v`` FAIL (overloaded) with a wait of 21 s and 20 s, ``W`` FAIL (server) with one
of 21 s, ``B Q G C`` BLOCKED by its four causes, ``T`` THROTTLED, ``U`` UNKNOWN. ``-`` ``X`` ``N``
switch checks off (disabled, removed, unchecked), 20 s after what was before, ``on`` on. ``!@80`` is
a tick 80 s after the last start, where the next one is due after 60; ``=`` is the last cycle again.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from events.base import instant_at, millis_of
from events.decide.counting import Cycle, Rules
from events.health import (
    Health,
    HealthCoverageLost,
    HealthCoverageRestored,
    HealthEvent,
    HealthStatusChanged,
    LostReason,
)

T0 = 1_773_480_000_000
STREAKS = ("f", "o", "g", "b", "th", "pa")
NAMES = ("flapping", "verdict", "counting", "status", "health")
"""The reducer's modules, each after those that it imports."""
RULES = Rules(
    interval=60_000,
    confirm_interval=20_000,
    stale_factor=2.5,
    failure_threshold=3,
    recovery_threshold=2,
    unhealthy_threshold=0.5,
    degraded_threshold=0.2,
    window=600_000,
    min_samples=10,
    partial_threshold=2,
    block_threshold=2,
    throttle_threshold=3,
    throttle_hold=600_000,
    flap_high=30,
    flap_low=20,
    relapse_window=1_800_000,
    relapse_cap=16,
)
LETTERS: Mapping[str, Cycle] = {
    "O": Cycle("", 0, 0, "OK", None, "ok", 200),
    "P": Cycle("", 0, 0, "PARTIAL", "partial", "server", 500, 0.5),
    "S": Cycle("", 0, 0, "PARTIAL", "slow", "slow", 200, 0.5),
    "p": Cycle("", 0, 0, "PARTIAL", "partial", "server", 500, 0.1),
    "F": Cycle("", 0, 0, "FAIL", None, "server", 500, 1.0, message="500"),
    "V": Cycle("", 0, 0, "FAIL", None, "overloaded", 503, 1.0, 21_000),
    "v": Cycle("", 0, 0, "FAIL", None, "overloaded", 503, 1.0, 20_000),
    "W": Cycle("", 0, 0, "FAIL", None, "server", 500, 1.0, 21_000),
    "B": Cycle("", 0, 0, "BLOCKED", "credential", "credential", 401),
    "Q": Cycle("", 0, 0, "BLOCKED", "quota", "quota", 402),
    "G": Cycle("", 0, 0, "BLOCKED", "endpoint_gone", "endpoint_gone", 410),
    "C": Cycle("", 0, 0, "BLOCKED", "config", "forbidden_edge", 403),
    "T": Cycle("", 0, 0, "THROTTLED", None, "rate_limited", 429),
    "U": Cycle("", 0, 0, "UNKNOWN", None, "local"),
}


class Kit(NamedTuple):
    """The reducer's modules by their last names: the real ones, or mutants."""

    modules: Mapping[str, ModuleType]

    def __getattr__(self, name: str) -> ModuleType:
        return self.modules[name]


REAL = Kit({name: import_module(f"events.decide.{name}") for name in NAMES})


class Life:
    """A provider's health along a story."""

    def __init__(self, kit: Kit, rules: Rules = RULES, health: Health | None = None) -> None:
        self.kit = kit
        self.rules = rules
        self.health = Health() if health is None else health
        self.started = T0 - 20_000
        self.told: list[HealthEvent] = []
        self.number = 0
        self.again: tuple[Cycle, int] | None = None

    def play(self, story: str) -> Life:
        for word in story.split():
            one, _, times = word.partition("*")
            for _ in range(int(times or 1)):
                letter, _, when = one.partition("@")
                planned, _, behind = (when or "20").partition("+")
                self._one(letter, 1000 * int(planned), 1000 * int(behind or 0))
        return self

    def _one(self, letter: str, planned: int, behind: int) -> None:
        match letter:
            case "!":
                self.tick(self.started + planned, self.started + 60_000)
            case "=":
                assert self.again is not None
                self.step(*self.again)
            case "-" | "X" | "N" | "on":
                self.started += planned
                why = {"-": "disabled", "X": "removed", "N": "unchecked", "on": None}[letter]
                self.switch(why, self.started)
            case _:
                self.number += 1
                due = self.started + planned
                self.started = due + behind
                ended = self.started + 1_000
                cycle = LETTERS[letter]._replace(
                    cycle_id=str(self.number), started=self.started, ended=ended
                )
                self.again = cycle, due
                self.step(cycle, due)

    def step(self, cycle: Cycle, due: int | None) -> None:
        self._take(
            self.kit.health.step(
                "p",
                self.health,
                cycle,
                self.rules,
                due=due,
                now=cycle.ended + 1_000,
                vantage="v",
            )
        )

    def tick(self, now: int, due: int | None, reason: LostReason = "silent") -> None:
        self._take(
            self.kit.health.tick(
                "p", self.health, self.rules, due=due, now=now, reason=reason, vantage="v"
            )
        )

    def switch(self, cause: str | None, now: int) -> None:
        self._take(self.kit.health.switch("p", self.health, cause, now, "v"))

    def _take(self, done: tuple[Health, list[HealthEvent]]) -> None:
        self.health, events = done
        self.told += events

    @property
    def counts(self) -> str:
        """The streaks that are not 0, by name."""
        counted = {name: getattr(self.health, name).count for name in STREAKS}
        return " ".join(f"{name}{number}" for name, number in counted.items() if number)

    @property
    def lines(self) -> list[str]:
        return [line(event) for event in self.told]


def line(event: HealthEvent) -> str:
    """Return *event* as one line; moments are seconds since the first start."""
    assert (event.provider, event.vantage) == ("p", "v")
    match event:
        case HealthStatusChanged():
            assert event.at == event.detected_at
            down = "" if event.downtime_ms is None else f" down {event.downtime_ms / 1000:g}"
            back = f" relapses {event.relapses}" if event.relapses else ""
            began, decided = _seconds(event.effective_at), _seconds(event.detected_at)
            return f"{event.to}({event.cause or ''}) {began}..{decided}{down}{back}"
        case HealthCoverageLost():
            return f"lost({event.reason}) {_seconds(event.since)}.. at {_seconds(event.at)}"
        case HealthCoverageRestored():
            span = f"{_seconds(event.since)}..{_seconds(event.until)}"
            return f"restored({event.reason}) {span} at {_seconds(event.at)}"
        case _:
            raise AssertionError(event)


def _seconds(instant: str) -> str:
    assert instant == instant_at(millis_of(instant))
    return f"{(millis_of(instant) - T0) / 1000:g}"
