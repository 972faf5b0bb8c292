"""One provider's settings: what its table says, else its built-in row, else the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from events.decide.providers import Settings
from services import leaves
from services.leaves import LARGEST, BadValue, Read, key, nearest, shown
from services.providers import DIALECTS
from services.providers.address import MissingOption, filled, ollama_host, option
from services.providers.table import BUILTIN, Builtin, Option
from services.references import headers, reference, references
from services.settings import refreshing

PLACE = re.compile(r"\{([a-z_]+)\}")

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

    Raises BadValue, which tells every key that is missing or does not fit.
    """
    row = BUILTIN.get(own["name"])
    wrong: list[tuple[str, str]] = []
    name = _dialect(own, row, wrong)
    base_url = _base_url(own, row, environ, wrong)
    dialect = DIALECTS.get(name)
    local = row.local if row else dialect is not None and dialect.local
    settings = Settings(
        name=own["name"],
        dialect=name,
        base_url=base_url,
        enabled=own.get("enabled", True),
        priority=own.get("priority", 0),
        credential=own.get("api_key") or _key(row, environ),
        credentials=own.get("credentials") or _credentials(row, environ),
        headers=own.get("headers", {}),
        options={**_options(row, environ), **own.get("options", {})},
        schedule=_plain(refreshing({**AT_ONCE, **refresh} if local else refresh)),
        health=_plain(dict(health)),
    )
    wrong += [(f"options.{option}", why) for option, why in _missing(settings)]
    wrong += _unknown(own)
    if wrong:
        raise BadValue(told=wrong)
    settings = msgspec.structs.replace(settings, base_url=filled(base_url, settings))
    if "{" in settings.base_url:
        raise BadValue(told=[("base_url", f"{shown(base_url)} has a brace that names no option")])
    try:
        DIALECTS[name].first(settings)
    except MissingOption as error:
        raise BadValue(told=[("options", str(error))]) from error
    return settings


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


def _dialect(own: Mapping[str, Any], row: Builtin | None, wrong: list[tuple[str, str]]) -> str:
    name = str(own.get("dialect") or (row.dialect if row else ""))
    if not name:
        close = get_close_matches(own["name"], BUILTIN, n=1)
        hint = f' (did you mean "{close[0]}"?)' if close else ""
        message = (
            f'missing; "{own["name"]}" is not built in{hint}; a server in the manner of OpenAI has '
            f'dialect = "openai" and a base_url'
        )
        wrong.append(("dialect", message))
    elif name not in DIALECTS:
        wrong.append(("dialect", f"{shown(name)} is unknown; {nearest(name, list(DIALECTS))}"))
    return name


def _base_url(
    own: Mapping[str, Any],
    row: Builtin | None,
    environ: Mapping[str, str],
    wrong: list[tuple[str, str]],
) -> str:
    if "base_url" in own:
        return str(own["base_url"])
    if row is None:
        if own.get("dialect"):  # else it is said with the dialect
            wrong.append(("base_url", f'missing; "{own["name"]}" is not built in'))
        return ""
    variable = row.base_url_variable
    value = environ.get(variable, "") if variable else ""
    if not value:
        return row.base_url
    url = (ollama_host(value) or value) if variable == "OLLAMA_HOST" else value
    try:
        return str(PROVIDER["base_url"](url))
    except BadValue as error:
        wrong.append(("base_url", f"${variable}: {error}"))
        return row.base_url


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


def _missing(settings: Settings) -> list[tuple[str, str]]:
    """Return each option that is needed and was not given, and how to give it.

    Needed is what the address names, and what the built-in provider of this dialect cannot do
    without. Where an address of one's own may take an option's place, the row has a variable for
    the address.
    """
    row = BUILTIN.get(settings.name)
    if row is None or row.dialect != settings.dialect:
        row = next((one for one in BUILTIN.values() if one.dialect == settings.dialect), None)
    known = {one.name: one for one in row.options} if row else {}
    places = PLACE.findall(settings.base_url)
    needed = [
        one.name
        for one in known.values()
        if one.needed
        and not (row and row.base_url_variable and f"{{{one.name}}}" not in settings.base_url)
    ]
    return [
        (name, _how(name, known.get(name)))
        for name in dict.fromkeys([*needed, *places])
        if option(settings, name) is None
    ]


def _unknown(own: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each option and credential of *own* that no dialect and no address reads."""
    rows = BUILTIN.values()
    options = {one.name for row in rows for one in row.options}
    options |= set(PLACE.findall(str(own.get("base_url", ""))))
    secrets = {one.name for row in rows for one in row.credentials} | {"access_token"}
    return [
        (f"{what}.{key(name)}", f"unknown; {nearest(name, sorted(known))}")
        for what, known in (("options", options), ("credentials", secrets))
        for name in own.get(what, {})
        if name not in known
    ]


def _how(name: str, option_: Option | None) -> str:
    variables = " or ".join(f"${one}" for one in option_.variables) if option_ else ""
    hint = f", or set {variables}" if variables else ""
    return f'missing; write options = {{ {name} = "…" }}{hint}'


def _choices(value: Any) -> dict[str, Any]:  # noqa: ANN401 - TOML
    """Allow a table of texts, numbers, truths and lists of texts."""
    if not isinstance(value, dict):
        raise BadValue("*** is no table; write { NAME = VALUE }")
    wrong = [
        (f".{key(name)}", f"{shown(one)} is no option; a text, a number or a list of texts is")
        for name, one in value.items()
        if not (
            isinstance(one, str | bool)
            or (isinstance(one, int | float) and abs(one) <= LARGEST)
            or (isinstance(one, list) and all(isinstance(word, str) for word in one))
        )
    ]
    if wrong:
        raise BadValue(told=wrong)
    return value


PROVIDER: dict[str, Read] = {
    "name": leaves.provider_name,
    "dialect": leaves.text,
    "base_url": leaves.address("https", "http"),
    "api_key": reference,
    "credentials": references,
    "options": _choices,
    "enabled": leaves.truth,
    "priority": leaves.whole(-9, 9),
    "headers": headers,
    "refresh": leaves.anything(dict, "table"),
    "health": leaves.anything(dict, "table"),
}
"""The keys of a `[[providers]]` table."""
