"""One provider's way of being called: its headers, its signature, its token, within one time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from events.decide.providers import Settings
from services.calls.call import Client, Outcome, call
from services.calls.classify import GROUPS
from services.calls.tokens import Tokens
from services.clock import Clock
from services.keys import Secret
from services.providers import Dialect, Request


class Line:
    """What every call of one fetch or check has in common; its time begins with `open`."""

    def __init__(  # noqa: PLR0913 - the bounds of its calls
        self,
        dialect: Dialect,
        settings: Settings,
        secrets: Mapping[str, Secret],
        *,
        client: Client,
        clock: Clock,
        tokens: Tokens,
        timeout: float,
        max_bytes: int,
        connect_timeout: float | None = None,
        worked: bool = False,
        phases: bool = False,
    ) -> None:
        """Nothing is sent yet. *timeout* bounds all calls together, in seconds."""
        self._dialect = dialect
        self._settings = settings
        self._given = secrets
        self._full = secrets
        self._client = client
        self._clock = clock
        self._tokens = tokens
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._connect_timeout = connect_timeout or timeout / 2
        self._worked = worked
        self._phases = phases
        self._started = 0.0

    @property
    def secrets(self) -> list[Secret]:
        """All that must not be told of these calls."""
        return list(self._full.values())

    @property
    def took(self) -> float:
        """Seconds since it was opened."""
        return asyncio.get_running_loop().time() - self._started

    async def open(self) -> Outcome | None:
        """Get the token that the credentials give, if any; an outcome says why there is none."""
        self._started = asyncio.get_running_loop().time()
        given = await self._tokens.secrets(
            self._dialect, self._settings, self._given, self._exchange
        )
        if isinstance(given, Outcome):
            return given
        self._full = given
        return None

    def unauthorized(self) -> None:
        """Forget the token: the provider did not take it."""
        self._tokens.drop(self._settings, self._given)

    async def ask(self, request: Request) -> Outcome:
        """Make one call to the provider itself, in what is left of the time."""
        headers = headers_of(self._dialect, self._settings, self._full, request)
        if self._dialect.sign is not None:
            signed = request._replace(headers=headers)
            moment = self._clock.utcnow()
            headers |= _lower(self._dialect.sign(signed, self._settings, self._full, moment))
        return await self._call(request._replace(headers=headers), worked=self._worked)

    async def _exchange(self, request: Request) -> Outcome:
        return await self._call(request, worked=False)

    async def _call(self, request: Request, *, worked: bool) -> Outcome:
        left = self._timeout - self.took
        if left <= 0:
            message = f"not all within {self._timeout:g} s"
            return Outcome("timeout_total", GROUPS["timeout_total"], message=message)
        return await call(
            self._client,
            request,
            timeout=left,
            connect_timeout=min(left, self._connect_timeout),
            max_bytes=self._max_bytes,
            secrets=self.secrets,
            clock=self._clock,
            codes=self._dialect.codes,
            worked=worked,
            phases=self._phases,
        )


def headers_of(
    dialect: Dialect, settings: Settings, secrets: Mapping[str, Secret], request: Request
) -> dict[str, str]:
    """Return what goes with *request*: the dialect's headers, the user's own, then its own."""
    custom: dict[str, str] = {}
    for name, value in settings.headers.items():
        secret = secrets.get(f"headers.{name}")
        if isinstance(value, str):
            custom[name] = value
        elif secret is not None:
            custom[name] = secret.reveal()
    return _lower(dialect.headers(settings, secrets)) | _lower(custom) | _lower(request.headers)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
