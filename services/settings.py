"""What can be configured: the effective settings of every section, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from events.decide.providers import Settings
from services.notice_settings import Notify

RETRY_ON = ("connect", "timeout", "dns", "server", "overloaded", "rate_limited")


class Nats(msgspec.Struct, frozen=True, kw_only=True):
    """Where the log is; without a *url* it is the embedded server's. *audit_max_age* in seconds."""

    url: str | None = None
    monitor_url: str | None = None
    credentials: dict[str, Any] | None = None
    replicas: int = 1
    audit_max_age: float | None = 400 * 86_400.0


class Refresh(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how patiently a provider is asked; durations in seconds.

    *timeout* bounds one whole fetch, *max_response_bytes* one page after decompression.
    """

    interval: float = 300.0
    timeout: float = 30.0
    max_concurrency: int = 5
    attempts: int = 3
    base_delay: float = 1.0
    max_delay: float = 30.0
    multiplier: float = 2.0
    retry_on: tuple[str, ...] = RETRY_ON
    max_response_bytes: int = 16_777_216
    removal_scans: int = 3
    removal_hold: float = 86_400.0
    shrink_guard: float = 0.2


def refreshing(written: Mapping[str, Any]) -> Refresh:
    """Return the refresh settings: what was *written*, and defaults that fit it."""
    scaled = dict(written)
    scaled.setdefault("timeout", min(30.0, written.get("interval", 300.0)))
    scaled.setdefault("max_delay", max(30.0, written.get("base_delay", 1.0)))
    return Refresh(**scaled)


def written(effective: Refresh) -> dict[str, Any]:
    """Return what `refreshing` makes *effective* of: all but what follows from the rest."""
    given = msgspec.structs.asdict(effective)
    for name in ("timeout", "max_delay"):
        rest = {key: value for key, value in given.items() if key != name}
        if getattr(refreshing(rest), name) == given[name]:
            given = rest
    return given


class Schedule(Refresh, frozen=True, kw_only=True):
    """The refresh settings of one provider, as its registration tells them."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Schedule:
        """Read the schedule of a registered provider; raises msgspec.ValidationError."""
        return msgspec.convert(settings.schedule, cls)

    @property
    def hold(self) -> timedelta:
        """How long a model must be missing before it is removed."""
        return timedelta(seconds=self.removal_hold)


class Enrichment(msgspec.Struct, frozen=True, kw_only=True):
    """Who may fill what a provider leaves unknown; *interval* in seconds."""

    sources: tuple[str, ...] = ("models.dev",)
    url: str = "https://models.dev/api.json"
    interval: float = 86_400.0


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was configured; *source* is the file, None where there is none."""

    data: Path
    nats: Nats
    refresh: Refresh
    health: dict[str, Any]
    enrichment: Enrichment
    providers: tuple[Settings, ...]
    notify: Notify = Notify()
    source: Path | None = None
