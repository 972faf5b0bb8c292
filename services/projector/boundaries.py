"""Where a transaction may end: behind a whole batch, never inside one."""

from __future__ import annotations

from events.envelope import Stored
from events.subjects import AUDIT

BATCH = "Nats-Batch-Id"
PLACE = "Nats-Batch-Sequence"
COMMIT = "Nats-Batch-Commit"
REMEDY = "run `modelog verify`"


class TornBatch(Exception):
    """A batch whose rest is not in the stream: the store was damaged; the projector stops."""


class Intake:
    """What was read from one stream and not folded yet."""

    def __init__(self, stream: str) -> None:
        """Nothing is read yet."""
        self._stream = stream
        self._read: list[Stored] = []
        self._whole = 0
        self._open: str | None = None
        self._place = 0
        self._first = True

    def __len__(self) -> int:
        """Count what is ready to be folded."""
        return self._whole

    @property
    def open(self) -> bool:
        """Whether the end of a batch is still to come."""
        return self._open is not None

    def add(self, stored: Stored) -> None:
        """Take the next message in; raise TornBatch where it cannot follow the last one."""
        headers = stored.headers
        batch = headers.get(BATCH)
        if self._open is not None and batch != self._open:
            raise TornBatch(
                f"{self._stream}: batch {self._open} has no end before {stored.seq}; {REMEDY}"
            )
        self._read.append(stored)
        if batch is None:
            self._whole = len(self._read)
        else:
            self._step(stored, batch, int(headers[PLACE]))
        self._first = False

    def _step(self, stored: Stored, batch: str, place: int) -> None:
        # the age limit of the audit stream may have taken the beginning of its first batch
        cut = self._first and self._stream == AUDIT
        if place != self._place + 1 and not cut:
            raise TornBatch(
                f"{self._stream}: batch {batch} jumps from its message {self._place} to {place} "
                f"at sequence {stored.seq}; {REMEDY}"
            )
        if COMMIT in stored.headers:
            self._open, self._place = None, 0
            self._whole = len(self._read)
        else:
            self._open, self._place = batch, place

    def take(self) -> list[Stored]:
        """Hand over everything up to the last end of a batch."""
        taken = self._read[: self._whole]
        del self._read[: self._whole]
        self._whole = 0
        return taken
