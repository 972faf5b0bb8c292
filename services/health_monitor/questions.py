"""The checks that the user wrote: a path of the provider's, or code of their own."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Mapping
from urllib.parse import urljoin

from events.decide.providers import Settings
from events.health import CheckResult
from services.calls.call import Outcome
from services.calls.classify import GROUPS
from services.calls.line import Line
from services.calls.origin import host_of
from services.calls.wording import one_line
from services.health_monitor.checks import Check, Context, origin
from services.health_monitor.desk import Desk
from services.health_settings import Health
from services.keys import Secret
from services.logs import say
from services.providers import DIALECTS, Request

MOST_BYTES = 1_048_576
WORDS = {"pass": ("ok", "OK"), "warn": ("warned", "PARTIAL"), "fail": ("failed", "FAIL")}
"""What a check of one's own may answer, its class and group; `skip` counts for nothing."""


class Asker:
    """The way from one provider's checks to its origin."""

    def __init__(self, settings: Settings, health: Health, desk: Desk) -> None:
        """Nothing is asked yet."""
        self._settings = settings
        self._health = health
        self._desk = desk

    async def get(
        self, url: str, secrets: Mapping[str, Secret], urgency: int, seconds: float
    ) -> Outcome:
        """Read *url*, which lies on the provider's own origin, within *seconds*."""
        line = Line(
            DIALECTS[self._settings.dialect],
            self._settings,
            secrets,
            client=self._desk.client,
            clock=self._desk.clock,
            tokens=self._desk.tokens,
            timeout=seconds,
            connect_timeout=min(seconds, self._health.connect_timeout),
            max_bytes=MOST_BYTES,
        )
        async with self._desk.limits.slot(host_of(url), urgency):
            return await line.open() or await line.ask(Request(url))

    async def http(self, check: Check, secrets: Mapping[str, Secret], urgency: int) -> CheckResult:
        """Ask *check*: its status is one of those it names, else below 400, and its body fits."""
        outcome = await self.get(check.url, secrets, urgency, check.timeout)
        class_, message = _judged(check, outcome)
        if class_ == "ok" and outcome.latency_ms > 1000 * self._health.slow_after:
            class_ = "slow"
        return CheckResult(
            name=check.name,
            verdict=GROUPS[class_],
            class_=class_,
            weight=check.weight,
            critical=check.critical,
            status_code=outcome.status,
            message=message,
            retry_after=outcome.retry_after,
        )

    async def custom(
        self, check: Check, secrets: Mapping[str, Secret], urgency: int
    ) -> CheckResult | None:
        """Ask *check*, code of the user's; None where it has nothing to say.

        What it raises is its own fault, never the provider's.
        """

        async def get(path: str) -> tuple[int | None, bytes]:
            url = urljoin(origin(self._settings.base_url), path)
            if origin(url) != origin(self._settings.base_url):
                raise ValueError(f"{path} is not on the provider's origin")
            outcome = await self.get(url, secrets, urgency, check.timeout)
            return outcome.status, outcome.body

        settings = self._settings
        context = Context(
            settings.name, settings.dialect, settings.base_url, dict(settings.options), get
        )
        custom = check.custom
        try:
            async with asyncio.timeout(check.timeout):
                if inspect.iscoroutinefunction(custom):
                    said = await custom(context)
                else:
                    said = await asyncio.to_thread(custom, context)  # type: ignore[arg-type]  # a python check has one
            word, message = (said, "") if isinstance(said, str) else said
            if word == "skip":
                return None
            class_, group = WORDS[word]
        except TimeoutError:
            class_, group, message = "timeout_total", "FAIL", f"not within {check.timeout:g} s"
        except Exception as error:  # noqa: BLE001 - code of the user's may raise anything
            say("check failed", level=logging.ERROR, check=check.name, error=repr(error))
            class_, group, message = "check_error", "UNKNOWN", type(error).__name__
        return CheckResult(
            name=check.name,
            verdict=group,
            class_=class_,
            weight=check.weight,
            critical=check.critical,
            message=one_line(str(message), list(secrets.values())),
        )


def _judged(check: Check, outcome: Outcome) -> tuple[str, str]:
    if check.statuses and outcome.status in check.statuses:
        class_ = "ok"
    elif check.statuses and outcome.class_ == "ok":
        return "invalid_response", f"HTTP {outcome.status} is none of the expected statuses"
    else:
        class_ = outcome.class_
    if class_ == "ok" and check.body is not None:
        text = outcome.body.decode(errors="replace")
        if not check.body.search(text):
            return "invalid_response", f"the body does not match {check.body.pattern!r}"
    return class_, "" if class_ == "ok" else outcome.message
