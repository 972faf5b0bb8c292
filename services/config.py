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
from services.leaves import BadValue, Read, nearest
from services.provider_settings import PROVIDER, automatic, provider
from services.sections import ENRICHMENT, HEALTH, NATS, REFRESH, ROOT
from services.settings import Config, Enrichment, Nats, Refresh, Schedule, refreshing

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
DATA = ".modelog"


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
    found = _Reader(source.name if source else "environment", environ)
    config = found.config(raw, source)
    url = nats_url or environ.get("MODELOG_NATS_URL")
    if url:
        url = found.leaf("$MODELOG_NATS_URL", NATS["url"], url)
        config = msgspec.structs.replace(config, nats=msgspec.structs.replace(config.nats, url=url))
    where = data or Path(environ.get("MODELOG_DATA") or config.data)
    if found.errors:
        raise ConfigError(found.errors)
    return msgspec.structs.replace(config, data=cwd / where.expanduser())


def _source(path: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    if path is None and (named := environ.get("MODELOG_CONFIG")):
        path = Path(named)
    if path is not None:
        return cwd / path.expanduser()
    default = cwd / FILE
    return default if default.exists() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}; name another file with --config"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path.name}: no TOML: {error}"]) from error


class _Reader:
    """Reads one file, and collects what is wrong with it."""

    def __init__(self, file: str, environ: Mapping[str, str]) -> None:
        self.errors: list[str] = []
        self._file = file
        self._environ = environ

    def wrong(self, where: str, message: str) -> None:
        """Add a mistake at *where*."""
        self.errors.append(f"{self._file}: {where}: {message}")

    def leaf(self, where: str, read: Read, value: object) -> Any:  # noqa: ANN401 - of any kind
        """Return *value* as *read* has it, None where that is not allowed."""
        try:
            return read(value)
        except BadValue as error:
            self.wrong(where, str(error))
            return None

    def section(self, table: Any, reads: Mapping[str, Read], where: str) -> dict[str, Any]:  # noqa: ANN401 - TOML
        """Return the allowed values of *table*; what is not becomes a mistake each."""
        if not isinstance(table, dict):
            return {}
        values = {}
        for key, value in table.items():
            place = f"{where}{key}"
            if key not in reads:
                self.wrong(place, f"unknown key; {nearest(key, list(reads))}")
            elif (found := self.leaf(place, reads[key], value)) is not None:
                values[key] = found
        return values

    def config(self, raw: dict[str, Any], source: Path | None) -> Config:
        """Return the configuration of the file, as far as it is allowed."""
        root = self.section(raw, ROOT, "")
        nats = self.section(root.get("nats"), NATS, "nats.")
        if nats.get("audit_max_age") == 0:
            nats["audit_max_age"] = None
        written = self.refresh(root.get("refresh"), "refresh.", {})
        checks = self.health(root.get("health"), "health.", {})
        tables = root.get("providers")
        if tables is None and source is None:
            providers = tuple(
                self.one({"name": name}, f"{name}: ", written, checks)
                for name in automatic(self._environ)
            )
        else:
            providers = self._providers(tables or [], written, checks)
        return Config(
            data=Path(root.get("data", DATA)),
            nats=Nats(**nats),
            refresh=refreshing(written),
            health=checks,
            enrichment=Enrichment(
                **self.section(root.get("enrichment"), ENRICHMENT, "enrichment.")
            ),
            providers=tuple(one for one in providers if one is not None),
            source=source,
        )

    def _providers(
        self, tables: list[Any], written: dict[str, Any], checks: dict[str, Any]
    ) -> tuple[Settings | None, ...]:
        found: dict[str, int] = {}
        settings = []
        for place, table in enumerate(tables, 1):
            where = f"providers[{place}]"
            if not isinstance(table, dict):
                self.wrong(where, "no table; write [[providers]]")
                continue
            name = table.get("name")
            where += f' "{name}": ' if isinstance(name, str) else ": "
            if isinstance(name, str) and name in found:
                self.wrong(f"{where}name", f"used by providers[{found[name]}] already")
                continue
            if isinstance(name, str):
                found[name] = place
            settings.append(self.one(table, where, written, checks))
        return tuple(settings)

    def one(
        self, table: dict[str, Any], where: str, written: dict[str, Any], checks: dict[str, Any]
    ) -> Settings | None:
        """Return the settings of one provider, None where they cannot be used."""
        before = len(self.errors)
        own = self.section(table, PROVIDER, where)
        refresh = self.refresh(own.get("refresh"), f"{where}refresh.", written)
        health = self.health(own.get("health"), f"{where}health.", checks)
        if "name" not in table:
            self.wrong(f"{where}name", "missing; every provider needs one")
        if len(self.errors) > before:
            return None
        try:
            return provider(own, self._environ, refresh=refresh, health=health)
        except BadValue as error:
            self.errors.append(f"{self._file}: {where}{error}")
            return None

    def refresh(self, table: Any, where: str, base: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - TOML
        """Return what was written of the refresh settings, *table* over *base*."""
        own = self.section(table, REFRESH, where)
        merged = {**base, **own}
        effective = refreshing(merged)
        if "timeout" in merged and effective.timeout > effective.interval and own:
            key = "timeout" if "timeout" in own else "interval"
            self.wrong(
                f"{where}{key}",
                f'"{format_duration(merged[key])}" does not fit: a fetch must end within its '
                f"interval (timeout {format_duration(effective.timeout)}, "
                f"interval {format_duration(effective.interval)})",
            )
        if effective.max_delay < effective.base_delay and own:
            key = "max_delay" if "max_delay" in own else "base_delay"
            self.wrong(
                f"{where}{key}",
                f'"{format_duration(merged[key])}" does not fit: max_delay must not be below '
                f"base_delay",
            )
        return merged

    def health(self, table: Any, where: str, base: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - TOML
        """Return what was written of the health settings, *table* over *base*."""
        own = self.section(table, HEALTH, where)
        merged = {**base, **own}
        interval = merged.get("interval", 60.0)
        for key in ("timeout", "cycle_deadline"):
            if key in own and own[key] >= interval:
                self.wrong(
                    f"{where}{key}",
                    f'"{format_duration(own[key])}" is not below the interval of '
                    f"{format_duration(interval)}",
                )
        return merged


def provider_of(
    table: Mapping[str, Any], *, config: Config, environ: Mapping[str, str]
) -> Settings:
    """Return the settings of a provider that a command names, by the rules of the file.

    *table* is a `[[providers]]` table; what it leaves open is as *config* has it. Raises
    ConfigError with every mistake that there is.
    """
    reader = _Reader("provider", environ)
    usual = Refresh()
    written = {
        name: value
        for name in usual.__struct_fields__
        if (value := getattr(config.refresh, name)) != getattr(usual, name)
    }
    found = reader.one(dict(table), "", written, config.health)
    if found is None or reader.errors:
        raise ConfigError(reader.errors)
    return msgspec.structs.replace(found, origin="command")
