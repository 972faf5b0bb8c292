"""When the next cycle begins: on the provider's own grid, sooner where something is in doubt.

Source: health.md, section 5, "Suspect and the next cycle". Moments are milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from events.decide.health import suspect
from events.health import Health, blocked, down
from services.health_settings import Health as Settings

Grid = Callable[[int, int], int]
"""(interval, after) -> the first tick of the provider's grid of *interval* later than *after*."""


class Pace(NamedTuple):
    """The intervals of a provider's cycles, in milliseconds."""

    interval: int
    confirm: int
    blocked: int
    slow_after: int
    slow: int

    @classmethod
    def of(cls, settings: Settings) -> Pace:
        """Return the pace that the health settings of a provider ask for."""
        return cls(
            *(
                round(1000 * seconds)
                for seconds in (
                    settings.interval,
                    settings.confirm_interval,
                    settings.blocked_interval,
                    settings.down_slow_after,
                    settings.down_interval,
                )
            )
        )


def next_start(  # noqa: PLR0913 - all that bears on it
    health: Health, pace: Pace, *, started: int, now: int, local: bool, grid: Grid
) -> int:
    """Return when the cycle after the one that *started* begins, at the earliest *now*.

    *local*: our own network is down, and nothing is confirmed meanwhile.
    """
    return max(now, _start(health, pace, started, now, local=local, grid=grid))


def _start(  # noqa: PLR0913 - as above
    health: Health, pace: Pace, started: int, now: int, *, local: bool, grid: Grid
) -> int:
    recovering = health.o.count > 0
    if blocked(health.status, health.cause):
        return started + (pace.confirm if recovering else pace.blocked)
    is_down = down(health.status, health.cause)
    if not local and (suspect(health) or (is_down and recovering)):
        return started + pace.confirm
    slow = is_down and now - health.since > pace.slow_after
    tick = grid(pace.slow if slow else pace.interval, started)
    return max(tick, started + pace.confirm)
