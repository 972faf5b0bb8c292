"""A clock whose hands tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from events.base import Instant
from services.clock import Clock

START = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock(Clock):
    """Stands still until it is moved; who sleeps on it moves it, and wakes at once."""

    def __init__(self, start: datetime = START) -> None:
        super().__init__()
        self.moment = start
        self.slept: list[float] = []

    def advance(self, *, hours: float = 0, seconds: float = 0) -> Instant:
        """Move the hands, and return the moment that it is then."""
        self.moment += timedelta(hours=hours, seconds=seconds)
        return self.now()

    def utcnow(self) -> datetime:
        return self.moment

    def unix(self) -> float:
        return self.moment.timestamp()

    def monotonic(self) -> float:
        return (self.moment - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds=max(0.0, seconds))
