"""Who is told of alerts, and how: the section `[notify]`.

The address of a target may hold a secret, so no message shows one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from events.alerts import SEVERITIES, Severity
from services import leaves
from services.health_lists import names, rate
from services.leaves import BadValue, Read, key, nearest, shown
from services.references import ALLOWED, reference

SCHEME = re.compile(r"[a-z][a-z0-9+.-]*\Z", re.ASCII)
USUAL: Severity = "medium"
HIDDEN = "***"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where people look: *url* is one of apprise's, or a reference to it.

    *severity* is the least that they are told of; without *providers* they are told of all.
    """

    name: str
    url: str | dict[str, Any]
    severity: Severity = USUAL
    providers: tuple[str, ...] = ()


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A program that takes signed messages; *secret* is a reference."""

    name: str
    url: str | dict[str, Any]
    secret: dict[str, Any]
    severity: Severity = USUAL


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """How alerts are told; *group* in seconds."""

    group: float = 30.0
    rate_limit: str = "20/1h"
    reminders: bool = True
    targets: tuple[Target, ...] = ()
    webhooks: tuple[Webhook, ...] = ()

    @property
    def anybody(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self.targets or self.webhooks)


def masked(notify: Notify) -> dict[str, Any]:
    """Return *notify* as plain values; of an address that was written down only its scheme."""
    told: dict[str, Any] = msgspec.to_builtins(notify)
    for one in (*told["targets"], *told["webhooks"]):
        if isinstance(one["url"], str):
            one["url"] = f"{one['url'].partition('://')[0]}://{HIDDEN}"
    return told


def _address(value: Any) -> str | dict[str, Any]:  # noqa: ANN401 - TOML
    """Allow an address of apprise, such as ``ntfy://…``, or a reference to one."""
    if not isinstance(value, str):
        return _referred(value)
    scheme, found, rest = value.partition("://")
    if not (found and SCHEME.match(scheme) and rest and value.isprintable() and " " not in value):
        raise BadValue(f'{HIDDEN} is no address; write one of apprise, "ntfy://…", or {ALLOWED}')
    return value


def _webhook_address(value: Any) -> str | dict[str, Any]:  # noqa: ANN401 - TOML
    """Allow a URL with ``https://`` or ``http://``, or a reference to one."""
    if isinstance(value, str):
        return str(leaves.address("https", "http")(value))
    return _referred(value)


def _referred(value: Any) -> dict[str, Any]:  # noqa: ANN401 - TOML
    if not isinstance(value, Mapping):
        raise BadValue(f"{shown(value)} is neither an address nor {ALLOWED}")
    return reference(value)


def _providers(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - TOML
    return tuple(names(value))


TARGET: dict[str, Read] = {
    "name": leaves.provider_name,
    "url": _address,
    "severity": leaves.one_of(SEVERITIES),
    "providers": _providers,
}
WEBHOOK: dict[str, Read] = {
    "name": leaves.provider_name,
    "url": _webhook_address,
    "secret": reference,
    "severity": leaves.one_of(SEVERITIES),
}


def targets(value: Any) -> tuple[Target, ...]:  # noqa: ANN401 - TOML
    """Allow tables of `name`, `url`, `severity` and `providers`."""
    return tuple(Target(**one) for one in _tables(value, TARGET, ("name", "url")))


def webhooks(value: Any) -> tuple[Webhook, ...]:  # noqa: ANN401 - TOML
    """Allow tables of `name`, `url`, `secret` and `severity`."""
    return tuple(Webhook(**one) for one in _tables(value, WEBHOOK, ("name", "url", "secret")))


NOTIFY: dict[str, Read] = {
    "group": leaves.Duration(zero=True),
    "rate_limit": rate,
    "reminders": leaves.truth,
    "targets": targets,
    "webhooks": webhooks,
}


def _tables(
    value: Any,  # noqa: ANN401 - TOML
    reads: Mapping[str, Read],
    needed: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Return the tables of a list, each with a name of its own; raises BadValue with all faults."""
    if not isinstance(value, list):
        raise BadValue(f"{shown(value)} is no list of tables")
    found: list[dict[str, Any]] = []
    wrong: list[tuple[str, str]] = []
    for place, one in enumerate(value, 1):
        where = f"[{place}]"
        if not isinstance(one, dict):
            wrong.append((where, "no table"))
            continue
        read: dict[str, Any] = {}
        for name, given in one.items():
            if name not in reads:
                wrong.append((f"{where}.{key(name)}", f"unknown key; {nearest(name, list(reads))}"))
                continue
            try:
                read[name] = reads[name](given)
            except BadValue as error:
                wrong += [(f"{where}.{name}{inner}", said) for inner, said in error.told]
        wrong += [(f"{where}.{name}", "missing") for name in needed if name not in one]
        if any(read.get("name") == other.get("name") for other in found if "name" in read):
            wrong.append((f"{where}.name", f"{shown(read['name'])} is used already"))
        found.append(read)
    if wrong:
        raise BadValue(told=wrong)
    return found
