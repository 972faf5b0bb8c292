"""What may be asked of the processes, and what they answer: JSON, request and reply."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ErrorCode = Literal[
    "invalid", "not_found", "conflict", "too_large", "unavailable", "timeout", "internal"
]


class Refresh(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Refresh one provider, or all of them where *provider* is null.

    *force* ignores schedule and validators; with *wait* the reply comes with the outcomes.
    """

    provider: str | None = None
    force: bool = False
    wait: bool = False


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Check one provider now, or all of them where *provider* is null.

    It joins a cycle that is on its way; with *wait* the reply comes with the outcomes.
    """

    provider: str | None = None
    wait: bool = False


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell that somebody has seen to an alert: no more reminders; it resolves as before."""

    alert_id: str
    until: str | None = None


class Silence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell nobody of an alert until *until*, an instant; null ends a silence."""

    alert_id: str
    until: str | None = None


class Unregister(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask a provider no more, and remove its models."""

    name: str


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[providers]]` table; what each key may be is said by the configuration."""

    name: str
    dialect: str | msgspec.UnsetType = msgspec.UNSET
    base_url: str | msgspec.UnsetType = msgspec.UNSET
    api_key: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    credentials: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    options: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    headers: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    priority: int | msgspec.UnsetType = msgspec.UNSET
    refresh: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    health: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Register(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask a provider for its models from now on; a `[[providers]]` table as JSON."""


class Update(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change the settings of a registered provider: the keys that are given, and no other."""


class Rebuild(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fold the log into a new generation of the catalogue, beside the one that serves."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a command started, or joined where it was on its way already."""

    provider: str
    run_id: str
    joined: bool = False


class Accepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command that is carried out; *outcomes* are the outcome events, where it asked to wait."""

    accepted: Literal[True]
    correlation_id: str
    runs: list[Run] = []
    outcomes: list[dict[str, Any]] | None = None


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The registry is as it was asked for; *seq* is that of the provider's last event in it."""

    accepted: Literal[True]
    seq: int


class Rebuilding(msgspec.Struct, frozen=True, kw_only=True):
    """A new generation of the catalogue is being built; it will serve when it has caught up."""

    accepted: Literal[True]
    generation: int


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused; *code* is one of a closed list."""

    code: ErrorCode
    message: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to a request that failed."""

    error: Error


COMMANDS: dict[str, type[msgspec.Struct]] = {
    "refresh": Refresh,
    "rebuild": Rebuild,
    "check": Check,
    "alert.acknowledge": Acknowledge,
    "alert.silence": Silence,
    "provider.register": Register,
    "provider.update": Update,
    "provider.unregister": Unregister,
}
"""Every command by the rest of its subject."""
LARGEST = 262_144
"""Bytes of a request; a larger one is refused."""
