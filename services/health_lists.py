"""The lists and tables of the health settings: what each may hold.

They are kept as they were written, so that a registered provider can be written down again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from events.base import instant_of
from services import leaves
from services.durations import NoDuration, format_duration, parse_duration
from services.leaves import BadValue, Read, key, nearest, shown

RATE = re.compile(r"([1-9][0-9]{0,8})/(.+)\Z", re.ASCII)
CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z", re.ASCII)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GROUP = "modelog.checks"
"""The entry points under which packages offer checks of their own."""
BILLED = 900.0
"""Seconds between two checks that cost money, at least."""

Told = list[tuple[str, str]]


def rate(value: Any) -> str:  # noqa: ANN401 - TOML
    """Allow ``COUNT/SPAN``, such as ``30/60s``."""
    if isinstance(value, str) and rate_of(value) is not None:
        return value
    raise BadValue(f'{shown(value)} is no rate; write COUNT/SPAN, such as "30/60s"')


def rate_of(text: str) -> tuple[int, float] | None:
    """Return how many calls in how many seconds *text* allows, None where it is no rate."""
    found = RATE.match(text)
    try:
        span = parse_duration(found[2]) if found else 0.0
    except NoDuration:
        return None
    return (int(found[1]), span) if found and span else None


def endpoints(value: Any) -> list[str]:  # noqa: ANN401 - TOML
    """Allow paths, or whole URLs: that these are on the provider's host is asked later."""

    def read(one: Any) -> str:  # noqa: ANN401 - TOML
        plain = isinstance(one, str) and one.isprintable() and " " not in one and "#" not in one
        if plain and one.startswith("/") and not one.startswith("//"):
            return str(one)
        if plain and one.startswith(("http://", "https://")) and urlsplit(one).hostname:
            return str(one)
        raise BadValue(f'{shown(one)} is no path; write one such as "/health"')

    return _distinct(_listed(value, read), "endpoint")


def elsewhere(settings: Mapping[str, Any], base_url: str) -> Told:
    """Return the endpoints and paths that are not on the host of *base_url*."""
    ours = urlsplit(base_url)
    addresses = [
        (f"endpoints[{at}]", one) for at, one in enumerate(settings.get("endpoints", ()), 1)
    ]
    addresses += [
        (f"checks[{at}].path", one["path"])
        for at, one in enumerate(settings.get("checks", ()), 1)
        if "path" in one
    ]
    return [
        (where, f"{shown(url)} is not on the provider's own {ours.scheme}://{ours.netloc}")
        for where, url in addresses
        if "://" in url and urlsplit(url)[:2] != ours[:2]
    ]


def names(value: Any) -> list[str]:  # noqa: ANN401 - TOML
    """Allow names of providers; that there are such providers is asked later."""
    return _distinct(_listed(value, leaves.provider_name), "provider")


def witnesses(value: Any) -> list[str]:  # noqa: ANN401 - TOML
    """Allow no witness, or two and more on different hosts."""
    found = _listed(value, leaves.address("https", "http"))
    hosts = [urlsplit(one).hostname for one in found]
    twice = [
        (f"[{at}]", f"{shown(found[at - 1])} is on the same host as another witness")
        for at, host in enumerate(hosts, 1)
        if host in hosts[: at - 1]
    ]
    if twice:
        raise BadValue(told=twice)
    if len(found) == 1:
        raise BadValue("one witness cannot be doubted; name two on different hosts, or none")
    return found


def _pattern(value: Any) -> str:  # noqa: ANN401 - TOML
    try:
        return re.compile(leaves.text(value)).pattern
    except re.error as error:
        raise BadValue(f"{shown(value)} is no regular expression: {error}") from error


def _path(value: Any) -> str:  # noqa: ANN401 - TOML
    return endpoints([value])[0] if isinstance(value, str) else leaves.text(value)


def _span(value: Any) -> str:  # noqa: ANN401 - TOML
    return format_duration(leaves.Duration()(value))


def _offered(value: Any) -> str:  # noqa: ANN401 - TOML
    name = leaves.text(value)
    offered = sorted({point.name for point in entry_points(group=GROUP)})
    if name in offered:
        return name
    raise BadValue(
        f"{shown(value)} is offered by no installed package as an entry point of {GROUP}; there "
        f"are: {', '.join(offered) or 'none'}"
    )


CHECK: dict[str, Read] = {
    "name": leaves.text,
    "type": leaves.one_of(("http", "python")),
    "path": _path,
    "statuses": lambda value: _listed(value, leaves.whole(100, 599)),
    "body": _pattern,
    "entry_point": _offered,
    "timeout": _span,
    "interval": _span,
    "weight": leaves.number(0, 1000, above=True),
    "critical": leaves.truth,
    "billed": leaves.truth,
    "cost_note": leaves.text,
}


