"""How a role says to NATS who it is: by one secret for all roles, or by one for each."""

from __future__ import annotations

from typing import Any

from services.keys import KeyUnavailable, resolve
from services.settings import Nats

ROLE = "{role}"
"""Stands for the name of the role in a reference, such as the path of a file."""


async def login(settings: Nats, role: str) -> str | None:
    """Read the credentials of *role* that *settings* refer to; raises KeyUnavailable."""
    if settings.credentials is None:
        return None
    named = {key: _named(value, role) for key, value in settings.credentials.items()}
    try:
        secret = await resolve(named)
    except KeyUnavailable as error:
        raise KeyUnavailable(f"nats.credentials: {error}") from error
    return None if secret is None else secret.reveal()


def _named(value: Any, role: str) -> Any:  # noqa: ANN401 - a text or the words of a command
    if isinstance(value, str):
        return value.replace(ROLE, role)
    return [str(word).replace(ROLE, role) for word in value]
