"""Streams and buckets: created once, afterwards only compared."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from events.subjects import FACTS
from services.clock import new_id
from services.jetstream.api import ApiError, NoStream, ask, stream_info
from services.jetstream.connect import Client
from services.jetstream.drift import Difference, StreamDiffers, compared
from services.jetstream.streams import (
    EPOCH_KEY,
    INSTALLATION_KEY,
    LEASES,
    RESTORING_KEY,
    SNAPSHOTS,
    STATE,
    audit,
    bucket,
    facts,
    objects,
)

API_LEVEL = 2
NAME_IN_USE = 10058
NO_CLUSTER = 10074
"""Replicas are wished of a server that stands alone."""
NO_PEERS = 10005
"""The cluster has fewer servers than a stream shall have replicas."""
MONITOR_SECONDS = 5.0

Sync = Literal["always", "unproven"]
Done = Literal["created", "checked", "changed"]


class HalfRestored(Exception):
    """A restore into this log did not come to its end: what there is of it is none."""


class ServerTooOld(Exception):
    """The server would store the members of an atomic batch one by one."""


class SyncNotAlways(Exception):
    """The server acknowledges events before they are on the disk."""


class TooFewServers(Exception):
    """More replicas are wished than there are servers to hold them."""


class Report(NamedTuple):
    """What `ensure` found: what became of each stream, and which log it is.

    *changes* are what it changed: what was *actual* is *wanted* now.
    """

    streams: dict[str, Done]
    epoch: str
    installation: str
    sync: Sync
    changes: tuple[Difference, ...] = ()


async def ensure(
    nc: Client,
    *,
    replicas: int = 1,
    audit_max_age: float | None,
    monitor_url: str | None,
    apply: bool = False,
) -> Report:
    """Create the streams and buckets that do not exist, and compare those that do.

    *audit_max_age* is in seconds, None or 0 for ever. With *apply* an existing stream gets the
    wished number of replicas, and the audit stream its age; nothing else is ever changed, and
    nothing at all where anything else differs. That every write is synced is proven through
    *monitor_url*; without an answer there it is `unproven`. Raises StreamDiffers, which names the
    fields, HalfRestored, TooFewServers, ServerTooOld, SyncNotAlways, ApiError where JetStream
    refuses (another stream may hold our subjects), and NoAnswer.
    """
    await level(nc)
    sync = await proven(monitor_url)
    wanted = {config["name"]: config for config in _wanted(replicas, audit_max_age)}
    found = {name: await _config(nc, name) for name in wanted}
    _refuse(wanted, found, apply=apply)
    done: dict[str, Done] = {}
    ready: dict[str, dict[str, Any]] = {}
    changes: list[Difference] = []
    for name, config in wanted.items():
        actual = found[name]
        if actual is None:
            done[name], ready[name] = "created", await _created(nc, config)
            continue
        done[name], ready[name] = "checked", actual
        if different := compared(name, config, actual):
            done[name], ready[name] = "changed", await _changed(nc, actual, different)
            changes += different
    metadata = ready[FACTS]["metadata"]
    return Report(done, metadata[EPOCH_KEY], metadata[INSTALLATION_KEY], sync, tuple(changes))


async def compare(
    nc: Client, *, replicas: int = 1, audit_max_age: float | None
) -> dict[str, list[Difference] | None]:
    """Return in what each stream and bucket is not as `ensure` would have it; None: not there.

    Nothing is created or changed. Raises ApiError and NoAnswer.
    """
    found: dict[str, list[Difference] | None] = {}
    for config in _wanted(replicas, audit_max_age):
        name = config["name"]
        actual = await _config(nc, name)
        found[name] = None if actual is None else compared(name, config, actual)
    return found


def _wanted(replicas: int, audit_max_age: float | None) -> list[dict[str, Any]]:
    epoch = new_id()
    return [
        facts(epoch, new_id(), replicas),
        audit(epoch, replicas, audit_max_age),
        *(bucket(name, replicas) for name in (LEASES, STATE)),
        objects(SNAPSHOTS, replicas),
    ]


def _refuse(
    wanted: Mapping[str, dict[str, Any]],
    found: Mapping[str, dict[str, Any] | None],
    *,
    apply: bool = False,
) -> None:
    """Raise where a stream that exists is none of ours, or is to be changed and may not be."""
    different: list[Difference] = []
    for name, actual in found.items():
        if actual is None:
            continue
        if RESTORING_KEY in (actual.get("metadata") or {}):
            raise HalfRestored(
                f"stream {name}: a restore did not come to its end; delete this log, or restore "
                "into an empty directory with --data"
            )
        different += compared(name, wanted[name], actual)
    if different and not (apply and all(one.changeable for one in different)):
        raise StreamDiffers(different)


async def _created(nc: Client, wanted: dict[str, Any]) -> dict[str, Any]:
    name = wanted["name"]
    try:
        actual: dict[str, Any] = await _set(nc, "CREATE", wanted)
    except ApiError as error:
        if error.err_code != NAME_IN_USE:
            raise
        actual = await _config(nc, name) or {}  # another init was faster
    _refuse({name: wanted}, {name: actual})
    return actual


async def _changed(
    nc: Client, actual: Mapping[str, Any], different: Sequence[Difference]
) -> dict[str, Any]:
    return await _set(nc, "UPDATE", {**actual, **{one.field: one.wanted for one in different}})


async def _set(nc: Client, verb: str, config: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict((await ask(nc, f"STREAM.{verb}.{config['name']}", config))["config"])
    except ApiError as error:
        if error.err_code in {NO_CLUSTER, NO_PEERS}:
            lacks = "is in no cluster" if error.err_code == NO_CLUSTER else "has too few at hand"
            raise TooFewServers(
                f"stream {config['name']}: {config['num_replicas']} replicas need as many servers "
                f"with JetStream in one cluster, and this one {lacks}; lower `replicas` in [nats], "
                "or add servers"
            ) from error
        raise


async def _config(nc: Client, stream: str) -> dict[str, Any] | None:
    try:
        return dict((await stream_info(nc, stream))["config"])
    except NoStream:
        return None


async def level(nc: Client) -> None:
    """Raise ServerTooOld where batches would not be atomic."""
    level = (await ask(nc, "INFO")).get("api", {}).get("level", 0)
    if level < API_LEVEL:
        version = nc.connected_server_version
        raise ServerTooOld(
            f"nats-server {version.major}.{version.minor} has JetStream API level {level}; "
            f"atomic batches need level {API_LEVEL}: 2.12 or later"
        )


async def proven(monitor_url: str | None) -> Sync:
    """Tell whether every write is synced; `sync_interval` itself is not shown truthfully.

    Raises SyncNotAlways where it is known not to be.
    """
    config = await asyncio.to_thread(_jetstream_config, monitor_url) if monitor_url else None
    if config is None:
        return "unproven"
    if config.get("sync_always") is not True:
        raise SyncNotAlways(
            f"the server at {monitor_url} acknowledges before it writes to the disk; "
            "set `sync_interval: always` in its `jetstream` block"
        )
    return "always"


def _jetstream_config(monitor_url: str) -> dict[str, Any] | None:
    address = urlsplit(monitor_url)
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.netloc, timeout=MONITOR_SECONDS)
    try:
        connection.request("GET", f"{address.path.rstrip('/')}/jsz?config=1")
        body = msgspec.json.decode(connection.getresponse().read(), type=dict[str, Any])
    except (OSError, HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()
    config = body.get("config")
    return config if isinstance(config, dict) else None
