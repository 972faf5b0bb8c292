"""A row whose bytes are those of last time is the row of last time: it is not mapped again.

Mapping is pure, so this changes nothing but the time that it takes; most rows of most lists are the
same each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from services.providers.dialect import Row


class Recall:
    """What the rows of one provider's last list were mapped to; lives as long as its settings."""

    def __init__(self) -> None:
        self._last: dict[bytes, Row] = {}
        self._now: dict[bytes, Row] = {}

    @contextmanager
    def list(self) -> Iterator[None]:
        """Recall the rows of the list before, while one is read; then those of this one."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)
            if self._now:
                self._last, self._now = self._now, {}

    def find(self, raw: bytes) -> Row | None:
        """Return the row that *raw* was mapped to the last time, None where it was not there."""
        row = self._last.get(raw)
        if row is not None:
            self._now[raw] = row
        return row

    def keep(self, raw: bytes, row: Row) -> None:
        """Remember what *raw* was mapped to."""
        self._now[raw] = row


_CURRENT: ContextVar[Recall | None] = ContextVar("recall", default=None)


def current() -> Recall | None:
    """Return the recall of the list that is being read, None where there is none."""
    return _CURRENT.get()
