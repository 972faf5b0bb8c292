"""Tokens of limited life, for credentials that are exchanged for one; kept in memory only.

Source: providers.md, section 1.4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from events.decide.providers import Settings
from services.calls.call import Outcome
from services.calls.classify import GROUPS
from services.calls.decoding import UNREADABLE, failed
from services.clock import Clock
from services.keys import Secret
from services.providers import Dialect, Request

RENEWED = 300.0
"""Seconds before its end at which a token is no longer used."""
TOKEN = "access_token"  # noqa: S105 - the name under which a dialect looks for one


class _Token(NamedTuple):
    secret: Secret
    good_until: float


class Tokens:
    """The tokens of a process, by provider and by the credentials that they were given for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[tuple[str, bytes], _Token] = {}

    async def secrets(
        self,
        dialect: Dialect,
        settings: Settings,
        secrets: Mapping[str, Secret],
        ask: Callable[[Request], Awaitable[Outcome]],
    ) -> Mapping[str, Secret] | Outcome:
        """Return *secrets* with the token that they give; an outcome where none was given."""
        if dialect.exchange is None:
            return secrets
        try:
            exchange = dialect.exchange(settings, secrets, self._clock.utcnow())
        except UNREADABLE:  # whose words may quote the secret
            message = "the credentials are not of the form that a token is asked with"
            return Outcome("credential", GROUPS["credential"], message=message)
        if exchange is None:
            return secrets
        key = _key(settings, secrets)
        held = self._held.get(key)
        if held is None or self._clock.monotonic() >= held.good_until:
            outcome = await ask(exchange.request)
            if outcome.class_ != "ok":
                refused = outcome.status in {400, 401, 403}
                return failed(outcome, outcome.message, "credential") if refused else outcome
            try:
                token, life = exchange.read(outcome.body)
            except UNREADABLE:
                return failed(outcome, "the token endpoint's answer holds no token")
            held = _Token(Secret(token), self._clock.monotonic() + life - RENEWED)
            self._held[key] = held
        return {**secrets, TOKEN: held.secret}

    def drop(self, settings: Settings, secrets: Mapping[str, Secret]) -> None:
        """Forget the token of *secrets*: the provider did not take it."""
        self._held.pop(_key(settings, secrets), None)


def _key(settings: Settings, secrets: Mapping[str, Secret]) -> tuple[str, bytes]:
    said = "\0".join(f"{name}\0{secret.reveal()}" for name, secret in sorted(secrets.items()))
    return settings.name, hashlib.sha256(said.encode(errors="surrogatepass")).digest()
