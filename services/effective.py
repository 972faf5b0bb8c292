"""The effective configuration as it would be written: secrets as references, spans as text."""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from services.durations import format_duration
from services.sections import ENRICHMENT, HEALTH, NATS, REFRESH
from services.settings import Config


def table_of(settings: Settings) -> dict[str, Any]:
    """Return *settings* as the `[[providers]]` table that they might have come from."""
    told = _provider(settings)
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
        "health": {key: _text(key, value) for key, value in config.health.items()},
        "enrichment": _written(config.enrichment),
        "providers": [_provider(one) for one in config.providers],
    }


def _written(section: msgspec.Struct) -> dict[str, Any]:
    return {key: _text(key, value) for key, value in msgspec.to_builtins(section).items()}


def _text(key: str, value: object) -> object:
    timed = HEALTH.get(key) or REFRESH.get(key) or NATS.get(key) or ENRICHMENT.get(key)
    called = getattr(timed, "__qualname__", "")
    if called.startswith("duration.") and isinstance(value, float):
        return format_duration(value)
    return value


def _provider(settings: Settings) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(settings)
    refresh = {key: _text(key, value) for key, value in told.pop("schedule").items()}
    told["api_key"] = told.pop("credential")
    told["health"] = {key: _text(key, value) for key, value in told["health"].items()}
    return {**told, "refresh": refresh}
