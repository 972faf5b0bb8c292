"""All that can be wrong, looked at in turn; what is missing is said, and passed over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from events.decide.providers import Settings
from projections import Catalogue
from projections.database import NoCatalogue, NotACatalogue
from services import config as configuration
from services.clock import Clock
from services.config import Config, ConfigError
from services.directory import DataDirectory
from services.doctor.catalogue import catalogue
from services.doctor.finding import Finding, bad, fine, many, note
from services.doctor.log import log
from services.doctor.machine import machine
from services.doctor.online import online
from services.doctor.providers import providers

FALLBACK = Path(".modelog")


async def examine(  # noqa: PLR0913 - where to look, and how far
    file: Path | None,
    data: Path | None,
    *,
    environ: Mapping[str, str],
    cwd: Path,
    clock: Clock,
    ask: bool = False,
) -> list[Finding]:
    """Return everything that was found, good and bad; nothing is created or changed.

    With *ask* each provider is asked once.
    """
    config, found = _configured(file, data, environ, cwd)
    where = config.data if config else cwd / (data or environ.get("MODELOG_DATA") or FALLBACK)
    directory = DataDirectory(where)
    found += await asyncio.to_thread(lambda: list(machine(directory)))
    found += await asyncio.to_thread(lambda: list(catalogue(directory.catalogue, clock.now())))
    if config is not None:
        found += await log(config.nats, directory)
        settings = _registered(config, directory)
        found += await providers(settings)
        found += await online(settings, clock) if ask else []
    return found


def _configured(
    file: Path | None, data: Path | None, environ: Mapping[str, str], cwd: Path
) -> tuple[Config | None, list[Finding]]:
    try:
        config = configuration.load(file, data=data, environ=environ, cwd=cwd)
    except ConfigError as error:
        remedy = "correct the key; docs/settings.md lists what is allowed"
        return None, [bad("configuration", line, remedy) for line in error.errors]
    count = len(config.providers)
    if config.source is None:
        text = f"no file: the built-in providers whose keys are in the environment ({count})"
        return config, [note("configuration", text, "write modelog.toml to choose them yourself")]
    return config, [fine("configuration", f"{config.source}, {many(count, 'provider')}")]


def _registered(config: Config, directory: DataDirectory) -> list[Settings]:
    """Return the configured providers, and those that were registered by command."""
    found = {one.name: one for one in config.providers}
    try:
        with Catalogue.open(directory.catalogue) as opened:
            for one in opened.providers():
                if one.origin == "command" and one.name not in found:
                    kept: dict[str, Any] = {
                        key: value
                        for key, value in opened.settings(one.name).items()
                        if value is not None
                    }
                    told = {"name": one.name, "dialect": one.dialect, "base_url": one.base_url}
                    state = {"enabled": one.enabled, "priority": one.priority, "origin": one.origin}
                    found[one.name] = msgspec.convert({**told, **state, **kept}, Settings)
    except (NoCatalogue, NotACatalogue, msgspec.ValidationError):
        pass
    return list(found.values())
