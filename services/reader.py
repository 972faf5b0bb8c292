"""Reads a configuration table by table, and collects everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from events.decide.providers import Settings
from services.health_lists import elsewhere
from services.health_settings import HEALTH, RELATIONS, checking
from services.leaves import BadValue, Read, key, nearest, shown
from services.notice_settings import NOTIFY, Notify
from services.provider_settings import PROVIDER, automatic, provider
from services.relations import unfit
from services.sections import ENRICHMENT, NATS, REFRESH, REFRESH_RELATIONS, ROOT
from services.settings import Config, Enrichment, Nats, refreshing

DATA = ".modelog"


class Reader:
    """Reads one file; `errors` is a line for each mistake in it."""

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
            for place, message in error.told:
                self.wrong(f"{where}{place}", message)
            return None

    def section(self, table: Any, reads: Mapping[str, Read], where: str) -> dict[str, Any]:  # noqa: ANN401 - TOML
        """Return the allowed values of *table*; what is not becomes a mistake each."""
        if not isinstance(table, dict):
            return {}
        values = {}
        for name, value in table.items():
            place = f"{where}{key(name)}"
            if name not in reads:
                self.wrong(place, f"unknown key; {nearest(name, list(reads))}")
            elif (found := self.leaf(place, reads[name], value)) is not None:
                values[name] = found
        return values

    def config(self, raw: Mapping[str, Any], source: Path | None) -> Config:
        """Return the configuration of the file, as far as it is allowed.

        Without a *source* it is that of the environment alone.
        """
        root = self.section(raw, ROOT, "")
        nats = self.section(root.get("nats"), NATS, "nats.")
        if nats.get("audit_max_age") == 0:
            nats["audit_max_age"] = None
        refresh = self.refresh(root.get("refresh"), "refresh.", {})
        health = self.health(root.get("health"), "health.", {})
        enrichment = self.section(root.get("enrichment"), ENRICHMENT, "enrichment.")
        notify = self.section(root.get("notify"), NOTIFY, "notify.")
        tables = root.get("providers", [])
        if source is None:
            tables = [{"name": name} for name in automatic(self._environ)]
        providers = self._providers(tables, refresh, health)
        self._dependencies(health, tables, providers)
        return Config(
            data=Path(root.get("data", DATA)),
            nats=Nats(**nats),
            refresh=refreshing(refresh),
            health=health,
            enrichment=Enrichment(**enrichment),
            notify=Notify(**notify),
            providers=tuple(providers.values()),
            source=source,
        )

    def _providers(
        self, tables: Iterable[Any], refresh: dict[str, Any], health: dict[str, Any]
    ) -> dict[str, Settings]:
        places: dict[str, int] = {}
        found = {}
        for place, table in enumerate(tables, 1):
            where = f"providers[{place}]"
            if not isinstance(table, dict):
                self.wrong(where, "no table; write [[providers]]")
                continue
            name = table.get("name")
            where += f" {shown(name)}: " if isinstance(name, str) else ": "
            settings = self.one(table, where, refresh, health)
            first = places.setdefault(name, place) if isinstance(name, str) else place
            if first != place:
                self.wrong(f"{where}name", f"used by providers[{first}] already")
            elif settings is not None:
                found[settings.name] = settings
        return found

    def one(
        self,
        table: Mapping[str, Any],
        where: str,
        refresh: dict[str, Any],
        health: dict[str, Any],
    ) -> Settings | None:
        """Return the settings of one provider, None where they cannot be used.

        *refresh* and *health* are what was written for every provider.
        """
        before = len(self.errors)
        own = self.section(table, PROVIDER, where)
        refresh = self.refresh(own.get("refresh"), f"{where}refresh.", refresh)
        health = self.health(own.get("health"), f"{where}health.", health)
        if "name" not in table:
            self.wrong(f"{where}name", "missing; every provider needs one")
        if "name" not in own:
            return None
        try:
            settings = provider(own, self._environ, refresh=refresh, health=health)
        except BadValue as error:
            refused = set(table) - set(own)  # said already: it is not missing
            for place, message in error.told:
                if place.partition(".")[0] not in refused:
                    self.wrong(f"{where}{place}", message)
            return None
        for place, message in elsewhere(health, settings.base_url):
            self.wrong(f"{where}health.{place}", message)
        return settings if len(self.errors) == before else None

    def refresh(self, table: Any, where: str, base: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - TOML
        """Return what was written of the refresh settings, *table* over *base*."""
        own = self.section(table, REFRESH, where)
        merged = {**base, **own}
        effective = refreshing(merged)
        for name, message in unfit(REFRESH_RELATIONS, REFRESH, effective, own=own, merged=merged):
            self.wrong(f"{where}{name}", message)
        return merged

    def health(self, table: Any, where: str, base: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - TOML
        """Return what was written of the health settings, *table* over *base*."""
        own = self.section(table, HEALTH, where)
        merged = {**base, **own}
        effective = checking(merged)
        for name, message in unfit(RELATIONS, HEALTH, effective, own=own, merged=merged):
            self.wrong(f"{where}{name}", message)
        return merged

    def _dependencies(
        self, health: Mapping[str, Any], tables: Iterable[Any], found: Mapping[str, Settings]
    ) -> None:
        """Find providers that depend on one that there is not, or on themselves."""
        places = {
            table["name"]: f'providers[{place}] "{table["name"]}"'
            for place, table in enumerate(tables, 1)
            if isinstance(table, dict) and isinstance(table.get("name"), str)
        }
        everybody = health.get("depends_on", [])
        needs = {
            name: [
                one
                for one in settings.health.get("depends_on", ())
                if one not in everybody or one != name
            ]
            for name, settings in found.items()
        }
        wanted = [("", everybody)]
        wanted += [
            (f"{places[name]}: ", needed)
            for name, needed in needs.items()
            if found[name].health.get("depends_on") != everybody
        ]
        for where, needed in wanted:
            for place, one in enumerate(needed, 1):
                if one not in places:
                    self.wrong(f"{where}health.depends_on[{place}]", f"{shown(one)} is no provider")
        for name in needs:
            if name in _beyond(name, needs):
                self.wrong(f"{places[name]}: health.depends_on", "a circle; it leads back here")


def _beyond(name: str, needs: Mapping[str, Iterable[str]]) -> set[str]:
    """Return all that *name* needs, and what these need."""
    found: set[str] = set()
    left = list(needs.get(name, ()))
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += needs.get(one, ())
    return found
