"""How a provider is asked: its key read anew, within the process's bounds, with retries."""

from __future__ import annotations

from typing import NamedTuple

from events.audit import Failure
from services.calls.call import Client, Outcome
from services.calls.fetching import fetch_with_retries
from services.calls.limits import Limits
from services.calls.pages import Fetched
from services.calls.tokens import Tokens
from services.clock import Clock
from services.credentials import secrets_of
from services.keys import KeyUnavailable
from services.refresher.watched import Watched
from services.waits import Left, Waits, fingerprint


class Asked(NamedTuple):
    """What asking brought: a list, or why there is none; and after how many attempts."""

    attempts: int
    fetched: Fetched | None = None
    failure: Failure | None = None


class Asking:
    """The way out to all providers, shared by every run of the process."""

    def __init__(
        self, client: Client, limits: Limits, clock: Clock, waits: Waits | None = None
    ) -> None:
        self._client = client
        self._limits = limits
        self._clock = clock
        self._tokens = Tokens(clock)
        self._waits = waits or Waits(clock)

    async def left(self, watched: Watched) -> float:
        """Return for how many seconds the provider does not want to be asked."""
        try:
            secrets = await secrets_of(watched.settings)
        except KeyUnavailable:
            return 0.0
        left = await self._waits.left(watched.name, fingerprint(watched.name, secrets))
        return 0.0 if left is None else left.seconds

    async def another_credential(self, watched: Watched) -> bool:
        """Tell whether the provider's secrets are others than those it was asked with last."""
        try:
            secrets = await secrets_of(watched.settings)
        except KeyUnavailable:
            return False
        return fingerprint(watched.name, secrets) != watched.credential

    async def ask(
        self, watched: Watched, *, force: bool, deadline: float, due: bool = False
    ) -> Asked:
        """Fetch the whole list of *watched* within *deadline* seconds of the clock.

        *force* reads it in full, even where it may be unchanged. *due* by a schedule, it is not
        read at all where a check has just seen that it is. A provider's fault, a missing key, and a
        provider that asked to wait, which nothing overrides, are failures, never exceptions.
        """
        try:
            secrets = await secrets_of(watched.settings)
        except KeyUnavailable as error:
            return Asked(0, failure=Failure(class_="credential", message=str(error)))
        plan = watched.schedule
        watched.credential = credential = fingerprint(watched.name, secrets)
        if due and (unchanged := watched.seen_unchanged(self._clock.now())) is not None:
            return Asked(0, fetched=unchanged)
        if (left := await self._waits.left(watched.name, credential)) is not None:
            return Asked(0, failure=_not_yet(watched.name, left))

        async def heard(outcome: Outcome, seconds: float) -> None:
            if outcome.group in {"OK", "PARTIAL"}:
                await self._waits.answered(watched.name, credential)
            else:
                await self._waits.asked(watched.name, credential, seconds, outcome.class_)

        with watched.recall.list():
            fetched, attempts = await fetch_with_retries(
                watched.dialect,
                watched.settings,
                secrets,
                client=self._client,
                limits=self._limits,
                clock=self._clock,
                timeout=plan.timeout,
                max_bytes=plan.max_response_bytes,
                validators=None if force or watched.listing is None else watched.listing.validators,
                known_undecodable=watched.undecodable,
                worked=watched.worked,
                tokens=self._tokens,
                attempts=plan.attempts,
                base_delay=plan.base_delay,
                max_delay=plan.max_delay,
                multiplier=plan.multiplier,
                retry_on=plan.retry_on,
                deadline=deadline,
                heard=heard,
            )
        outcome = fetched.outcome
        if outcome.group in {"OK", "PARTIAL"}:
            return Asked(attempts, fetched=fetched)
        return Asked(
            attempts,
            failure=Failure(class_=outcome.class_, message=outcome.message, status=outcome.status),
        )


def _not_yet(provider: str, left: Left) -> Failure:
    message = f"{provider} asked to wait; it is not asked for another {left.seconds:.0f} s"
    return Failure(class_=left.class_, message=message)
