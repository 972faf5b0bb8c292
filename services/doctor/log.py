"""The log: is its server there, are the streams ours and synced, and who lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from events.subjects import STREAMS
from projections import Catalogue
from projections.database import NoCatalogue, NotACatalogue
from services.directory import PROJECTOR_LOCK, DataDirectory
from services.doctor.finding import Finding, bad, fine, note
from services.jetstream.api import ApiError, NoAnswer, NoStream, ask
from services.jetstream.connect import Client, NoServer, NotAllowed, close, connect
from services.jetstream.identity import BadCredentials
from services.jetstream.messages import info
from services.jetstream.setup import (
    ServerTooOld,
    SyncNotAlways,
    compare,
    level,
    proven,
)
from services.jetstream.snapshots import STREAM as SNAPSHOTS
from services.jetstream.state import living
from services.keys import KeyUnavailable
from services.login import login
from services.settings import Nats

FULL = 0.9
FILLING = 0.75
BEHIND = 1000
"""Events behind the log that are more than a batch or two on their way."""
SECONDS = 20.0
BEATING = ("refresher", "health-monitor")


class _Ports(msgspec.Struct, frozen=True):
    monitoring: list[str] = []


async def log(settings: Nats, directory: DataDirectory) -> list[Finding]:
    """Return how the log is, within twenty seconds."""
    url = settings.url or directory.live_url()
    if url is None:
        return [note("nats", "no server runs on this directory", "start one with `modelog up`")]
    found: list[Finding] = []
    try:
        async with asyncio.timeout(SECONDS):
            nc = await connect(url, role="reader", credentials=await login(settings, "reader"))
            try:
                async for one in _examined(nc, settings, directory):
                    found.append(one)  # noqa: PERF401 - what is known when time is up, counts
            finally:
                await close(nc)
    except NotAllowed as error:
        told = str(error).partition("; ")[0]
        found.append(bad("nats", told, "correct `credentials` in [nats]"))
    except NoServer as error:
        found.append(bad("nats", f"none at {error.url}", "start it, or correct the URL ([nats])"))
    except BadCredentials as error:
        found.append(bad("nats", *str(error).split("; ")))
    except KeyUnavailable as error:
        found.append(bad("nats", f"credentials: {error}", "correct `credentials` in [nats]"))
    except (NoAnswer, ApiError, TimeoutError) as error:
        told = str(error) or f"no answer within {SECONDS:g} s"
        remedy = "is JetStream on, and may the role `reader` ask it? see `init --permissions`"
        found.append(bad("nats", told, remedy))
    return found


async def _examined(nc: Client, settings: Nats, directory: DataDirectory) -> AsyncIterator[Finding]:
    told = nc.connected_server_version
    yield fine("nats", f"nats-server {told.major}.{told.minor}.{told.patch} answers")
    try:
        await level(nc)
    except ServerTooOld as error:
        yield bad("api level", str(error), "install nats-server 2.12 or later")
        return
    yield await _sync(settings.monitor_url or _monitor(directory.nats_store))
    yield _store(await ask(nc, "INFO"))
    async for one in _streams(nc, settings):
        yield one
    for process in BEATING:
        yield _alive(process, await living(nc, process))
    yield await _lag(nc, directory)


def _monitor(store: Path) -> str | None:
    """Return the address at which the embedded server tells of itself, if it runs."""
    for path in store.glob("nats-server_*.ports"):
        try:
            ports = msgspec.json.decode(path.read_bytes(), type=_Ports)
        except (OSError, msgspec.DecodeError):
            continue
        return next(iter(ports.monitoring), None)
    return None


async def _sync(monitor_url: str | None) -> Finding:
    try:
        known = await proven(monitor_url)
    except SyncNotAlways as error:
        return bad("sync", str(error), "without it a power cut loses what was acknowledged")
    if known == "always":
        return fine("sync", "every event is on the disk before it is acknowledged")
    told = "nothing says whether events are on the disk before they are acknowledged"
    return note("sync", told, "set monitor_url in [nats], and `sync_interval: always` there")


def _store(told: dict[str, object]) -> Finding:
    account = msgspec.convert(told, _Account)
    most = account.limits.max_storage
    used = f"{account.storage / 1e6:,.1f} MB used"
    if most <= 0:
        return fine("store", f"{used}, as much as the disk has")
    share = account.storage / most
    text = f"{used} of {most / 1e6:,.1f} MB"
    remedy = "raise the account's max_storage, or lower audit_max_age (`init --apply`)"
    if share > FULL:
        return bad("store", f"{text}: nearly full", remedy)
    return note("store", text, remedy) if share > FILLING else fine("store", text)


class _Limits(msgspec.Struct, frozen=True):
    max_storage: int = -1


class _Account(msgspec.Struct, frozen=True):
    storage: int = 0
    limits: _Limits = _Limits()


async def _streams(nc: Client, settings: Nats) -> AsyncIterator[Finding]:
    found = await compare(nc, replicas=settings.replicas, audit_max_age=settings.audit_max_age)
    if all(different is None for different in found.values()):
        yield note("streams", "none yet", "`modelog init` or `modelog up` creates them")
        return
    for name, different in found.items():
        if different is None:
            lacks = (
                "no snapshots: a new projector replays all" if name == SNAPSHOTS else "not there"
            )
            yield bad(f"stream {name}", lacks, "`modelog init` creates it")
        for one in different or ():
            tell = note if one.changeable else bad
            yield tell(f"stream {name}", one.text, one.remedy)
    right = sum(different == [] for different in found.values())
    yield fine("streams", f"{right} of {len(found)} streams and buckets are as they must be")


def _alive(process: str, count: int | None) -> Finding:
    if count is None:
        return note(process, "nobody can tell whether one lives")
    if not count:
        return bad(process, "none lives", f"`modelog up`, or `modelog run {process}`")
    return fine(process, f"{count} alive" if count > 1 else "alive")


async def _lag(nc: Client, directory: DataDirectory) -> Finding:
    try:
        with Catalogue.open(directory.catalogue) as opened:
            folded = {name: one.seq for name, one in opened.checkpoint().items()}
    except (NoCatalogue, NotACatalogue):
        return note("projector", "has made no catalogue here", "`modelog run projector`")
    behind = 0
    for stream in STREAMS:
        try:
            behind += max(0, (await info(nc, stream)).last_seq - folded.get(stream, 0))
        except NoStream:
            continue
    writer = directory.holder(PROJECTOR_LOCK)
    if writer is None:
        told = f"none runs on this directory; the catalogue is {behind:,} events behind"
        return bad("projector", told, "`modelog up`, or `modelog run projector`")
    if behind > BEHIND:
        told = f"{behind:,} events behind the log"
        return note(
            "projector", told, "it catches up; look again, and at its log where it does not"
        )
    return fine("projector", "keeps up with the log")
