"""A catalogue as it was: the log up to a sequence, folded into a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from events.subjects import AUDIT, FACTS
from projections import database
from projections.fold import Folder
from services.jetstream.connect import Client
from services.jetstream.history import audit_at
from services.jetstream.read import info
from services.projector.follow import Follower

Advance = Callable[[int, int], None]
"""Told how many events of how many are folded."""


class Report(NamedTuple):
    """What was folded: *events* in all, up to *seqs* of each stream."""

    events: int
    seqs: dict[str, int]


async def replay(nc: Client, target: Path, until: int, advance: Advance) -> Report:
    """Fold the facts up to *until*, and what audit had recorded by then, into *target*.

    The file is built beside *target* and takes its place when it is whole. Raises what following
    raises.
    """
    states = {stream: await info(nc, stream) for stream in (FACTS, AUDIT)}
    seqs = {FACTS: min(until, states[FACTS].last_seq)}
    seqs[AUDIT] = await _audit_at(nc, seqs[FACTS])
    first = max(states[AUDIT].first_seq, 1)
    total = seqs[FACTS] + max(0, seqs[AUDIT] - first + 1)

    def progress(at: Mapping[str, int]) -> None:
        advance(at[FACTS] + max(0, at[AUDIT] - first + 1), total)

    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        generation = database.open_writer(Path(folder) / "catalogue.db")
        try:
            epochs = {stream: state.epoch for stream, state in states.items()}
            follower = Follower(nc, Folder(generation.db, epochs), {})
            await follower.run(seqs, stop=True, exact=True, progress=progress)
            generation.finish()
            database.settle(generation.db)
        finally:
            generation.close()
        generation.path.replace(target)
    return Report(total, seqs)


async def _audit_at(nc: Client, seq: int) -> int:
    """Return the last audit sequence that the server had recorded when it recorded fact *seq*.

    The last one of all for the newest fact: audit goes on where no fact follows. 0 before the first
    fact.
    """
    if not seq:
        return 0
    if seq == (await info(nc, FACTS)).last_seq:
        return (await info(nc, AUDIT)).last_seq
    return await audit_at(nc, seq)
