"""What the notifier must not forget, in the bucket `modelog_state`: its position, and the boxes."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from services.clock import new_id
from services.jetstream.buckets import Changed, Unanswered, keys, look, purge, write
from services.jetstream.connect import Client
from services.jetstream.streams import STATE

POSITION = "notifier.position"
BOXES = "notifier.box."
WRITER = "Modelog-Writer"
"""The header by which a write is known again: two notifiers in step write the same."""

T = TypeVar("T")


class Another(Exception):
    """Another notifier works on the same log."""

    def __init__(self) -> None:
        super().__init__("another notifier works on this log; run one of them")


class Store:
    """The keys of the only notifier; each is changed on condition that nobody else has."""

    def __init__(self, nc: Client) -> None:
        """Nothing is read yet."""
        self._nc = nc
        self._revisions: dict[str, int] = {}
        self._headers = {WRITER: new_id()}

    async def load(self, key: str, kind: type[T]) -> T | None:
        """Return what *key* holds, None where it is nothing of ours; raises as `look` does."""
        entry = await look(self._nc, STATE, key)
        self._revisions[key] = entry.revision
        if not entry.value:
            return None
        try:
            return msgspec.json.decode(entry.value, type=kind)
        except msgspec.DecodeError:
            return None

    async def save(self, key: str, value: object) -> None:
        """Write *key* until it is known to be written; raises Another, NoAnswer and ApiError."""
        data = msgspec.json.encode(value)
        while True:
            expected = self._revisions[key]
            try:
                self._revisions[key] = await write(
                    self._nc, STATE, key, data, expected=expected, headers=self._headers
                )
            except (Changed, Unanswered):
                entry = await look(self._nc, STATE, key)
                if entry.revision == expected:
                    continue
                if entry.headers.get(WRITER) != self._headers[WRITER]:
                    raise Another from None
                self._revisions[key] = entry.revision  # of an attempt without an answer
                return
            else:
                return

    async def forget(self, kept: set[str]) -> None:
        """Empty the boxes of destinations that are not among *kept*; raises as `keys` does."""
        for key in await keys(self._nc, STATE, f"{BOXES}*"):
            if key.removeprefix(BOXES) in kept:
                continue
            entry = await look(self._nc, STATE, key)
            if entry.value:
                await purge(self._nc, STATE, key, expected=entry.revision)
