"""Fold events into every read model; rows and the checkpoint change in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import cast, get_args

from events import chain
from events.alerts import AlertEvent
from events.audit import AuditEvent
from events.base import Instant
from events.codec import BrokenEvent, UnknownEvent, decode, tag_of
from events.envelope import MESSAGE_ID, Stored
from events.health import HealthEvent
from events.models import CapabilityEvent
from events.providers import ProviderEvent
from events.subjects import AUDIT, FACTS
from projections import (
    alerts,
    audit,
    checkpoint,
    health,
    history,
    models,
    moments,
    providers,
    unknown,
)
from projections.checkpoint import Checkpoint
from projections.faults import CannotFold, Fenced, MissingRow

PROJECTION = 4
"""The version of all that is written here; a file of another one is built anew."""

_READERS: dict[type, tuple[Callable[..., None], ...]] = {
    **dict.fromkeys(get_args(HealthEvent), (health.apply,)),
    **dict.fromkeys(get_args(AlertEvent), (alerts.apply,)),
    **dict.fromkeys(get_args(history.Turn), (history.apply, models.apply)),
    **dict.fromkeys(get_args(CapabilityEvent), (models.apply,)),
    **dict.fromkeys(get_args(ProviderEvent), (providers.apply,)),
}
"""Which read models take a fact."""

_INAPPLICABLE = (CannotFold, BrokenEvent, sqlite3.IntegrityError, ValueError, OverflowError)
"""What an event raises that cannot be applied: among them a number that SQLite has no room for."""


class Folder:
    """The one writer of a catalogue: it knows where the checkpoints are."""

    def __init__(self, db: sqlite3.Connection, epochs: Mapping[str, str]) -> None:
        """Go on from the checkpoints in *db*, or begin streams of *epochs*.

        Raises Fenced where a checkpoint is of another epoch.
        """
        self._db = db
        at = checkpoint.read(db)
        for stream, epoch in epochs.items():
            if stream not in at:
                checkpoint.begin(db, stream, epoch, chain.start(stream), PROJECTION)
            elif at[stream].epoch != epoch:
                raise Fenced(
                    f"{stream}: the catalogue was folded from another log (epoch "
                    f"{at[stream].epoch}, not {epoch}); replay this one into a new catalogue"
                )
        self._at = checkpoint.read(db)
        self._latest = moments.latest(db)

    def at(self, stream: str) -> int:
        """Return the last sequence of *stream* that is folded."""
        return self._at[stream].seq

    def fold(self, stream: str, batch: Sequence[Stored]) -> None:
        """Fold *batch* of *stream*, which must end where a batch of the log ends.

        What is folded already is passed over. Raises CannotFold, of which MissingRow and Fenced
        are kinds, and what SQLite raises; nothing of *batch* is then in the catalogue.
        """
        before, latest = self._at[stream], self._latest
        self._db.execute("BEGIN IMMEDIATE")
        try:
            checkpoint.move(self._db, before, before)  # two writers would trip over each other
            after = self._fold(before, batch)
            checkpoint.move(self._db, before, after)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk ends it, too
                self._db.execute("ROLLBACK")
            self._latest = latest
            raise
        self._at[stream] = after

    def _fold(self, before: Checkpoint, batch: Sequence[Stored]) -> Checkpoint:
        stream, facts = before.stream, before.stream == FACTS
        seq, id_, rolling = before.seq, before.event_id, before.rolling_hash
        apply = self._fact if facts else self._audit
        for stored in batch:
            if stored.seq <= seq:
                continue
            # the age limit of the audit stream takes its oldest events, before what is read next
            if stored.seq != seq + 1 and (facts or seq != before.seq):
                raise CannotFold(f"{stream}: sequence {stored.seq} follows {seq}: a gap")
            try:
                apply(stored)
            except _INAPPLICABLE as error:
                kind = MissingRow if isinstance(error, MissingRow) else CannotFold
                raise kind(
                    f"{stream}: sequence {stored.seq} ({stored.subject}) cannot be applied: {error}"
                ) from error
            seq, id_ = stored.seq, stored.headers.get(MESSAGE_ID, "")
            rolling = chain.link(rolling, stored)
        return before._replace(seq=seq, event_id=id_, rolling_hash=rolling)

    def _fact(self, stored: Stored) -> None:
        seq = stored.seq
        try:
            event = decode(stored.payload)
        except UnknownEvent:
            self._rise(seq, unknown.keep(self._db, FACTS, stored))
            return
        self._rise(seq, event.at)
        readers = _READERS.get(type(event))
        if readers is None:
            raise CannotFold(f"{tag_of(event)} is no fact")
        for apply in readers:
            apply(self._db, seq, event)

    def _rise(self, seq: int, at: Instant) -> None:
        if at > self._latest:
            moments.rise(self._db, seq, at)
            self._latest = at

    def _audit(self, stored: Stored) -> None:
        try:
            event = decode(stored.payload)
        except UnknownEvent:
            unknown.keep(self._db, AUDIT, stored)
            return
        if type(event) in _READERS:
            raise CannotFold(f"{tag_of(event)} is a fact")
        audit.apply(self._db, stored.seq, cast("AuditEvent", event))
