"""Each provider asked once for the first page of its list: who answers to our key from here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from events.decide.providers import Settings
from services.calls.call import Client, client
from services.calls.fetching import fetch
from services.calls.limits import Limits
from services.clock import Clock
from services.credentials import secrets_of
from services.doctor.finding import Finding, bad, fine, note
from services.keys import KeyUnavailable
from services.providers import DIALECTS

AT_ONCE = 8
SECONDS = 10.0
MOST_BYTES = 16_777_216
ANSWERED = frozenset({"OK", "PARTIAL"})
OURS = frozenset({"connect", "timeout_connect", "dns", "dns_nx", "tls", "local"})
"""Classes of what may be this machine's network."""


async def online(settings: Sequence[Settings], clock: Clock) -> list[Finding]:
    """Return how each enabled provider answers; one whose key is not there is not asked."""
    limits = Limits(AT_ONCE, clock=clock)
    async with client() as http:
        asked = (_asked(one, http, limits, clock) for one in settings if one.enabled)
        found = await asyncio.gather(*asked)
    return [one for one in found if one is not None]


async def _asked(one: Settings, http: Client, limits: Limits, clock: Clock) -> Finding | None:
    try:
        secrets = await secrets_of(one)
    except KeyUnavailable:
        return None
    fetched = await fetch(
        DIALECTS[one.dialect],
        one,
        secrets,
        client=http,
        limits=limits,
        timeout=SECONDS,
        max_bytes=MOST_BYTES,
        validators=None,
        clock=clock,
        first_only=True,
    )
    outcome = fetched.outcome
    what = f"provider {one.name}"
    if outcome.group in ANSWERED:
        return fine(what, f"answers, in {outcome.latency_ms:,} ms")
    if outcome.group not in {"FAIL", "BLOCKED"}:
        return note(what, f"{outcome.class_}: {outcome.message}", "ask again later")
    remedy = (
        "is its address right, and does this machine reach it?"
        if outcome.class_ in OURS
        else f"see `modelog providers show {one.name}`, and its key and address"
    )
    return bad(what, f"{outcome.class_}: {outcome.message}", remedy)
