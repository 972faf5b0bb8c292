"""The configuration is the desired state; what differs from the registry must have happened."""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from events.base import Instant
from events.providers import (
    Origin,
    ProviderEvent,
    ProviderReconfigured,
    ProviderRegistered,
    ProviderSchemaChanged,
    ProviderUnregistered,
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A provider as it is or should be registered: the fields of `provider.registered`."""

    name: str
    dialect: str
    base_url: str
    enabled: bool = True
    priority: int = 0
    origin: Origin = "config"
    credential: dict[str, Any] | None = None
    credentials: dict[str, dict[str, Any]] = {}
    headers: dict[str, Any] = {}
    options: dict[str, Any] = {}
    schedule: dict[str, Any] = {}
    health: dict[str, Any] = {}


Registry = dict[str, Settings]
"""The registered providers by name."""


def evolve(registry: Registry, event: ProviderEvent) -> Registry:
    """Return *registry* after *event*."""
    match event:
        case ProviderRegistered() | ProviderReconfigured():
            fields = msgspec.structs.asdict(event)
            del fields["at"]
            settings = Settings(name=fields.pop("provider"), **fields)
            return {**registry, event.provider: settings}
        case ProviderUnregistered():
            return {name: kept for name, kept in registry.items() if name != event.provider}
        case ProviderSchemaChanged():
            return registry
        case _:
            assert_never(event)


def reconcile(registry: Registry, wanted: Registry, now: Instant) -> list[ProviderEvent]:
    """Return what makes *registry* what the configuration file wants.

    Providers that were registered by command stay, unless the file names them too: the file wins.
    """
    events: list[ProviderEvent] = []
    for _, settings in sorted(wanted.items()):
        if (event := register(registry, settings, now)) is not None:
            events.append(event)
    events += [
        ProviderUnregistered(at=now, provider=name, reason="config")
        for name, settings in sorted(registry.items())
        if settings.origin == "config" and name not in wanted
    ]
    return events


def register(registry: Registry, settings: Settings, now: Instant) -> ProviderEvent | None:
    """Return what makes *settings* those of their provider, or None where they are already."""
    known = registry.get(settings.name)
    if known == settings:
        return None
    fields = msgspec.structs.asdict(settings)
    kind = ProviderRegistered if known is None else ProviderReconfigured
    return kind(at=now, provider=fields.pop("name"), **fields)
