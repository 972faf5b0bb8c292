"""The one check that every provider has: its list answers, with the models that it should have.

The call is shared with the refresher: whoever calls holds the lease `call.<provider>`, and what a
refresh has just seen needs no second call. Source: health.md, sections 3 and 8.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from aiolimiter import AsyncLimiter

from events.decide.providers import Settings
from events.health import CheckResult, Listed
from services.calls.call import Outcome
from services.calls.classify import GROUPS
from services.calls.fetching import fetch
from services.calls.origin import host_of
from services.calls.pages import Fetched, Validators
from services.calls.waiting import asked
from services.clock import uniform
from services.health_monitor.checks import Check
from services.health_monitor.desk import Desk
from services.health_monitor.shared import Shared
from services.health_settings import Health
from services.keys import Secret
from services.logs import say
from services.providers import DIALECTS
from services.providers.table import BUILTIN
from services.settings import Schedule
from services.waits import fingerprint

AGAIN = frozenset(
    {
        *("invalid_response", "overloaded", "server", "connect", "dns", "dns_nx"),
        *("timeout_connect", "timeout_read", "timeout_total"),
    }
)
"""Classes after which a call is tried once more within its cycle."""
PAUSE = (1.0, 3.0)
POLL = (0.2, 0.4)
FEW = 5
"""Models that a list may lose without a doubt, as in a refresh."""
LONGEST_TAG = 64

Turn = Callable[[], AbstractAsyncContextManager[bool]]
"""Holds the provider's call lease within the block; False where another process has it."""
Current = Callable[[], Shared | None]
"""The refresh outcome that may stand for a list call now."""


class Seen(NamedTuple):
    """What the last list call saw; see `Ended`."""

    listed: Listed | None = None
    from_refresh: bool = False
    latency_ms: int | None = None
    wait: float = 0.0
    certificate: str | None = None


