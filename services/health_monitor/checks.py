"""What a cycle asks: the list for every provider, and the checks that the user wrote."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from importlib.metadata import entry_points
from typing import Any, Literal, NamedTuple
from urllib.parse import urljoin, urlsplit

from events.decide.providers import Settings
from services.durations import parse_duration
from services.health_lists import BILLED, GROUP
from services.health_settings import Health

LIST = "list_models"

Word = Literal["pass", "warn", "fail", "skip"]
Get = Callable[[str], Awaitable[tuple[int | None, bytes]]]


class Context(NamedTuple):
    """What a check of one's own is given.

    *get* reads a path of the provider's origin with its credentials, and returns status and body;
    the status is None where none came.
    """

    provider: str
    dialect: str
    base_url: str
    options: dict[str, Any]
    get: Get


Custom = Callable[[Context], Any]
"""A check of one's own: it returns `pass`, `warn`, `fail` or `skip`, or that and a message.

It may be a coroutine function; any other is called in a thread.
"""


class Check(NamedTuple):
    """One question; *timeout* and *interval* in seconds, *interval* None: at every cycle."""

    name: str
    kind: Literal["list", "http", "python"]
    timeout: float
    weight: float = 1.0
    critical: bool = False
    interval: float | None = None
    url: str = ""
    statuses: frozenset[int] = frozenset()
    body: re.Pattern[str] | None = None
    custom: Custom | None = None


def checks_of(settings: Settings, health: Health) -> list[Check]:
    """Return every check of a provider, that of its list first."""
    base = origin(settings.base_url)
    found = [Check(LIST, "list", health.timeout, weight=2.0, critical=True)]
    found += [
        Check(path, "http", health.timeout, url=urljoin(base, path)) for path in health.endpoints
    ]
    return found + [_custom(table, base, health) for table in health.checks]


def _custom(table: dict[str, Any], base: str, health: Health) -> Check:
    interval = parse_duration(table["interval"]) if "interval" in table else None
    if table.get("billed"):
        interval = max(interval or BILLED, BILLED)
    timeout = parse_duration(table["timeout"]) if "timeout" in table else health.timeout
    return Check(
        table["name"],
        table["type"],
        timeout,
        weight=float(table.get("weight", 1)),
        critical=bool(table.get("critical")),
        interval=interval,
        url=urljoin(base, table["path"]) if "path" in table else "",
        statuses=frozenset(table.get("statuses", ())),
        body=re.compile(table["body"]) if "body" in table else None,
        custom=loaded(table["entry_point"]) if "entry_point" in table else None,
    )


def loaded(name: str) -> Custom:
    """Return the check that is offered as *name*; where there is none, one that says so."""
    for point in entry_points(group=GROUP, name=name):
        found: Custom = point.load()
        return found

    def absent(_: Context) -> Word:
        raise LookupError(f"no installed package offers {name!r} as an entry point of {GROUP}")

    return absent


def origin(url: str) -> str:
    """Return the origin of *url*: scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"
