"""File and environment become one frozen struct, or every error at once.

A file is read leaf by leaf, so that nobody mends one mistake to be shown the next. The only module
that reads the environment, besides the clock's one variable.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from events.decide.providers import Settings
from services.durations import format_duration, parse_duration
from services.reader import Reader
from services.sections import NATS
from services.settings import Config, Refresh, Schedule, written

__all__ = [
    "Config",
    "ConfigError",
    "Schedule",
    "environment",
    "format_duration",
    "load",
    "parse_duration",
    "provider_of",
]

FILE = "modelog.toml"


class ConfigError(Exception):
    """A configuration that starts nothing; `errors` has a line for each mistake in it."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def environment() -> dict[str, str]:
    """Return the environment as it is now."""
    return dict(os.environ)


def load(
    path: Path | None,
    *,
    data: Path | None = None,
    nats_url: str | None = None,
    environ: Mapping[str, str],
    cwd: Path | None = None,
) -> Config:
    """Return the effective configuration.

    The file is *path*, else ``$MODELOG_CONFIG``, else ``modelog.toml`` in *cwd*; with none of them
    the built-in providers serve whose keys are in *environ*. *data* and *nats_url* win over
    ``$MODELOG_DATA`` and ``$MODELOG_NATS_URL``, and these over the file. Raises ConfigError with
    every mistake that there is.
    """
    cwd = cwd or Path()
    source = _source(path, environ, cwd)
    raw = _read(source) if source else {}
    reader = Reader(source.name if source else "environment", environ)
    config = reader.config(raw, source)
    told = Reader("command line" if nats_url else "environment", environ)
    if url := nats_url or environ.get("MODELOG_NATS_URL"):
        url = told.leaf("the NATS URL" if nats_url else "$MODELOG_NATS_URL", NATS["url"], url)
        config = msgspec.structs.replace(config, nats=msgspec.structs.replace(config.nats, url=url))
    if errors := reader.errors + told.errors:
        raise ConfigError(errors)
    where = data or Path(environ.get("MODELOG_DATA") or config.data)
    return msgspec.structs.replace(config, data=cwd / _expanded(where))


def _expanded(path: Path) -> Path:
    """Return *path* with its ``~`` filled in, where it means somebody's home."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _source(path: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    if path is None and (named := environ.get("MODELOG_CONFIG")):
        path = Path(named)
    if path is not None:
        return cwd / _expanded(path)
    default = cwd / FILE
    return default if default.exists() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}; name another file with --config"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path.name}: no TOML: not UTF-8"]) from error
    except (ValueError, RecursionError) as error:
        why = str(error).partition(";")[0]  # a number of too many digits is a ValueError, too
        raise ConfigError([f"{path.name}: no TOML: {why}"]) from error


def provider_of(
    table: Mapping[str, Any], *, config: Config, environ: Mapping[str, str]
) -> Settings:
    """Return the settings of a provider that a command names, by the rules of the file.

    *table* is a `[[providers]]` table; what it leaves open is as *config* has it. Raises
    ConfigError with every mistake that there is.
    """
    reader = Reader("provider", environ)
    usual = msgspec.structs.asdict(Refresh())
    refresh = {
        name: value for name, value in written(config.refresh).items() if value != usual[name]
    }
    settings = reader.one(table, "", refresh, config.health)
    if settings is None:
        raise ConfigError(reader.errors)
    return msgspec.structs.replace(settings, origin="command")
