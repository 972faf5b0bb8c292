"""One stream as it is read: what is wrong with a message, a batch, or an event is told."""

from __future__ import annotations

from events.envelope import MESSAGE_ID, Stored
from projections.checkpoint import Checkpoint
from projections.faults import CannotFold
from projections.fold import Folder
from projections.verify import Ids
from services.jetstream.verify import RESTORE, Finding, Tell, misnamed
from services.projector.boundaries import REMEDY, Intake, TornBatch


class Examined:
    """What has been read of one stream; `follows` while it can be folded."""

    def __init__(
        self, stream: str, folder: Folder, mark: Checkpoint | None, ids: Ids, tell: Tell
    ) -> None:
        self.stream = stream
        self.tell = tell
        self.follows = True
        self._folder = folder
        self._until = 0 if mark is None else mark.seq
        self._fold = mark is not None
        self._ids = ids
        self._intake = Intake(stream)
        self._after: int | None = None

    @property
    def open(self) -> bool:
        """Whether the rest of a batch is still to come."""
        return self.follows and self._intake.open

    def take(self, page: list[Stored]) -> None:
        """Examine the next messages; what a hole tore needs no telling of its own."""
        seen = [(stored.headers.get(MESSAGE_ID, ""), stored.seq) for stored in page]
        for stored in page:
            if wrong := misnamed(self.stream, stored):
                self.tell(wrong)
        for id_, seq, first in self._ids.repeated([one for one in seen if one[0]]):
            text = f"{self.stream}: sequence {seq} has the id {id_} of sequence {first}"
            self.tell(Finding(kind="id", stream=self.stream, seq=seq, message=text, remedy=RESTORE))
        if self._after is not None and page[0].seq != self._after + 1:
            self.follows = False
        self._after = page[-1].seq
        if self.follows:
            self._followed(page)

    def _followed(self, page: list[Stored]) -> None:
        for stored in page:
            try:
                self._intake.add(stored)
            except TornBatch as error:
                self._torn(stored.seq, str(error).removesuffix(f"; {REMEDY}"))
                return
        ready = self._intake.take()
        if self._fold and ready and ready[0].seq <= self._until:
            self._folded([stored for stored in ready if stored.seq <= self._until])

    def end(self) -> None:
        """Take the end of the stream: a batch that is still open then is torn."""
        if self.open and self._after is not None:
            self._torn(self._after, f"{self.stream}: the last batch has no end")

    def _torn(self, seq: int, why: str) -> None:
        self.follows = False
        text = f"{why}: the store was damaged"
        self.tell(Finding(kind="torn", stream=self.stream, seq=seq, message=text, remedy=RESTORE))

    def _folded(self, batch: list[Stored]) -> None:
        try:
            self._folder.fold(self.stream, batch)
        except CannotFold:
            self._applied(batch)

    def _applied(self, batch: list[Stored]) -> None:
        """Find the one event that cannot be applied."""
        for stored in batch:
            try:
                self._folder.fold(self.stream, [stored])
            except CannotFold as error:
                self.follows = False
                remedy = f"report it, if modelog wrote it; else {RESTORE}"
                self.tell(
                    Finding(
                        kind="event",
                        stream=self.stream,
                        seq=stored.seq,
                        message=str(error),
                        remedy=remedy,
                    )
                )
                return
