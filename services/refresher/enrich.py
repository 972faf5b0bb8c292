"""Who tells what providers leave out: models.dev, asked once a day, and what came with us.

A failure of it is a log line; what it said last goes on serving, and no refresh waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from typing import Any

from events.decide.enrichment import Enrich, plain
from events.decide.providers import Settings
from services import clock as clocks
from services.calls.call import Client, Outcome, call
from services.calls.limits import Limits
from services.calls.origin import host_of
from services.calls.waiting import backoff
from services.clock import Clock
from services.logs import say
from services.providers import Request
from services.providers.table import BUILTIN
from services.refresher.filling import filling
from services.refresher.models_dev import NOTHING, SOURCE, NoOffers, Offers, read
from services.refresher.snapshot import LARGEST, Answered, keep, packaged, recall
from services.settings import Enrichment as Wanted

TIMEOUT = 60.0
CONNECT_TIMEOUT = 10.0
"""Seconds of real time for one call."""
BASE_DELAY = 300.0
"""Seconds before a failed call is made again, at first; never more than the interval."""
DOUBTS = 3
"""How often in a row a document that lost more than half must come before it is believed."""
LONGEST_ETAG = 256
TELL_LIFECYCLE = (
    *("anthropic", "azure", "azure_management", "bedrock", "cohere", "together_catalog", "vertex"),
)
"""Dialects whose rows all say where a model stands, active included."""


class Enrichment:
    """What models.dev says now; lives as long as the process.

    *path* is where the last answer is kept. Nothing is read before a provider needs it, and nothing
    is asked for where none does.
    """

    def __init__(
        self, wanted: Wanted, path: Path, *, client: Client, limits: Limits, clock: Clock
    ) -> None:
        self._wanted = wanted
        self._path = path
        self._client = client
        self._limits = limits
        self._clock = clock
        self._offers: Offers | None = None
        self._etag: str | None = None
        self._sha256 = b""
        self._doubted = 0
        self._failed = 0
        self._asked = 0.0
        self._needed = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def on(self) -> bool:
        """Whether it may be asked."""
        return SOURCE in self._wanted.sources

    def configure(self, wanted: Wanted) -> None:
        """Go on with other settings; what they change is seen to at once."""
        if wanted == self._wanted:
            return
        if wanted.url != self._wanted.url:
            self._offers, self._etag, self._sha256 = None, None, b""
        self._wanted = wanted
        self._changed.set()

    def of(self, settings: Settings) -> Enrich:
        """Return what fills the records of a provider; what is known when this is called counts."""
        builtin = BUILTIN.get(settings.name)
        if builtin is None or not builtin.models_dev:
            return plain
        self._needed.set()
        if not self.on:
            return plain
        silent = settings.dialect not in TELL_LIFECYCLE
        return filling(self._said(), builtin.models_dev, lifecycle=silent)

    def _said(self) -> Offers:
        """Return what is known, the younger of what was kept and what was installed at first."""
        if self._offers is None:
            kept = None
            if self._path.exists():
                kept = _unless_broken(lambda: recall(self._path, self._wanted.url))
            ours = _unless_broken(lambda: Answered(offers=packaged()))
            found = [one for one in (kept, ours) if one is not None]
            best = max(found, key=lambda one: one.offers.newest, default=Answered(offers=NOTHING))
            self._offers, self._etag = best.offers, best.etag
        return self._offers

    async def ask(self) -> bool:
        """Ask models.dev, and tell whether it says anything new; a failure is a log line."""
        wanted, known = self._wanted, self._said()
        request = Request(wanted.url, headers=_conditional(self._etag))
        host = host_of(request.url)
        async with self._limits.slot(host):
            outcome = await call(
                self._client,
                request,
                timeout=TIMEOUT,
                connect_timeout=CONNECT_TIMEOUT,
                max_bytes=LARGEST,
                secrets=(),
                clock=self._clock,
            )
        if wanted != self._wanted:
            return False
        self._asked = outcome.retry_after or 0.0
        if outcome.group not in {"OK", "PARTIAL"}:
            return self._refused(outcome.class_, outcome.message)
        if outcome.status == 304 or sha256(outcome.body).digest() == self._sha256:  # noqa: PLR2004 - not modified
            self._failed = 0
            return False
        try:
            offers = await asyncio.to_thread(read, outcome.body)
        except NoOffers as error:
            return self._refused("invalid_response", str(error))
        if 2 * len(offers) < len(known) and self._doubted + 1 < DOUBTS:
            self._doubted += 1
            self._failed = 0
            say("doubted", level=logging.WARNING, source=SOURCE, models=len(offers), of=len(known))
            return False
        await self._believe(offers, outcome)
        return True

    def _refused(self, class_: str, message: str) -> bool:
        self._failed += 1
        say("not enriched", level=logging.WARNING, source=SOURCE, error=class_, message=message)
        return False

    async def _believe(self, offers: Offers, outcome: Outcome) -> None:
        self._doubted = self._failed = 0
        self._offers, self._etag = offers, _usable(outcome.headers.get("etag"))
        self._sha256 = sha256(outcome.body).digest()
        try:
            await asyncio.to_thread(keep, self._path, self._wanted.url, self._etag, outcome.body)
        except OSError as error:
            say("not kept", level=logging.WARNING, path=self._path, error=error.strerror)

    async def follow(self, apply: Callable[[], Awaitable[None]]) -> None:
        """Ask at once and at every interval, as long as a provider needs it.

        *apply* makes all providers' models what is known now: after the first answer, or failure,
        and whenever something has changed.
        """
        due = True
        while True:
            self._changed.clear()
            if self.on:
                await _first(self._needed.wait(), self._changed.wait())
                if self._changed.is_set():
                    due = True
                    continue
                due = await self.ask() or due
            if due:
                await apply()
            due = await self._pause(self._wait())

    def _wait(self) -> float:
        """Return the seconds until the next call: sooner after a failure, then less and less so."""
        if not self._failed:
            return self._wanted.interval
        ours = backoff(
            self._failed,
            base_delay=BASE_DELAY,
            max_delay=self._wanted.interval,
            multiplier=2.0,
            draw=clocks.uniform,
        )
        return min(self._wanted.interval, max(BASE_DELAY + ours, self._asked))

    async def _pause(self, seconds: float) -> bool:
        """Sleep, unless the settings change; tell whether they have."""
        await _first(self._clock.sleep(seconds), self._changed.wait())
        return self._changed.is_set()


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of *waits*, and for no other."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _conditional(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"if-none-match": etag}


def _usable(etag: str | None) -> str | None:
    """Return a tag that can be sent back, else None."""
    fits = etag and len(etag) <= LONGEST_ETAG and etag.isascii() and etag.isprintable()
    return etag if fits else None


def _unless_broken(found: Callable[[], Answered]) -> Answered | None:
    try:
        return found()
    except NoOffers as error:
        say("not read", level=logging.WARNING, source=SOURCE, message=str(error))
        return None
