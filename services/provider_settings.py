"""One provider's settings: what its table says, else its built-in row, else the environment."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from events.decide.providers import Settings
from services import leaves
from services.leaves import BadValue, Read, nearest
from services.providers import DIALECTS
from services.providers.address import MissingOption, filled, ollama_host
from services.providers.table import BUILTIN, Builtin, Option
from services.settings import refreshing

PROVIDER: dict[str, Read] = {
    "name": leaves.provider_name,
    "dialect": leaves.text,
    "base_url": leaves.address("https", "http"),
    "api_key": leaves.reference,
    "credentials": leaves.references,
    "options": leaves.anything(dict, "table"),
    "enabled": leaves.truth,
    "priority": leaves.whole(-9, 9),
    "headers": leaves.headers,
    "refresh": leaves.anything(dict, "table"),
    "health": leaves.anything(dict, "table"),
}
"""The keys of a `[[providers]]` table."""

AT_ONCE = {"removal_hold": 0.0, "removal_scans": 1}
"""What a server whose owner changes its models by hand has where nothing else was written."""


def provider(
    own: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    refresh: Mapping[str, Any],
    health: Mapping[str, Any],
) -> Settings:
    """Return the settings of a provider; *own*, *refresh* and *health* are what was written.

    Raises BadValue, its message beginning with the key.
    """
    row = BUILTIN.get(own["name"])
    name = _dialect(own, row)
    dialect = DIALECTS[name]
    options = {**_options(row, environ), **own.get("options", {})}
    local = row.local if row else dialect.local
    settings = Settings(
        name=own["name"],
        dialect=name,
        base_url=_base_url(own, row, environ),
        enabled=own.get("enabled", True),
        priority=own.get("priority", 0),
        credential=own.get("api_key") or _key(row, environ),
        credentials=own.get("credentials") or _credentials(row, environ),
        headers=own.get("headers", {}),
        options=options,
        schedule=_plain(refreshing({**AT_ONCE, **refresh} if local else refresh)),
        health=_plain(dict(health)),
    )
    _complete(settings, row, given="base_url" in own)
    return msgspec.structs.replace(settings, base_url=_filled(settings))


def automatic(environ: Mapping[str, str]) -> list[str]:
    """Return the built-in providers that serve where there is no configuration file.

    Those whose key and needed options are in *environ*, and those that are open to everybody.
    """
    return [name for name, row in BUILTIN.items() if _automatic(row, environ)]


def _automatic(row: Builtin, environ: Mapping[str, str]) -> bool:
    if row.auto == "no" or row.dialect not in DIALECTS:
        return False
    if row.auto == "open":
        return True
    given = _options(row, environ)
    needed = all(one.name in given for one in row.options if one.needed)
    based = row.base_url_variable is not None and bool(environ.get(row.base_url_variable))
    return any(environ.get(key) for key in row.keys) and (needed or based)


def _dialect(own: Mapping[str, Any], row: Builtin | None) -> str:
    name = str(own.get("dialect") or (row.dialect if row else ""))
    if not name:
        close = get_close_matches(own["name"], BUILTIN, n=1)
        hint = f' (did you mean "{close[0]}"?)' if close else ""
        raise BadValue(
            f'dialect: missing; "{own["name"]}" is not built in{hint}; a server in the manner of '
            f'OpenAI has dialect = "openai" and a base_url'
        )
    if name not in DIALECTS:
        raise BadValue(f'dialect: "{name}" is unknown; {nearest(name, list(DIALECTS))}')
    return name


def _base_url(own: Mapping[str, Any], row: Builtin | None, environ: Mapping[str, str]) -> str:
    if "base_url" in own:
        return str(own["base_url"])
    if row is None:
        raise BadValue(f'base_url: missing; "{own["name"]}" is not built in')
    variable = row.base_url_variable
    value = environ.get(variable, "") if variable else ""
    if not value:
        return row.base_url
    url = ollama_host(value) if variable == "OLLAMA_HOST" else value
    try:
        return str(PROVIDER["base_url"](url))
    except BadValue as error:
        raise BadValue(f"base_url: ${variable}: {error}") from error


def _key(row: Builtin | None, environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the first variable that holds the key, or the first of all where none does."""
    if row is None or not row.keys:
        return None
    return {"env": next((key for key in row.keys if environ.get(key)), row.keys[0])}


def _credentials(row: Builtin | None, environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found = [one for one in row.credentials if environ.get(one.variable)] if row else []
    return {
        one.name: {"file": environ[one.variable]} if one.file else {"env": one.variable}
        for one in found
    }


def _options(row: Builtin | None, environ: Mapping[str, str]) -> dict[str, Any]:
    found = {one.name: _value(one, environ) for one in row.options} if row else {}
    return {name: value for name, value in found.items() if value is not None}


def _value(option: Option, environ: Mapping[str, str]) -> Any:  # noqa: ANN401 - options are JSON
    given = (environ[name] for name in option.variables if environ.get(name))
    return next(given, option.default)


def _plain(settings: object) -> dict[str, Any]:
    """Return *settings* as the log gives them back, so that the two compare."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(settings))
    return plain


def _complete(settings: Settings, row: Builtin | None, *, given: bool) -> None:
    """Raise BadValue for an option that is needed and was not given."""
    for option in row.options if row else ():
        only_there = row is not None and f"{{{option.name}}}" in row.base_url
        if option.needed and option.name not in settings.options and not (given and only_there):
            variables = " or ".join(f"${name}" for name in option.variables)
            hint = f", or set {variables}" if variables else ""
            raise BadValue(
                f'options.{option.name}: missing; write options = {{ {option.name} = "…" }}{hint}'
            )


def _filled(settings: Settings) -> str:
    try:
        return filled(settings.base_url, settings)
    except MissingOption as error:
        raise BadValue(f"base_url: {error}") from error
