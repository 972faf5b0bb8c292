"""A provider's secrets, read anew wherever they are kept."""

from __future__ import annotations

from events.decide.providers import Settings
from services.keys import KeyUnavailable, Reference, Secret, describe, resolve
from services.providers.table import BUILTIN


async def secrets_of(settings: Settings) -> dict[str, Secret]:
    """Read the key and the credentials of a provider anew; raises KeyUnavailable."""
    references: dict[str, Reference] = dict(settings.credentials)
    for name, value in settings.headers.items():
        if not isinstance(value, str):
            references[f"headers.{name}"] = value
    if settings.credential is not None:
        references["api_key"] = settings.credential
    found: dict[str, Secret] = {}
    for name, reference in references.items():
        secret = await resolve(reference)
        if secret is not None:
            found[name] = secret
        elif name == "api_key" and not _optional(settings.name):
            raise KeyUnavailable(f"{describe(reference)} holds no key for {settings.name}")
    return found


def _optional(name: str) -> bool:
    builtin = BUILTIN.get(name)
    return builtin is not None and builtin.key_optional
