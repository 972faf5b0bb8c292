"""Run, or wait: what a provider's health means to a scheduled refresh. Pure.

A refresh that is skipped makes no model missing. Source: health.md, section 7, "Gate".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from events.health import Status, blocked, down

Gate = Literal["run", "down", "blocked", "panic"]
FEWEST = 4
MOST_DOWN = 0.7
"""Share of the enabled providers that are down, from which on the monitor is doubted."""


class Vital(NamedTuple):
    """What the monitors say of a provider; *stale*: they have not seen it for too long."""

    status: Status
    cause: str | None
    stale: bool = False

    @property
    def down(self) -> bool:
        """Whether it is believed to be down."""
        return not self.stale and down(self.status, self.cause)


def gate(vital: Vital | None, *, alive: bool, panic: bool) -> Gate:
    """Return whether a scheduled refresh runs, and else why not.

    *alive*: a monitor is at work; without one, nothing is known and everything runs. In a *panic*
    who is down runs all the same, few at a time.
    """
    if vital is None or vital.stale or not alive:
        return "run"
    if vital.down:
        return "panic" if panic else "down"
    return "blocked" if blocked(vital.status, vital.cause) else "run"


def panicking(vitals: Iterable[Vital | None]) -> bool:
    """Tell whether so many of the enabled providers are down that the monitor may be wrong."""
    enabled = list(vitals)
    lying = sum(one is not None and one.down for one in enabled)
    return len(enabled) >= FEWEST and lying >= MOST_DOWN * len(enabled)
