"""Fold events into every read model; rows and the checkpoint change in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import cast

from events import chain
from events.audit import AuditEvent
from events.codec import BrokenEvent, FactEvent, UnknownEvent, decode
from events.envelope import MESSAGE_ID, Stored
from events.subjects import FACTS
from projections import audit, checkpoint, history, models, moments, providers, unknown
from projections.checkpoint import Checkpoint
from projections.faults import CannotFold

PROJECTION = 1
"""The version of all that is written here; a file of another one is built anew."""

_READERS = {
    "model": (history.apply, models.apply),
    "capability": (models.apply,),
    "provider": (providers.apply,),
}
"""Which read models take the facts of a family."""


class Folder:
    """The one writer of a catalogue: it knows where the checkpoints are."""

    def __init__(self, db: sqlite3.Connection, epochs: Mapping[str, str]) -> None:
        """Go on from the checkpoints in *db*, or begin streams of *epochs*.

        Raises Fenced where a checkpoint is of another epoch.
        """
        self._db = db
        self._at = checkpoint.read(db)
        for stream, epoch in epochs.items():
            if stream not in self._at:
                checkpoint.begin(db, stream, epoch, chain.start(stream), PROJECTION)
        self._at = checkpoint.read(db)
        self._latest = moments.latest(db)

    def at(self, stream: str) -> int:
        """Return the last sequence of *stream* that is folded."""
        return self._at[stream].seq

    def fold(self, stream: str, batch: Sequence[Stored]) -> None:
        """Fold *batch* of *stream*, which must end where a batch of the log ends.

        What is folded already is passed over. Raises CannotFold, BrokenEvent and what the read
        models raise; nothing of *batch* is then in the catalogue.
        """
        before, latest = self._at[stream], self._latest
        self._db.execute("BEGIN IMMEDIATE")
        try:
            after = self._fold(before, batch)
            checkpoint.move(self._db, before, after)
        except BaseException:
            self._db.execute("ROLLBACK")
            self._latest = latest
            raise
        self._db.execute("COMMIT")
        self._at[stream] = after

    def _fold(self, before: Checkpoint, batch: Sequence[Stored]) -> Checkpoint:
        stream, facts = before.stream, before.stream == FACTS
        seq, id_, rolling = before.seq, before.event_id, before.rolling_hash
        apply = self._fact if facts else self._audit
        for stored in batch:
            if stored.seq <= seq:
                continue
            if stored.seq != seq + 1 and (facts or seq != before.seq):
                raise CannotFold(f"{stream}: sequence {stored.seq} follows {seq}: a gap")
            try:
                apply(stored)
            except UnknownEvent:
                unknown.keep(self._db, stream, stored)
            except (CannotFold, BrokenEvent, sqlite3.IntegrityError) as error:
                raise CannotFold(
                    f"{stream}: sequence {stored.seq} ({stored.subject}) cannot be applied: {error}"
                ) from error
            seq, id_ = stored.seq, stored.headers.get(MESSAGE_ID, "")
            rolling = chain.link(rolling, stored)
        return before._replace(seq=seq, event_id=id_, rolling_hash=rolling)

    def _fact(self, stored: Stored) -> None:
        event = cast("FactEvent", decode(stored.payload))
        if event.at > self._latest:
            moments.rise(self._db, stored.seq, event.at)
            self._latest = event.at
        family = stored.subject.split(".", 2)[1]
        for apply in _READERS[family]:
            apply(self._db, stored.seq, event)

    def _audit(self, stored: Stored) -> None:
        audit.apply(self._db, stored.seq, cast("AuditEvent", decode(stored.payload)))
