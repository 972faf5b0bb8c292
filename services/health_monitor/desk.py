"""What the cycles of all providers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from events.alerts import AlertEvent
from events.decide.conditions import Condition
from events.decide.providers import Settings
from events.health import CheckCompleted, HealthEvent
from services.calls.call import Client
from services.calls.limits import Limits
from services.calls.tokens import Tokens
from services.clock import Clock
from services.health_monitor.pace import Grid
from services.health_monitor.recall import Recalled
from services.health_monitor.witness import Guard
from services.keys import Secret
from services.waits import Waits

Heard = Callable[[str, bool], None]
"""Told of each first attempt: the host, and whether a status line came back."""


class Desk(NamedTuple):
    """The way out to all providers, and the bounds on it."""

    client: Client
    limits: Limits
    clock: Clock
    waits: Waits
    tokens: Tokens
    heard: Heard


class Office(Protocol):
    """What the process around them does for all watchers."""

    vantage: str
    guard: Guard

    async def secrets(self, settings: Settings) -> dict[str, Secret]:
        """Read the secrets of a provider anew; raises KeyUnavailable."""
        ...

    async def recall(self, provider: str) -> Recalled:
        """Read what the log has of a provider."""
        ...

    def turn(self, provider: str) -> AbstractAsyncContextManager[bool]:
        """Hold the call lease of a provider within the block; False where another has it."""
        ...

    def put(self, event: CheckCompleted) -> asyncio.Future[None]:
        """Record a cycle, soon; the result tells when it is."""
        ...

    async def append(
        self,
        provider: str,
        events: Sequence[HealthEvent | AlertEvent],
        seqs: dict[str, int],
        cycle_id: str,
        behind: asyncio.Future[None] | None,
    ) -> None:
        """Append facts in one batch, once *behind* is recorded; raises SequenceConflict."""
        ...

    def inhibits(self, condition: Condition, settings: Settings) -> bool:
        """Tell whether nobody is to be told of *condition* now."""
        ...

    def grid(self, provider: str) -> Grid:
        """Return the provider's grid."""
        ...
