"""One value of the configuration at a time: what it may be, and the words when it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

import msgspec

from services.durations import EXAMPLES, NoDuration, format_duration, parse_duration

Read = Callable[[Any], Any]
"""Turns a value as TOML has it into ours; raises BadValue."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z", re.ASCII)
BARE = re.compile(r"[A-Za-z0-9_-]{1,40}\Z", re.ASCII)
HOST = re.compile(r"[\w.{}%:-]+\Z")
"""A name, an address, or one with options to be filled in."""
LONGEST = 60
"""Characters of a value that are shown."""
FOUR_DIGITS = 0xFFFF
CENTURY = 36_500 * 86_400.0
LARGEST = 2**53
"""The largest number that every reader of JSON keeps."""


class BadValue(ValueError):
    """A value that is not allowed; the message says what it is and what is.

    *told* are the places within it, such as ``.name`` or ``[2]``, each with a message of its own,
    where there is more to say than one.
    """

    def __init__(self, message: str = "", *, told: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message or "; ".join(": ".join(one) for one in told))
        self.told = tuple(told) or (("", message),)


def shown(value: object) -> str:
    """Write *value* as TOML would: in one line, cut where it is long.

    Of a table, and of a list of them, nothing is shown: there may be a secret in it.
    """
    if isinstance(value, dict):
        return "{ … }"
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        return "[ … ]"
    try:
        text = quoted(value) if isinstance(value, str) else str(value).lower()
    except ValueError:  # a number of more digits than Python writes
        return "a number of that size"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def quoted(text: str) -> str:
    """Write *text* in quotes, as TOML would."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(_plain(one) for one in escaped)}"'


def _plain(one: str) -> str:
    if one.isprintable():
        return one
    return f"\\u{ord(one):04x}" if ord(one) <= FOUR_DIGITS else f"\\U{ord(one):08x}"


def key(name: str) -> str:
    """Write the key *name* as TOML would: in quotes where it needs them."""
    return name if BARE.match(name) else shown(name)


class Duration(msgspec.Struct, frozen=True):
    """Allows durations from *least* seconds to a century; ``"0"`` where *zero* means off."""

    least: float = 0.001
    zero: bool = False

    def __call__(self, value: Any) -> float:  # noqa: ANN401 - TOML
        """Return the seconds of *value*."""
        try:
            seconds = parse_duration(value) if isinstance(value, str) else None
        except NoDuration:
            seconds = None
        if seconds is None:
            raise BadValue(f"{shown(value)} is no duration; write {EXAMPLES}")
        if seconds < self.least and not (self.zero and not seconds):
            off = ', or "0" for none' if self.zero else ""
            least = format_duration(self.least)
            raise BadValue(f'"{value}" is too short; at least "{least}"{off}')
        if seconds > CENTURY:
            raise BadValue(f'{shown(value)} is too long; at most "{format_duration(CENTURY)}"')
        return seconds


def whole(least: int, most: int = LARGEST) -> Read:
    """Allow whole numbers from *least* to *most*."""

    def read(value: Any) -> int:  # noqa: ANN401 - TOML
        numeric = isinstance(value, int) and not isinstance(value, bool)
        if not numeric or not least <= value <= most:
            allowed = f"of at least {least}" if most == LARGEST else f"from {least} to {most}"
            raise BadValue(f"{shown(value)} is not a whole number {allowed}")
        return int(value)

    return read


def number(least: float, most: float, *, above: bool = False) -> Read:
    """Allow numbers from *least* (or *above* it) to *most*."""

    def read(value: Any) -> float:  # noqa: ANN401 - TOML
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not numeric or not least <= value <= most or (above and value == least):
            bound = f"above {least:g}" if above else f"at least {least:g}"
            raise BadValue(f"{shown(value)} is not a number {bound} and at most {most:g}")
        return float(value)

    return read


def truth(value: Any) -> bool:  # noqa: ANN401 - TOML
    """Allow true and false."""
    if not isinstance(value, bool):
        raise BadValue(f"{shown(value)} is neither true nor false")
    return value


def text(value: Any) -> str:  # noqa: ANN401 - TOML
    """Allow texts that are not empty."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise BadValue(f"{shown(value)} is no text")
    return value


def one_of(allowed: Sequence[str]) -> Read:
    """Allow one of some words."""

    def read(value: Any) -> str:  # noqa: ANN401 - TOML
        if not isinstance(value, str) or value not in allowed:
            raise BadValue(f"{shown(value)} is unknown; {nearest(str(value), allowed)}")
        return value

    return read


def words(allowed: Sequence[str]) -> Read:
    """Allow lists of *allowed* words, each once."""

    def read(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - TOML
        if not isinstance(value, list):
            raise BadValue(f"{shown(value)} is no list; allowed in it: {', '.join(allowed)}")
        wrong = [
            (f"[{place}]", f"{shown(word)} is unknown; {nearest(str(word), allowed)}")
            for place, word in enumerate(value, 1)
            if word not in allowed
        ]
        if wrong:
            raise BadValue(told=wrong)
        return tuple(dict.fromkeys(value))

    return read


def anything(kind: type, called: str) -> Read:
    """Allow any value of *kind*."""

    def read(value: Any) -> Any:  # noqa: ANN401 - TOML
        if not isinstance(value, kind):
            raise BadValue(f"{shown(value)} is no {called}")
        return value

    return read


def address(*schemes: str, several: bool = False) -> Read:
    """Allow a URL of *schemes* with a host, and without password, query or fragment.

    *several* of them may stand there, with commas between. What may hold a password is not shown.
    """

    def read(value: Any) -> str:  # noqa: ANN401 - TOML
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        if not isinstance(value, str):
            raise BadValue(f"{shown(value)} is no address; {wanted} and a host are needed")
        found = [one.strip() for one in (value.split(",") if several else [value])]
        for one in found:
            if "@" in one.partition("://")[2].partition("/")[0]:
                raise BadValue("an address must not hold a password; use a reference to a secret")
            if "?" in one or "#" in one:
                bare = shown(re.split("[?#]", one)[0] + "…")
                raise BadValue(f"{bare} is no address here: it must not have a query or fragment")
            if not _reachable(one, schemes):
                raise BadValue(f"{shown(one)} is no address; {wanted} and a host are needed")
        return ",".join(one.rstrip("/") for one in found)

    return read


def _reachable(url: str, schemes: Sequence[str]) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    plain = url.isprintable() and not re.search(r"[\s\\]", url)
    return plain and parts.scheme in schemes and bool(HOST.match(host or "")) and port != 0


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