def checks(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - TOML
    """Allow tables of checks, each with a name of its own."""
    found = _listed(value, _check)
    _distinct([one["name"] for one in found], "check", at=".name")
    return found


def _check(value: Any) -> dict[str, Any]:  # noqa: ANN401 - TOML
    found, wrong = _table(value, CHECK)
    kind = found.get("type")
    for name in ("name", "type", {"http": "path", "python": "entry_point"}.get(str(kind))):
        if name and name not in value:
            wrong.append((f".{name}", "missing; every check of this kind needs it"))
    if found.get("billed") and "cost_note" not in value:
        wrong.append((".cost_note", "missing; a billed check says what it costs"))
    interval = found.get("interval")
    if found.get("billed") and interval and parse_duration(interval) < BILLED:
        wrong.append((".interval", f'"{interval}" is too short for a billed check; at least "15m"'))
    if wrong:
        raise BadValue(told=wrong)
    return found


def moment(value: Any) -> str:  # noqa: ANN401 - TOML
    """Return an instant; one without a zone is in UTC."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if type(moment) is date:
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if not isinstance(moment, datetime):
        raise BadValue(f"{shown(value)} is no time; write one such as 2026-01-31T08:00:00Z")
    return instant_of(moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC))


def _zone(value: Any) -> str:  # noqa: ANN401 - TOML
    name = leaves.text(value)
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, LookupError) as error:
        raise BadValue(
            f'{shown(value)} is no time zone; write one such as "Europe/Berlin"'
        ) from error


def _of_day(value: Any) -> str:  # noqa: ANN401 - TOML
    if not isinstance(value, str) or not CLOCK.match(value):
        raise BadValue(f'{shown(value)} is no time of day; write one such as "03:30"')
    return value


WINDOW: dict[str, Read] = {
    "start": moment,
    "end": moment,
    "days": leaves.words(DAYS),
    "at": _of_day,
    "duration": _span,
    "zone": _zone,
}
WEEKLY = ("days", "at", "duration")


def maintenance(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - TOML
    """Allow windows: from `start` to `end`, or weekly on `days`, `at` a time, for a `duration`."""
    return _listed(value, _window)


def _window(value: Any) -> dict[str, Any]:  # noqa: ANN401 - TOML
    found, wrong = _table(value, WINDOW)
    once = "start" in value or "end" in value
    for name in ("start", "end") if once else WEEKLY:
        if name not in value:
            wrong.append((f".{name}", "missing; a window is start and end, or days, at, duration"))
    for name in (*WEEKLY, "zone") if once else ():
        if name in value:
            wrong.append((f".{name}", "does not go with start and end"))
    if "start" in found and "end" in found and found["end"] <= found["start"]:
        wrong.append((".end", f"{found['end']} is not after the start, {found['start']}"))
    if wrong:
        raise BadValue(told=wrong)
    return {**found, "days": list(found["days"])} if "days" in found else found


def _table(value: Any, reads: Mapping[str, Read]) -> tuple[dict[str, Any], Told]:  # noqa: ANN401 - TOML
    """Return what is allowed of a table, and what is not."""
    if not isinstance(value, dict):
        raise BadValue(f"{shown(value)} is no table")
    found: dict[str, Any] = {}
    wrong: Told = []
    for name, one in value.items():
        try:
            if name not in reads:
                raise BadValue(f"unknown key; {nearest(name, list(reads))}")  # noqa: TRY301 - as the others
            found[name] = reads[name](one)
        except BadValue as error:
            wrong += [(f".{key(name)}{place}", message) for place, message in error.told]
    return found, wrong


def _listed(value: Any, read: Callable[[Any], Any]) -> list[Any]:  # noqa: ANN401 - TOML
    if not isinstance(value, list):
        raise BadValue(f"{shown(value)} is no list")
    found, wrong = [], []
    for at, one in enumerate(value, 1):
        try:
            found.append(read(one))
        except BadValue as error:
            wrong += [(f"[{at}]{place}", message) for place, message in error.told]
    if wrong:
        raise BadValue(told=wrong)
    return found


def _distinct(found: Sequence[str], what: str, *, at: str = "") -> list[str]:
    twice = [
        (f"[{place}]{at}", f"{shown(one)} is the name of another {what} already")
        for place, one in enumerate(found, 1)
        if one in found[: place - 1]
    ]
    if twice:
        raise BadValue(told=twice)
    return list(found)
