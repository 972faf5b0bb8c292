"""Who offers it: the events of the registry."""

from __future__ import annotations

from typing import Any, Literal

from events.base import BaseEvent

Origin = Literal["config", "command"]
UnregisterReason = Literal["config", "command"]


class _Settings(BaseEvent, frozen=True, kw_only=True):
    """What modelog knows of how to ask a provider.

    *credential* is where the key is found (``{"env": …}``, ``{"file": …}`` or ``{"command": …}``),
    never the key. *schedule* and *health* are the effective settings, durations in seconds.
    """

    provider: str
    dialect: str
    base_url: str
    enabled: bool
    priority: int
    origin: Origin
    credential: dict[str, Any] | None = None
    credentials: dict[str, dict[str, Any]] = {}
    headers: dict[str, Any] = {}
    options: dict[str, Any] = {}
    schedule: dict[str, Any] = {}
    health: dict[str, Any] = {}


class ProviderRegistered(_Settings, frozen=True, kw_only=True, tag="provider.registered"):
    """A provider is asked for its models from now on."""


class ProviderReconfigured(_Settings, frozen=True, kw_only=True, tag="provider.reconfigured"):
    """The settings of a registered provider are different now; all of them come with it."""


class ProviderUnregistered(BaseEvent, frozen=True, kw_only=True, tag="provider.unregistered"):
    """A provider is not asked any more, and its models are removed."""

    provider: str
    reason: UnregisterReason


class ProviderSchemaChanged(BaseEvent, frozen=True, kw_only=True, tag="provider.schema_changed"):
    """Most rows of a provider's list gained or lost the same raw fields in one fetch."""

    provider: str
    added_fields: list[str]
    removed_fields: list[str]
    models: int


ProviderEvent = (
    ProviderRegistered | ProviderReconfigured | ProviderUnregistered | ProviderSchemaChanged
)
