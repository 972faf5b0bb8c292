"""One fetch of a provider's list within its bounds, and again where it failed in passing.

The loop is tenacity's; waits and clock are ours. Source: health.md, section 7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NotRequired, TypedDict, Unpack

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from events.decide.providers import Settings
from services.calls.call import Client, Outcome
from services.calls.limits import Limits
from services.calls.line import Line
from services.calls.origin import host_of
from services.calls.pages import Fetched, Validators, read
from services.calls.tokens import Tokens
from services.calls.waiting import asked, backoff
from services.calls.wording import one_line
from services.clock import Clock, uniform
from services.keys import Secret
from services.providers import Dialect

FAMILIES = {
    "timeout": ("timeout_connect", "timeout_read", "timeout_total"),
    "dns": ("dns", "dns_nx"),
}
"""Words of `retry_on` that stand for several classes; every other is a class."""


Heard = Callable[[Outcome, float], Awaitable[None]]
"""Told how each attempt ended, and for how many seconds the provider asked to wait."""


class Bounds(TypedDict):
    """What every attempt of a run has in common; see `fetch`."""

    client: Client
    max_bytes: int
    validators: Validators | None
    known_undecodable: NotRequired[int]
    connect_timeout: NotRequired[float | None]
    worked: NotRequired[bool]
    tokens: NotRequired[Tokens | None]


async def fetch(  # noqa: PLR0913 - the bounds of one fetch
    dialect: Dialect,
    settings: Settings,
    secrets: Mapping[str, Secret],
    *,
    client: Client,
    limits: Limits,
    timeout: float,  # noqa: ASYNC109 - the bound of the fetch, an outcome and no exception
    max_bytes: int,
    validators: Validators | None,
    clock: Clock,
    known_undecodable: int = 0,
    connect_timeout: float | None = None,
    worked: bool = False,
    tokens: Tokens | None = None,
    first_only: bool = False,
    urgency: int | None = None,
) -> Fetched:
    """Read the whole list of a provider within *timeout* seconds, and say how that ended.

    The time begins when the process's *limits* let it. *secrets* holds `api_key`, the names of
    `credentials`, and ``headers.<name>`` for each of the settings' headers that is a reference.
    *max_bytes* bounds one page. For *validators* and *known_undecodable* see `read`. *worked*: the
    list has been read with these settings before. *first_only* asks for the first page alone, as a
    check does, and has the phases of that call measured. *urgency* counts in place of the
    provider's priority. The outcome carries the time of all calls and no body. A provider's fault
    is never raised.
    """
    line = Line(
        dialect,
        settings,
        secrets,
        client=client,
        clock=clock,
        tokens=tokens or Tokens(clock),
        timeout=timeout,
        max_bytes=max_bytes,
        connect_timeout=connect_timeout,
        worked=worked,
        phases=first_only,
    )
    priority = settings.priority if urgency is None else urgency
    async with limits.slot(host_of(settings.base_url), priority):
        refused = await line.open()
        if refused is not None:
            fetched = Fetched(refused)
        else:
            fetched = await read(
                dialect,
                settings,
                line.ask,
                validators=validators,
                known_undecodable=known_undecodable,
                first_only=first_only,
            )
        took = round(line.took * 1000)
    outcome = fetched.outcome
    if outcome.status == 401:  # noqa: PLR2004 - unauthorized
        line.unauthorized()
    message = one_line(outcome.message, line.secrets)  # a dialect's may quote the body
    return fetched._replace(outcome=outcome._replace(message=message, latency_ms=took, body=b""))


def classes(retry_on: Sequence[str]) -> frozenset[str]:
    """Return the classes after which *retry_on* allows another attempt."""
    return frozenset(class_ for word in retry_on for class_ in FAMILIES.get(word, (word,)))


async def fetch_with_retries(  # noqa: PLR0913 - the bounds of one run
    dialect: Dialect,
    settings: Settings,
    secrets: Mapping[str, Secret],
    *,
    limits: Limits,
    timeout: float,  # noqa: ASYNC109 - the bound of each fetch, an outcome and no exception
    clock: Clock,
    attempts: int,
    base_delay: float,
    max_delay: float,
    multiplier: float,
    retry_on: Sequence[str],
    deadline: float,
    draw: Callable[[float, float], float] = uniform,
    heard: Heard | None = None,
    **bounds: Unpack[Bounds],
) -> tuple[Fetched, int]:
    """Fetch, up to *attempts* times within *deadline* seconds, and say how many it took.

    Calls take real time and waits the clock's; both count. What the provider asks for and back-off
    with full jitter make the wait, the longer of both. A retry that would not begin in time is not
    made, nor one beyond the process's budget (`RetryBudget`). See `fetch` for the rest.
    """
    loop = asyncio.get_running_loop()
    again = classes(retry_on)
    left = deadline
    asks = 0.0
    made = 0

    async def attempt() -> Fetched:
        nonlocal left, made, asks
        made += 1
        started = loop.time()
        within = min(timeout, left)
        fetched = await fetch(
            dialect, settings, secrets, limits=limits, timeout=within, clock=clock, **bounds
        )
        left -= loop.time() - started
        outcome = fetched.outcome
        asks = asked(outcome.class_, outcome.status, outcome.retry_after, draw)
        if heard is not None:
            await heard(outcome, asks)
        return fetched

    def wait(state: RetryCallState) -> float:
        ours = backoff(
            state.attempt_number,
            base_delay=base_delay,
            max_delay=max_delay,
            multiplier=multiplier,
            draw=draw,
        )
        return max(ours, asks)

    def stop(state: RetryCallState) -> bool:
        if state.attempt_number >= attempts or state.upcoming_sleep >= left:
            return True
        return not limits.retries.spend()

    async def sleep(seconds: float) -> None:
        nonlocal left
        left -= seconds
        await clock.sleep(seconds)

    def passing(fetched: Fetched) -> bool:
        return fetched.outcome.class_ in again

    limits.retries.earn()
    retrying = AsyncRetrying(
        sleep=sleep,
        stop=stop,
        wait=wait,
        retry=retry_if_result(passing),
        retry_error_callback=_result,
    )
    fetched: Fetched = await retrying(attempt)
    return fetched, made


def _result(state: RetryCallState) -> Fetched:
    if state.outcome is None:
        raise RuntimeError("tenacity asks before there is an attempt")
    result: Fetched = state.outcome.result()
    return result
