"""The effective configuration as it would be written: secrets as references, spans as text."""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from services.durations import format_duration
from services.health_settings import HEALTH, Health, checking
from services.leaves import Duration
from services.notice_settings import NOTIFY, masked
from services.sections import ENRICHMENT, NATS, REFRESH
from services.settings import Config, Schedule, written

SECTIONS = (NATS, REFRESH, HEALTH, ENRICHMENT, NOTIFY)


def table_of(settings: Settings) -> dict[str, Any]:
    """Return *settings* as the `[[providers]]` table that they might have come from.

    What follows from other keys is left out, so that it follows them when they change. Raises
    msgspec.ValidationError where the schedule is none.
    """
    told = _provider(settings)
    scaled = set(told["refresh"]) - set(written(Schedule.from_settings(settings)))
    told["refresh"] = {key: one for key, one in told["refresh"].items() if key not in scaled}
    given = {key: told[key] for key in ("name", "dialect", "base_url", "enabled", "priority")}
    rest = ("api_key", "credentials", "headers", "options", "refresh", "health")
    return {**given, **{key: told[key] for key in rest if told[key]}}


def describe(config: Config) -> dict[str, Any]:
    """Return the effective configuration as it would be written: secrets as references."""
    return {
        "source": str(config.source) if config.source else None,
        "data": str(config.data),
        "nats": _written(config.nats),
        "refresh": _written(config.refresh),
        "health": _written(checking(config.health)),
        "enrichment": _written(config.enrichment),
        "notify": {key: _text(key, value) for key, value in masked(config.notify).items()},
        "providers": [
            {**_provider(one), "health": _written(Health.from_settings(one))}
            for one in config.providers
        ],
    }


def _written(section: msgspec.Struct) -> dict[str, Any]:
    return {key: _text(key, value) for key, value in msgspec.to_builtins(section).items()}


def _text(key: str, value: object) -> object:
    timed = any(isinstance(reads.get(key), Duration) for reads in SECTIONS)
    if timed and (value is None or isinstance(value, float)):
        return format_duration(value or 0.0)
    return value


def _provider(settings: Settings) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(settings)
    refresh = {key: _text(key, value) for key, value in told.pop("schedule").items()}
    told["api_key"] = told.pop("credential")
    told["health"] = {key: _text(key, value) for key, value in told["health"].items()}
    return {**told, "refresh": refresh}
