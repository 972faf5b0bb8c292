"""Restore: the log as it was into an empty server: same sequences, same ids, a new life.

Nothing is written before all files were read and found sound (`sources.examined`). While it is
written the log is marked, and no `init` or `up` takes it for a whole one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from events.envelope import MESSAGE_ID, Stored
from events.subjects import AUDIT, FACTS, STREAMS
from services.clock import new_id
from services.jetstream import batch, lines
from services.jetstream.api import ANSWER_SECONDS, NoAnswer, NoStream, ask, stream_info
from services.jetstream.connect import Client
from services.jetstream.messages import RECORDED, info, message
from services.jetstream.settle import give_up
from services.jetstream.setup import Report as Setup
from services.jetstream.setup import ensure, level
from services.jetstream.sources import Advance, Events, Plan
from services.jetstream.strand import Strand, reading
from services.jetstream.streams import RESTORING_KEY, audit, facts

WINDOW_NS = 100_000_000
"""The duplicate window meanwhile, the shortest: ids that repeat in years repeat in seconds."""
WINDOW_SECONDS = 0.15
DEADLINE_SECONDS = 60.0


class NotRestored(Exception):
    """The log is not restored; the message says why, and what to do."""


class Report(NamedTuple):
    """What was restored: so many messages, up to *seqs* of each stream, as log *epoch*."""

    events: int
    seqs: dict[str, int]
    epoch: str


async def restore(  # noqa: PLR0913 - one argument a choice
    nc: Client,
    plan: Plan,
    *,
    where: str,
    replicas: int = 1,
    audit_max_age: float | None = None,
    monitor_url: str | None = None,
    advance: Advance,
) -> Report:
    """Write all of *plan* into the empty log at *nc*, and read it back.

    Sequences, ids and batches stay as they were, and the installation; the epoch is new. Audit
    events that were of no batch are put into some, which costs a tenth of the time. *where* names
    the log for people. Raises NotRestored where it is not empty or is not the same afterwards,
    what `ensure` raises, and what reading and writing raise.
    """
    await level(nc)
    await _vacant(nc, where)
    epoch = new_id()
    wanted = {
        FACTS: facts(epoch, plan.installation, replicas),
        AUDIT: audit(epoch, replicas, audit_max_age),
    }
    for stream, config in wanted.items():
        first = plan.strands[stream].seq - plan.strands[stream].count + 1
        await ask(nc, f"STREAM.CREATE.{stream}", _meanwhile(config, first))
    done = 0
    for stream, group in _groups(plan.events()):
        await _write(nc, stream, group, where)
        done += len(group)
        advance(done, 2 * plan.total)
    for stream in STREAMS:
        before = done
        async for count in _read_back(nc, plan.strands[stream], where):
            done = before + count
            advance(done, 2 * plan.total)
    for stream, config in wanted.items():
        made = (await stream_info(nc, stream))["config"]
        await ask(nc, f"STREAM.UPDATE.{stream}", made | config)
    ready: Setup = await ensure(
        nc, replicas=replicas, audit_max_age=audit_max_age, monitor_url=monitor_url
    )
    seqs = {stream: plan.strands[stream].seq for stream in STREAMS}
    return Report(plan.total, seqs, ready.epoch)


def _meanwhile(config: dict[str, Any], first: int) -> dict[str, Any]:
    """Return the create request of a stream that is being restored: nobody hears of it yet."""
    told = {key: value for key, value in config.items() if key != "republish"}
    metadata = {**config["metadata"], RESTORING_KEY: "1"}
    return told | {"first_seq": first, "duplicate_window": WINDOW_NS, "metadata": metadata}


async def _vacant(nc: Client, where: str) -> None:
    """Delete the streams that `init` made and nothing was written to; refuse any other."""
    found: list[str] = []
    for stream in STREAMS:
        try:
            state = await stream_info(nc, stream)
        except NoStream:
            continue
        if (state["config"].get("metadata") or {}).get(RESTORING_KEY):
            raise NotRestored(
                f"the log at {where} is not empty: a restore into it did not come to its end; "
                "delete that log, or restore into an empty directory with --data"
            )
        if state["state"]["last_seq"]:
            raise NotRestored(
                f"the log at {where} is not empty; restore into an empty directory with --data, "
                "or move that log away"
            )
        found.append(stream)
    for stream in found:
        await ask(nc, f"STREAM.DELETE.{stream}")


def _groups(events: Events) -> Iterator[tuple[str, list[Stored]]]:
    """Yield what is written at once: a batch as it was, or what stood alone, up to a thousand."""
    group: list[Stored] = []
    ids: set[str] = set()
    of: str | None = None
    at = ""
    for stream, stored in events:
        batch_id = stored.headers.get(batch.ID)
        known = stored.headers.get(MESSAGE_ID, "") in ids
        full = len(group) == batch.MOST
        if group and (stream != at or batch_id != of or known or full):
            yield at, group
            group, ids = [], set()
        group.append(_dated(stored))
        ids.add(stored.headers.get(MESSAGE_ID, ""))
        of, at = batch_id, stream
        if batch.COMMIT in stored.headers:
            yield at, group
            group, ids, of = [], set(), None
    if group:
        yield at, group


def _dated(stored: Stored) -> Stored:
    """Return *stored* with the time of its first recording."""
    headers = {RECORDED: lines.spelled(stored.recorded_ns), **stored.headers}
    return stored._replace(headers=headers)


async def _write(nc: Client, stream: str, group: list[Stored], where: str) -> None:
    """Append *group* at its sequences, once; nobody else writes to this log."""
    first, last = group[0].seq, group[-1].seq
    added = batch.headers_for(stream)
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE_SECONDS
    while loop.time() < end:
        reply = await batch.send(nc, group, added, ANSWER_SECONDS)
        if reply and reply.get("count") == len(group):
            if reply["seq"] != last:
                raise _disturbed(stream, last, where)
            return
        if batch.refusal(reply) != batch.KNOWN_ID:
            give_up(reply, stream)
        if await _is_there(nc, stream, group, where):
            return
        await asyncio.sleep(WINDOW_SECONDS)
    raise NoAnswer(f"stream {stream}: no acknowledgement of sequences {first} to {last}")


async def _is_there(nc: Client, stream: str, group: list[Stored], where: str) -> bool:
    """Tell whether *group*, whose acknowledgement was lost, is in the log."""
    at = (await info(nc, stream)).last_seq
    if at == group[0].seq - 1:
        return False
    there = await message(nc, stream, group[-1].seq)
    same = there is not None and there.headers.get(MESSAGE_ID) == group[-1].headers.get(MESSAGE_ID)
    if at != group[-1].seq or not same:
        raise _disturbed(stream, group[-1].seq, where)
    return True


def _disturbed(stream: str, seq: int, where: str) -> NotRestored:
    return NotRestored(
        f"somebody else wrote to {stream} at {where} near sequence {seq}; stop all of modelog, "
        "and restore into an empty directory with --data"
    )


async def _read_back(nc: Client, wanted: Strand, where: str) -> AsyncIterator[int]:
    """Compare the hash of what is stored with that of the files; yield how much was read."""
    strand = Strand(wanted.stream, wanted.seq - wanted.count)
    async for stored in reading(nc, wanted.stream, after=strand.seq, until=wanted.seq):
        strand.take(stored)
        if strand.count % batch.MOST == 0:
            yield strand.count
    if (strand.seq, strand.hash) != (wanted.seq, wanted.hash):
        raise NotRestored(
            f"stream {wanted.stream} at {where} does not read as it was written; "
            "check the disk, and restore into an empty directory with --data"
        )
    yield strand.count
