"""What processes tell each other in the bucket `modelog_state`: who lives, and who asks to wait.

Source: health.md, sections 5 and 6.
"""

from __future__ import annotations

import math

import msgspec

from services.jetstream.api import NO_STREAM, ApiError, NoAnswer, NoStream
from services.jetstream.buckets import PURGE, Changed, Unanswered, keys, look, purge, write
from services.jetstream.connect import Client
from services.jetstream.streams import STATE
from services.machine import gone, identity

BEAT = 5.0
"""Seconds between two heartbeats of an instance ..."""
SILENCE = 15
"""... and after which it counts as dead."""
RACES = 20
REST_SECONDS = 0.5


class _Beat(msgspec.Struct, frozen=True):
    process: str = ""


async def beat(nc: Client, process: str, instance: str) -> None:
    """Tell that an instance of *process* lives; raises Unanswered and ApiError."""
    value = msgspec.json.encode(_Beat(identity()))
    await write(nc, STATE, f"heartbeat.{process}.{instance}", value, ttl=SILENCE)


async def rest(nc: Client, process: str, instance: str) -> None:
    """Tell that an instance ends; where nobody hears it, its silence does."""
    key = f"heartbeat.{process}.{instance}"
    try:
        await write(nc, STATE, key, b"", ttl=SILENCE, headers=PURGE, seconds=REST_SECONDS)
    except (Unanswered, ApiError):
        return


async def alive(nc: Client, process: str) -> frozenset[str]:
    """Return the instances of *process* that live; raises NoStream, NoAnswer and ApiError.

    One that died on this machine counts as dead at once, any other when it has been silent.
    """
    found: set[str] = set()
    for key in await keys(nc, STATE, f"heartbeat.{process}.*"):
        entry = await look(nc, STATE, key)
        if entry.value and not gone(msgspec.json.decode(entry.value, type=_Beat).process):
            found.add(key.rpartition(".")[2])
    return frozenset(found)


async def living(nc: Client, process: str) -> int | None:
    """Return how many instances of *process* live, None where that cannot be told now."""
    try:
        return len(await alive(nc, process))
    except NoStream:
        return 0
    except ApiError as error:
        return 0 if error.err_code == NO_STREAM else None
    except NoAnswer:
        return None


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider asked of one credential: no call before *until*.

    *until* is in Unix seconds of the processes' clock, *seconds* how long that was when it was
    said: a clock that is wrong makes nobody wait longer. *class_* is how the call ended that said
    it.
    """

    until: float
    seconds: float
    class_: str = msgspec.field(name="class")


class Told(msgspec.Struct, frozen=True):
    """What the bucket holds for one credential, and its revision there."""

    revision: int
    wait: Wait | None


async def not_before(nc: Client, provider: str, credential: str) -> Told:
    """Return what *provider* asked of *credential*, a fingerprint.

    Raises NoStream, NoAnswer and ApiError.
    """
    entry = await look(nc, STATE, _key(provider, credential))
    wait = msgspec.json.decode(entry.value, type=Wait) if entry.value else None
    return Told(entry.revision, wait)


async def put_off(
    nc: Client, provider: str, credential: str, wait: Wait, *, real_seconds: float
) -> Told:
    """Merge *wait* with what is told: the later moment wins; return what is told now.

    It is kept for *real_seconds*, and gone by itself. Raises Changed where others write it without
    end, NoStream, NoAnswer and ApiError.
    """
    value = msgspec.json.encode(wait)
    ttl = max(1, math.ceil(real_seconds))
    key = _key(provider, credential)
    for _ in range(RACES):
        told = await not_before(nc, provider, credential)
        if told.wait is not None and told.wait.until >= wait.until:
            return told
        try:
            return Told(await write(nc, STATE, key, value, expected=told.revision, ttl=ttl), wait)
        except (Changed, Unanswered):
            continue
    raise Changed(f"{key}: others wrote it {RACES} times in a row")


async def clear(nc: Client, provider: str, credential: str, revision: int) -> None:
    """Let *provider* be asked again with *credential*, unless it has asked to wait once more.

    *revision* is that of what is taken back. Raises ApiError; where no answer comes, what was told
    ends by itself.
    """
    try:
        await purge(nc, STATE, _key(provider, credential), expected=revision)
    except (Changed, Unanswered):
        return


def _key(provider: str, credential: str) -> str:
    return f"not_before.{provider}.{credential}"
