"""A new generation beside the one that serves, and the moment when it takes its place."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import NamedTuple

from events.subjects import AUDIT, STREAMS
from projections import checkpoint
from projections.database import Generation, create, open_writer
from projections.generations import delete, serving
from projections.upkeep import counts, damage
from projections.verify import AUDIT_OWNED
from services.jetstream.connect import Client
from services.jetstream.messages import info
from services.logs import say
from services.projector.projecting import Advance, Projecting

LINE_EVERY = 5.0
"""Seconds between two log lines of progress."""


class HistoryDiffers(Exception):
    """The log does not hold any more what the serving generation was folded from."""

    def __init__(self, stream: str, seq: int) -> None:
        super().__init__(
            f"{stream}: up to sequence {seq} the log is not what the catalogue was folded from; "
            "the catalogue that serves is kept: see `modelog verify`"
        )


class Rebuilt(NamedTuple):
    """What was built: the generation of that number, from so many *events*, as far as *seqs*."""

    path: Path
    events: int
    seqs: dict[str, int]
    rows: dict[str, int]


async def opened(nc: Client, link: Path, reason: str = "") -> Generation:
    """Open the generation to write; with *reason*, and for another log, a new one beside it.

    Raises NotACatalogue, CannotOpen and what asking the log raises.
    """
    if reason:
        return create(link, serving(link), reason)
    generation = await asyncio.to_thread(open_writer, link)
    try:
        for stream, done in checkpoint.read(generation.db).items():
            epoch = (await info(nc, stream)).epoch
            if done.epoch != epoch:
                reason = f"the log is another one: the epoch of {stream} is {epoch or 'unset'}"
    except BaseException:
        generation.close()
        raise
    if not reason:
        return generation
    generation.close()
    return create(link, generation.path, reason)


async def build(nc: Client, generation: Generation, advance: Advance) -> Projecting:
    """Fill *generation* from the log; where that fails, nothing is left of it."""
    try:
        successor = await Projecting.begin(nc, generation)
        await successor.fill(advance)
    except BaseException:
        discard(generation)
        raise
    return successor


async def succeed(nc: Client, old: Projecting, new: Projecting) -> None:
    """Let *new* serve instead of *old*, both of which stand still: compared at one sequence.

    Raises HistoryDiffers, and nothing has changed then.
    """
    meeting = {stream: max(old.at[stream], new.at[stream]) for stream in STREAMS}
    await old.reach(meeting)
    await new.reach(meeting)
    first = (await info(nc, AUDIT)).first_seq
    differing = await asyncio.to_thread(compared, old.generation, new.generation, first)
    if differing:
        say("rows differ", level=logging.WARNING, tables=", ".join(differing))
    if new.generation.lost:
        raise FileNotFoundError(f"{new.generation.path} was deleted while it was built")
    new.generation.serve()


def compared(old: Generation, new: Generation, audit_from: int) -> list[str]:
    """Return the tables of which *new* has another number of rows, and both numbers.

    What age took of the audit trail before *audit_from* is no difference. Raises HistoryDiffers.
    """
    aged = audit_from > 1
    before, after = checkpoint.read(old.db), checkpoint.read(new.db)
    for stream, one in before.items():
        other = after[stream]
        if stream == AUDIT and aged:
            continue
        if one.seq == other.seq and one.rolling_hash != other.rolling_hash:
            raise HistoryDiffers(stream, one.seq)
    had, has = counts(old.db), counts(new.db)
    passed = AUDIT_OWNED if aged else frozenset[str]()
    return [
        f"{name} {had.get(name, 0)} -> {has.get(name, 0)}"
        for name in sorted(had | has)
        if had.get(name, 0) != has.get(name, 0) and name not in passed
    ]


def discard(generation: Generation) -> None:
    """Close a generation that will not serve, and delete it."""
    generation.close()
    if not generation.serves:
        delete(generation.path)


async def rebuild(nc: Client, link: Path, advance: Advance) -> Rebuilt:
    """Build a new generation while nobody else writes, and let it serve.

    For who holds the projector's lock. Raises what following raises, HistoryDiffers, and Damaged
    of what was built.
    """
    old = await opened(nc, link)
    if not old.serves:  # it is the new one
        return await _served(nc, old, None, advance)
    try:
        live, reason = await _caught_up(nc, old)
        beside = create(link, old.path, reason)
        return await _served(nc, beside, live, advance)
    finally:
        old.close()


async def _caught_up(nc: Client, old: Generation) -> tuple[Projecting | None, str]:
    """Return what keeps *old*, to be compared with; None where it turns out to be damaged."""
    try:
        live = await Projecting.begin(nc, old)
        await live.catch_up()
    except sqlite3.DatabaseError as error:
        if not damage(error):
            raise
        return None, f"the catalogue is damaged: {error}"
    return live, "asked for"


async def _served(
    nc: Client, generation: Generation, live: Projecting | None, advance: Advance
) -> Rebuilt:
    successor = await build(nc, generation, advance)
    try:
        if live is None:
            generation.serve()
        else:
            await succeed(nc, live, successor)
        states = {stream: await info(nc, stream) for stream in STREAMS}
        events = sum(
            max(0, successor.at[stream] - max(state.first_seq - 1, 0))
            for stream, state in states.items()
        )
        return Rebuilt(generation.path, events, dict(successor.at), counts(generation.db))
    finally:
        discard(generation)


def lines(number: int) -> Advance:
    """Return what tells in log lines how far a generation is."""
    loop = asyncio.get_running_loop()
    began = last = loop.time()

    def advance(done: int, total: int) -> None:
        nonlocal last
        now = loop.time()
        if now - last < LINE_EVERY:
            return
        last = now
        rate = round(done / (now - began))
        say("fills", generation=number, events=done, of=total, per_second=rate)

    return advance
