"""One value of the configuration at a time: what it may be, and the words when it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from services.durations import EXAMPLES, NoDuration, format_duration, parse_duration

Read = Callable[[Any], Any]
"""Turns a value as TOML has it into ours; raises BadValue."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z", re.ASCII)
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)


class BadValue(ValueError):
    """A value that is not allowed; the message says what it is and what is."""


def shown(value: object) -> str:
    """Write *value* as TOML would, cut where it is long."""
    text = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 - one line of a terminal


def duration(*, least: float = 0.001, zero: bool = False) -> Read:
    """Allow durations of at least *least* seconds; ``"0"`` where *zero* means off."""

    def read(value: Any) -> float:  # noqa: ANN401 - TOML
        if not isinstance(value, str):
            raise BadValue(f"{shown(value)} is no duration; write {EXAMPLES}")
        try:
            seconds = parse_duration(value)
        except NoDuration as error:
            raise BadValue(str(error)) from error
        if seconds < least and not (zero and not seconds):
            off = ', or "0" for none' if zero else ""
            raise BadValue(f'"{value}" is too short; at least "{format_duration(least)}"{off}')
        return seconds

    return read


def whole(least: int, most: int | None = None) -> Read:
    """Allow whole numbers from *least* to *most*."""

    def read(value: Any) -> int:  # noqa: ANN401 - TOML
        allowed = f"a whole number of at least {least}"
        if most is not None:
            allowed = f"a whole number from {least} to {most}"
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadValue(f"{shown(value)} is not {allowed}")
        if value < least or (most is not None and value > most):
            raise BadValue(f"{value} is not {allowed}")
        return value

    return read


def number(least: float, most: float | None = None, *, above: bool = False) -> Read:
    """Allow numbers from *least* (or *above* it) to *most*."""

    def read(value: Any) -> float:  # noqa: ANN401 - TOML
        bound = f"above {least:g}" if above else f"at least {least:g}"
        allowed = f"a number {bound}" + (f" and at most {most:g}" if most is not None else "")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadValue(f"{shown(value)} is not {allowed}")
        low = value <= least if above else value < least
        if low or value != value or (most is not None and value > most):  # noqa: PLR0124 - NaN
            raise BadValue(f"{shown(value)} is not {allowed}")
        return float(value)

    return read


def truth(value: Any) -> bool:  # noqa: ANN401 - TOML
    """Allow true and false."""
    if not isinstance(value, bool):
        raise BadValue(f"{shown(value)} is neither true nor false")
    return value


def text(value: Any) -> str:  # noqa: ANN401 - TOML
    """Allow texts that are not empty."""
    if not isinstance(value, str) or not value.strip():
        raise BadValue(f"{shown(value)} is no text")
    return value


def words(allowed: Sequence[str]) -> Read:
    """Allow lists of *allowed* words, each once."""

    def read(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - TOML
        if not isinstance(value, list):
            raise BadValue(f"{shown(value)} is no list; allowed in it: {', '.join(allowed)}")
        for word in value:
            if word not in allowed:
                raise BadValue(f"{shown(word)} is unknown; {nearest(str(word), allowed)}")
        return tuple(dict.fromkeys(value))

    return read


def anything(kind: type, called: str) -> Read:
    """Allow any value of *kind*."""

    def read(value: Any) -> Any:  # noqa: ANN401 - TOML
        if not isinstance(value, kind):
            raise BadValue(f"{shown(value)} is no {called}")
        return value

    return read


def address(*schemes: str) -> Read:
    """Allow URLs of *schemes* with a host, and without password, query or fragment."""

    def read(value: Any) -> str:  # noqa: ANN401 - TOML
        example = f"{schemes[0]}://host"
        if not isinstance(value, str):
            raise BadValue(f"{shown(value)} is no address; write {example}")
        for one in value.split(","):
            try:
                parts = urlsplit(one.strip())
                host = parts.hostname and (parts.port or True)
            except ValueError:
                host, parts = None, urlsplit("")
            if parts.username or parts.password:
                raise BadValue("an address must not hold a password; use a reference to a secret")
            if parts.scheme not in schemes or not host or parts.query or parts.fragment:
                wanted = " or ".join(f"{scheme}://" for scheme in schemes)
                raise BadValue(f"{shown(value)} is no address; {wanted} and a host are needed")
        return value.rstrip("/")

    return read


def reference(value: Any) -> dict[str, Any]:  # noqa: ANN401 - TOML
    """Allow references to a secret; a literal one is refused and never shown."""
    allowed = "{ env = NAME }, { file = PATH } or { command = [PROGRAM, …] }"
    if not isinstance(value, Mapping):
        raise BadValue(f"*** is a literal; a secret is a reference: {allowed}")
    match dict(value):
        case {"env": str(name), **rest} if not rest and VARIABLE.match(name):
            return {"env": name}
        case {"file": str(path), **rest} if not rest and path:
            return {"file": path}
        case {"command": [str(), *_] as command, **rest} if not rest and all(
            isinstance(word, str) for word in command
        ):
            return {"command": list(command)}
    raise BadValue(f"no reference to a secret; write {allowed}")


def references(value: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - TOML
    """Allow a table of references to secrets."""
    if not isinstance(value, Mapping):
        raise BadValue(f"{shown(value)} is no table of references to secrets")
    found = {}
    for name, one in value.items():
        try:
            found[name] = reference(one)
        except BadValue as error:
            raise BadValue(f"{name}: {error}") from error
    return found


def headers(value: Any) -> dict[str, Any]:  # noqa: ANN401 - TOML
    """Allow a table of header values, each a text or a reference."""
    if not isinstance(value, Mapping):
        raise BadValue(f"{shown(value)} is no table of headers")
    found: dict[str, Any] = {}
    for name, one in value.items():
        try:
            found[name] = text(one) if isinstance(one, str) else reference(one)
        except BadValue as error:
            raise BadValue(f"{name}: {error}") from error
        if name.lower() in {"authorization", "x-api-key", "api-key"} and isinstance(one, str):
            raise BadValue(f"{name}: *** is a literal; give a reference to a secret")
    return found


def provider_name(value: Any) -> str:  # noqa: ANN401 - TOML
    """Allow names of providers."""
    if not isinstance(value, str) or not NAME.match(value):
        raise BadValue(
            f"{shown(value)} is no name; a to z, 0 to 9, - and _, at most 64, not - or _ first"
        )
    if value == "all":
        raise BadValue('"all" is reserved; choose another name')
    return value


def nearest(word: str, known: Sequence[str]) -> str:
    """Say which of *known* was probably meant, or name them."""
    close = get_close_matches(word, known, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"allowed: {', '.join(sorted(known))}"
