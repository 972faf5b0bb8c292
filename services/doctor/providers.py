"""Who is asked: are their keys where they are said to be, and is there such a host."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from events.decide.providers import Settings
from services.calls.origin import host_of
from services.doctor.finding import Finding, bad, fine, many, note
from services.keys import KeyUnavailable, Reference, describe, resolve
from services.providers.table import row_of

FEWEST_HOSTS = 5
"""Fewer witnesses tell a broken network from a broken provider badly."""
RESOLVE_SECONDS = 4.0
MEND = {
    "env": "set it where modelog starts",
    "file": "write the key into it, or name another file",
    "command": "run it by hand and see why",
}


async def providers(settings: Sequence[Settings]) -> list[Finding]:
    """Return how the keys and hosts of those that are enabled are; no provider is asked."""
    enabled = [one for one in settings if one.enabled]
    if not enabled:
        remedy = "`modelog providers add NAME`, or a [[providers]] table in modelog.toml"
        return [note("providers", "none is configured and enabled", remedy)]
    keys = await asyncio.gather(*(_keys(one) for one in enabled))
    wrong = [finding for found in keys for finding in found]
    good = len(enabled) - sum(any(one.level == "bad" for one in found) for found in keys)
    told = fine("keys", f"those of {good} of {many(len(enabled), 'provider')} are in order")
    return [told, *wrong, *await _hosts(enabled)]


def _references(one: Settings) -> dict[str, Reference]:
    """Return every secret of a provider by what it is for."""
    headers = {f"header {name}": value for name, value in one.headers.items()}
    found: Mapping[str, Any] = {"key": one.credential, **one.credentials, **headers}
    return {name: value for name, value in found.items() if isinstance(value, Mapping)}


async def _keys(one: Settings) -> list[Finding]:
    row = row_of(one)
    optional = row is not None and (row.key_optional or row.local)
    found = []
    for name, reference in _references(one).items():
        what = f"provider {one.name}"
        kind = next(iter(reference), "")
        try:
            secret = await resolve(reference)
        except KeyUnavailable as error:
            found.append(bad(what, f"{name}: {error}", MEND.get(kind, MEND["file"])))
            continue
        if secret is None:
            told = f"{name}: {describe(reference)} holds none"
            if optional:
                found.append(note(what, f"{told}; it answers without"))
            else:
                found.append(bad(what, told, MEND.get(kind, MEND["file"])))
        if kind == "file" and (open_ := _readable(Path(reference["file"]))):
            found.append(bad(what, f"{name}: {open_}", f"`chmod 600 {reference['file']}`"))
    return found


def _readable(path: Path) -> str | None:
    try:
        mode = path.expanduser().stat().st_mode
    except (OSError, RuntimeError):
        return None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return f"file {path} can be read by every user of this machine ({stat.filemode(mode)})"
    return None


async def _hosts(enabled: Sequence[Settings]) -> list[Finding]:
    hosts: dict[str, list[str]] = {}
    for one in enabled:
        hosts.setdefault(host_of(one.base_url), []).append(one.name)
    found = []
    if len(hosts) < FEWEST_HOSTS:
        few = f"{len(hosts)} distinct, fewer than {FEWEST_HOSTS}"
        told = f"{few}: when the network fails here, it may look as if they did"
        remedy = "more providers make better witnesses; it is no fault to have few"
        found.append(note("hosts", told, remedy))
    named = [host for host in hosts if not _numeric(host)]
    known = dict(zip(named, await asyncio.gather(*map(_resolves, named)), strict=True))
    lost = [host for host, there in known.items() if not there]
    if lost and len(lost) == len(known):
        told = f"no name is resolved ({', '.join(lost[:3])}{' ...' if len(lost) > 3 else ''})"  # noqa: PLR2004 - a few
        found.append(note("network", told, "is this machine on-line? see /etc/resolv.conf"))
        return found
    for host in lost:
        names = ", ".join(hosts[host])
        remedy = f"correct base_url (`modelog providers show {hosts[host][0]}`)"
        found.append(bad(f"provider {names}", f"there is no host {host}", remedy))
    if not lost:
        found.append(fine("network", f"{many(len(hosts), 'host')} found; none was called"))
    return found


def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _resolves(host: str) -> bool:
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return False
    return True
