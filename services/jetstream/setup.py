"""Streams and buckets: created once, afterwards only compared."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from events.subjects import AUDIT, FACTS
from services.clock import new_id
from services.jetstream.api import ApiError, NoStream, ask, stream_info
from services.jetstream.connect import Client
from services.jetstream.streams import (
    EPOCH_KEY,
    INSTALLATION_KEY,
    LEASES,
    RESTORING_KEY,
    SCHEMA_KEY,
    SNAPSHOTS,
    STATE,
    audit,
    bucket,
    facts,
    objects,
)

API_LEVEL = 2
NAME_IN_USE = 10058
MONITOR_SECONDS = 5.0

CHANGEABLE = {FACTS: {"num_replicas"}, AUDIT: {"num_replicas", "max_age"}}
"""What `init --apply` may change of a stream that exists; of a bucket the replicas alone."""
FREE = {"max_bytes", "metadata"}
"""What the operator may set (a full log refuses appends), and what differs in every log."""
NEVER = (
    "allow_batched",
    "allow_msg_counter",
    "allow_msg_schedules",
    "allow_msg_ttl",
    "mirror",
    "no_ack",
    "persist_mode",
    "sealed",
    "sources",
    "subject_transform",
)
"""What no stream has unless its request says so: each would lose, rewrite or refuse events."""

Sync = Literal["always", "unproven"]
Done = Literal["created", "checked", "changed"]


class StreamDiffers(Exception):
    """A stream of our name exists and is not ours, or was changed."""

    def __init__(self, stream: str, field: str, expected: object, actual: object) -> None:
        super().__init__(
            f"stream {stream}: {field} is {_spelled(actual)}, and must be {_spelled(expected)}"
        )
        self.stream = stream
        self.field = field
        self.expected = expected
        self.actual = actual


class HalfRestored(Exception):
    """A restore into this log did not come to its end: what there is of it is none."""


class ServerTooOld(Exception):
    """The server would store the members of an atomic batch one by one."""


class SyncNotAlways(Exception):
    """The server acknowledges events before they are on the disk."""


class Report(NamedTuple):
    """What `ensure` found: what became of each stream, and which log it is."""

    streams: dict[str, Done]
    epoch: str
    installation: str
    sync: Sync


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
    wished number of replicas, and the audit stream its age; nothing else is ever changed. That
    every write is synced is proven through *monitor_url*; without an answer there it is
    `unproven`. Raises StreamDiffers, which names the field, ServerTooOld, SyncNotAlways, ApiError
    where JetStream refuses (another stream may hold our subjects), and NoAnswer.
    """
    await level(nc)
    sync = await proven(monitor_url)
    wanted = _wanted(replicas, audit_max_age)
    done: dict[str, Done] = {}
    found: dict[str, dict[str, Any]] = {}
    for config in wanted:
        name = config["name"]
        done[name], found[name] = await _one(nc, config, apply=apply)
    metadata = found[FACTS]["metadata"]
    return Report(done, metadata[EPOCH_KEY], metadata[INSTALLATION_KEY], sync)


async def compare(
    nc: Client, *, replicas: int = 1, audit_max_age: float | None
) -> dict[str, list[StreamDiffers] | None]:
    """Return in what each stream and bucket is not as `ensure` would have it; None: not there.

    Nothing is created or changed. Raises ApiError and NoAnswer.
    """
    found: dict[str, list[StreamDiffers] | None] = {}
    for config in _wanted(replicas, audit_max_age):
        name = config["name"]
        actual = await _config(nc, name)
        found[name] = (
            None
            if actual is None
            else [StreamDiffers(name, *row) for row in differences(config, actual)]
        )
    return found


def _wanted(replicas: int, audit_max_age: float | None) -> list[dict[str, Any]]:
    epoch = new_id()
    return [
        facts(epoch, new_id(), replicas),
        audit(epoch, replicas, audit_max_age),
        *(bucket(name, replicas) for name in (LEASES, STATE)),
        objects(SNAPSHOTS, replicas),
    ]


def differences(
    wanted: Mapping[str, Any], actual: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield each field of *actual* that is not as *wanted*: its name, the wish, what is there.

    What the server adds is passed over, and what it leaves out counts as off.
    """
    for field, wish in wanted.items():
        there = actual.get(field)
        if field not in FREE and there != wish and (wish or there):
            yield field, wish, there
    for field in NEVER:
        if field not in wanted and actual.get(field):
            yield field, None, actual[field]
    metadata = actual.get("metadata") or {}
    for key, wish in (wanted.get("metadata") or {}).items():
        there = metadata.get(key)
        if not there or (key == SCHEMA_KEY and there != wish):
            yield f"metadata.{key}", wish if key == SCHEMA_KEY else "set by init", there


async def _one(nc: Client, wanted: dict[str, Any], *, apply: bool) -> tuple[Done, dict[str, Any]]:
    name = wanted["name"]
    actual = await _config(nc, name)
    if actual is None:
        try:
            actual = (await ask(nc, f"STREAM.CREATE.{name}", wanted))["config"]
        except ApiError as error:
            if error.err_code != NAME_IN_USE:
                raise
            actual = await _config(nc, name) or {}  # another init was faster
        else:
            _refuse(name, differences(wanted, actual))
            return "created", actual
    if RESTORING_KEY in (actual.get("metadata") or {}):
        raise HalfRestored(
            f"stream {name}: a restore did not come to its end; delete this log, or restore "
            "into an empty directory with --data"
        )
    different = list(differences(wanted, actual))
    changeable = CHANGEABLE.get(name, {"num_replicas"}) if apply else set[str]()
    _refuse(name, (row for row in different if row[0] not in changeable))
    if not different:
        return "checked", actual
    change = actual | {field: wish for field, wish, _ in different}
    return "changed", (await ask(nc, f"STREAM.UPDATE.{name}", change))["config"]


async def _config(nc: Client, stream: str) -> dict[str, Any] | None:
    try:
        return dict((await stream_info(nc, stream))["config"])
    except NoStream:
        return None


def _refuse(stream: str, different: Iterator[tuple[str, Any, Any]]) -> None:
    for field, wish, there in different:
        raise StreamDiffers(stream, field, wish, there)


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


def _spelled(value: object) -> str:
    return "unset" if value is None else msgspec.json.encode(value).decode()
