"""One provider's checks at one tick: all in parallel, under one deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import NamedTuple

from aiolimiter import AsyncLimiter

from events.decide.providers import Settings
from events.health import CheckResult, Listed
from services.calls.classify import GROUPS
from services.health_lists import rate_of
from services.health_monitor.checks import LIST, Check, checks_of
from services.health_monitor.desk import Desk
from services.health_monitor.listing import Current, Listing, Turn
from services.health_monitor.questions import Asker
from services.health_settings import Health
from services.keys import Secret
from services.logs import say

URGENT = 10
"""The priority of a cycle that confirms: waiting for it costs a verdict."""
TRANSPORT = frozenset(
    {
        *("connect", "timeout_connect", "timeout_read", "timeout_total"),
        *("dns_nx", "dns", "tls"),
    }
)
"""Failures that our own network may have caused."""

Asked = Coroutine[None, None, CheckResult | None]


class Ended(NamedTuple):
    """How a cycle's checks ended.

    *wait* are the seconds that the provider asked for, *latency_ms* the time of the list call where
    its first attempt succeeded, *certificate* the end of the provider's certificate.
    """

    results: list[CheckResult]
    listed: Listed | None = None
    from_refresh: bool = False
    latency_ms: int | None = None
    wait: float = 0.0
    certificate: str | None = None

    @property
    def transport(self) -> bool:
        """Whether all that failed may be our own network's fault."""
        failed = [one for one in self.results if one.verdict == "FAIL"]
        return bool(failed) and all(one.class_ in TRANSPORT for one in failed)


class Cycles:
    """The cycles of one provider; lives as long as its settings."""

    def __init__(self, settings: Settings, health: Health, desk: Desk) -> None:
        """Nothing is asked yet."""
        count, span = rate_of(health.rate_limit) or (30, 60.0)
        self._settings = settings
        self._health = health
        self._checks = checks_of(settings, health)
        self._rate = AsyncLimiter(count, desk.clock.real_seconds(span))
        self._last: dict[str, tuple[int, CheckResult]] = {}
        self._asker = Asker(settings, health, desk)
        self.listing = Listing(settings, health, desk, self._rate)

    async def run(
        self,
        secrets: Mapping[str, Secret],
        *,
        now: int,
        current: Current,
        turn: Turn,
        urgent: bool,
    ) -> Ended:
        """Ask what is due at *now*, and say how all of it ended.

        *current* is the refresh outcome that may stand for the list call, *turn* the lease of the
        call. What has not ended by the deadline is a time-out. Raises what the lease raises.
        """
        urgency = URGENT if urgent else self._settings.priority
        asking: dict[str, Asked] = {}
        due = [one for one in self._checks if self._due(one, now)]
        for one in due:
            if one.kind == "list":
                asking[one.name] = self.listing.ask(one, secrets, urgency, current, turn)
            else:
                asking[one.name] = self._ask(one, secrets, urgency)
        tasks = await _all(asking, self._health.cycle_deadline)
        for one in due:
            result = _result(one, tasks[one.name], self._health.cycle_deadline)
            if result is None:
                self._last.pop(one.name, None)
            else:
                self._last[one.name] = now, result
        results = [self._last[one.name][1] for one in self._checks if self._stands(one, now)]
        seen = self.listing.seen
        answered = not tasks[LIST].cancelled()
        return Ended(
            results,
            listed=seen.listed if answered else None,
            from_refresh=seen.from_refresh and answered,
            latency_ms=seen.latency_ms if answered else None,
            wait=seen.wait if answered else 0.0,
            certificate=seen.certificate,
        )

    def _due(self, check: Check, now: int) -> bool:
        last = self._last.get(check.name)
        if check.interval is None or last is None:
            return True
        return now - last[0] >= 1000 * check.interval - 500 * self._health.interval

    def _stands(self, check: Check, now: int) -> bool:
        last = self._last.get(check.name)
        if last is None:
            return False
        return check.interval is None or now - last[0] <= 2000 * check.interval

    async def _ask(
        self, check: Check, secrets: Mapping[str, Secret], urgency: int
    ) -> CheckResult | None:
        async with self._rate:
            if check.kind == "http":
                return await self._asker.http(check, secrets, urgency)
            return await self._asker.custom(check, secrets, urgency)


async def _all(
    asking: Mapping[str, Asked], deadline: float
) -> dict[str, asyncio.Task[CheckResult | None]]:
    """Run all of *asking* to their ends; what has not ended after *deadline* is cancelled."""
    tasks = {name: asyncio.create_task(one) for name, one in asking.items()}
    try:
        await asyncio.wait(tasks.values(), timeout=deadline)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.wait(tasks.values())
    return tasks


def _result(
    check: Check, task: asyncio.Task[CheckResult | None], deadline: float
) -> CheckResult | None:
    class_, message = "timeout_total", f"not within {deadline:g} s"
    if not task.cancelled():
        error = task.exception()
        if error is None:
            return task.result()
        if check.kind == "list":
            raise error
        say("check failed", level=logging.ERROR, check=check.name, error=repr(error))
        class_, message = "check_error", type(error).__name__
    return CheckResult(
        name=check.name,
        verdict=GROUPS[class_],
        class_=class_,
        weight=check.weight,
        critical=check.critical,
        message=message,
    )