class Listing:
    """The list calls of one provider; `known` is how many models its last accepted list had."""

    def __init__(self, settings: Settings, health: Health, desk: Desk, rate: AsyncLimiter) -> None:
        """Nothing is asked yet."""
        schedule = Schedule.from_settings(settings)
        builtin = BUILTIN.get(settings.name)
        self._settings = settings
        self._health = health
        self._desk = desk
        self._rate = rate
        self._dialect = DIALECTS[settings.dialect]
        self._local = self._dialect.local if builtin is None else builtin.local
        self._guard = schedule.shrink_guard
        self._max_bytes = schedule.max_response_bytes
        self._validators: Validators | None = None
        self._listed: Listed | None = None
        self.known: int | None = None
        self.worked = False
        self.seen = Seen()

    async def ask(
        self,
        check: Check,
        secrets: Mapping[str, Secret],
        urgency: int,
        current: Current,
        turn: Turn,
    ) -> CheckResult:
        """Ask for the first page of the list, or take what a refresh has just seen.

        While another process calls the provider, its outcome is waited for. Raises what the lease
        raises.
        """
        while True:
            if (shared := current()) is not None:
                return self._take(check, shared)
            async with turn() as ours:
                if ours:
                    return await self._call(check, secrets, urgency)
            await asyncio.sleep(uniform(*POLL))

    def _take(self, check: Check, shared: Shared) -> CheckResult:
        self.seen = Seen(from_refresh=True)
        if shared.class_ == "ok":
            self.worked = True
        return CheckResult(
            name=check.name,
            verdict=shared.group,
            class_=shared.class_,
            weight=check.weight,
            critical=check.critical,
            status_code=shared.status,
            message=shared.message,
        )

    async def _call(self, check: Check, secrets: Mapping[str, Secret], urgency: int) -> CheckResult:
        """Call once, and once more where that promises something; the budget is the process's."""
        desk, health = self._desk, self._health
        credential = fingerprint(self._settings.name, secrets)
        loop = asyncio.get_running_loop()
        left = health.cycle_deadline
        desk.limits.retries.earn()
        attempts = 0
        while True:
            attempts += 1
            async with self._rate:
                began = loop.time()
                fetched = await self._fetch(secrets, urgency)
                left -= loop.time() - began
            outcome = fetched.outcome
            if attempts == 1 and outcome.class_ != "check_error":
                desk.heard(host_of(self._settings.base_url), outcome.status is not None)
            asks = asked(outcome.class_, outcome.status, outcome.retry_after, uniform)
            if outcome.group in {"OK", "PARTIAL"}:
                await desk.waits.answered(self._settings.name, credential)
            else:
                await desk.waits.asked(self._settings.name, credential, asks, outcome.class_)
            pause = max(uniform(*PAUSE), asks)
            again = outcome.class_ in AGAIN and attempts <= health.check_retries
            if (
                not again
                or pause + health.connect_timeout > left
                or not desk.limits.retries.spend()
            ):
                return self._result(check, fetched, attempts, asks)
            left -= pause
            await desk.clock.sleep(pause)

    async def _fetch(self, secrets: Mapping[str, Secret], urgency: int) -> Fetched:
        """Call; a fault of our own code is nobody else's, and ends no other provider's checks."""
        try:
            return await self._fetched(secrets, urgency)
        except Exception as error:  # noqa: BLE001 - as above
            name = self._settings.name
            say("check failed", level=logging.ERROR, provider=name, error=repr(error))
            group = GROUPS["check_error"]
            return Fetched(Outcome("check_error", group, message=type(error).__name__))

    async def _fetched(self, secrets: Mapping[str, Secret], urgency: int) -> Fetched:
        desk = self._desk
        return await fetch(
            self._dialect,
            self._settings,
            secrets,
            client=desk.client,
            limits=desk.limits,
            timeout=self._health.timeout,
            connect_timeout=self._health.connect_timeout,
            max_bytes=self._max_bytes,
            validators=self._validators,
            clock=desk.clock,
            worked=self.worked,
            tokens=desk.tokens,
            first_only=True,
            urgency=urgency,
        )

    def _result(self, check: Check, fetched: Fetched, attempts: int, asks: float) -> CheckResult:
        outcome = fetched.outcome
        class_ = outcome.class_
        if class_ == "ok":
            self.worked = True
            self._keep(fetched)
            class_ = self._doubted(self._listed or Listed())
            if class_ == "ok" and outcome.latency_ms > 1000 * self._health.slow_after:
                class_ = "slow"
        self.seen = Seen(
            listed=self._listed if outcome.class_ == "ok" else None,
            latency_ms=outcome.latency_ms if outcome.class_ == "ok" and attempts == 1 else None,
            wait=asks,
            certificate=outcome.expires_at,
        )
        return CheckResult(
            name=check.name,
            verdict=GROUPS[class_],
            class_=class_,
            weight=check.weight,
            critical=check.critical,
            status_code=outcome.status,
            attempts=attempts,
            phases=dict(outcome.phases),
            message=outcome.message,
            retry_after=outcome.retry_after,
        )

    def _keep(self, fetched: Fetched) -> None:
        validators = fetched.validators
        self._validators = validators
        if fetched.not_modified and self._listed is not None:
            return
        etag = None if validators is None else validators.etag
        sha256 = None if validators is None else validators.sha256
        self._listed = Listed(
            sha256=None if sha256 is None else sha256[:32],
            etag=etag if etag is not None and len(etag) <= LONGEST_TAG else None,
            models=len(fetched.records),
            complete=fetched.complete,
        )

    def _doubted(self, listed: Listed) -> str:
        """Return the class of a list that answers: a refresh would quarantine some."""
        if self._local or not listed.complete or self.known is None:
            return "ok"
        lost = self.known - listed.models
        if not listed.models:
            return "empty" if self.known else "ok"
        return "shrunk" if lost > FEW and lost > self._guard * self.known else "ok"
