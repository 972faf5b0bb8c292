"""What people should be told of all providers together. Pure. Source: health.md, section 10."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from events.base import instant_at
from events.decide.conditions import Condition
from events.health import Status, down

ALL = "all"
"""In place of a provider's name."""
FEWEST = 4
"""Providers without which "more than half of them" says nothing."""


class Standing(NamedTuple):
    """A provider's status as the fleet sees it; *since* in milliseconds."""

    provider: str
    status: Status
    cause: str | None
    since: int
    enabled: bool


def fleet(standings: Sequence[Standing], local_since: int | None) -> list[Condition]:
    """Return what people should be told of all providers together."""
    found = []
    enabled = [one for one in standings if one.enabled]
    lying = sorted((one.since, one.provider) for one in enabled if down(one.status, one.cause))
    if len(enabled) >= FEWEST and 2 * len(lying) > len(enabled):
        names = ", ".join(name for _, name in lying[:5]) + (", …" if len(lying) > 5 else "")  # noqa: PLR2004 - enough for one line
        message = f"{len(lying)} of {len(enabled)} providers are down: {names}"
        since = instant_at(lying[len(enabled) // 2][0])
        found.append(
            Condition(ALL, "critical_failure", "outage", "outage", "critical", message, since)
        )
    if local_since is not None:
        since = instant_at(local_since)
        message = "our own network is down: no provider can be reached from here"
        found.append(Condition(ALL, "monitor_offline", "local", "local", "high", message, since))
    return found
