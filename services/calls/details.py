"""What a list leaves to further calls (Ollama's show, xAI's kinds): it adds fields, never rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from events.decide.providers import Settings
from events.record import ModelRecord
from services.calls.call import Outcome
from services.calls.decoding import UNREADABLE
from services.providers import Dialect, Request, Row


class NotAnswered(Exception):
    """A detail for which no answer came: the fetch has failed with *outcome*."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


async def detailed(
    dialect: Dialect,
    settings: Settings,
    rows: Sequence[Row],
    ask: Callable[[Request], Awaitable[Outcome]],
) -> list[ModelRecord]:
    """Return the records of *rows* with all that the dialect's further calls say about them.

    An answer that is an error, or does not decode, leaves its fields unknown. Raises NotAnswered
    where no answer came at all.
    """
    records = [row.record for row in rows]
    if dialect.details is None:
        return records
    for detail in dialect.details(settings, records):
        outcome = await ask(detail.request)
        if outcome.status is None or outcome.class_.startswith(("timeout", "connect")):
            raise NotAnswered(outcome)
        if outcome.class_ != "ok":
            continue
        try:
            records = detail.merge(outcome.body, records)
        except UNREADABLE:
            continue
    return records
