"""One page of an answer: as many rows as are asked for, and as one message has room for."""

from __future__ import annotations

from typing import Any

import msgspec

from events.base import Instant
from events.queries import LARGEST_REPLY, Query
from projections import Catalogue
from services.moment import moment
from services.projector.cursors import NO_CURSOR, BadCursor, Cursor, Key, question_of, read, spell
from services.projector.questions import QUESTIONS, Asked, Surroundings

ENVELOPE = 1_000
"""Bytes of a reply besides its items."""
MOMENTS = ("as_of", "from_", "to")
"""Keys that are a SEQ or a TIME."""


class NoRoom(Exception):
    """A row that no message has room for."""


def page(catalogue: Catalogue, name: str, request: Query, here: Surroundings) -> bytes:
    """Return the reply to *request*, the question *name*.

    Its `next` stands for the moments of the first page, however much later it comes back. Raises
    NotFound, NoRoom, and ValueError or OverflowError for what is no such question.
    """
    question = question_of(name, request)
    after = None if request.after is None else read(request.after, question)
    moments = _moments(catalogue, request, here.now, after)
    asked = Asked(
        msgspec.structs.replace(request, **moments),
        after.key if after else None,
        request.limit,
        here,
        {},
        {},
    )
    items: list[msgspec.Raw] = []
    left, following = LARGEST_REPLY - ENVELOPE, None
    last: Key = []
    for key, row in QUESTIONS[name].rows(catalogue, asked):
        encoded = msgspec.json.encode(row)
        left -= len(encoded) + 1
        if len(items) == request.limit or left < 0:
            if not items:
                raise NoRoom(f"{name}: one row of {len(encoded)} bytes")
            following = spell(Cursor(question, [*moments.values()], last))
            break
        items.append(msgspec.Raw(encoded))
        last = key
    seq = moments.get("as_of", catalogue.seq())
    totals, summary = asked.totals or msgspec.UNSET, asked.summary or msgspec.UNSET
    return msgspec.json.encode(_Reply(seq, items, following, totals, summary))


class _Reply(msgspec.Struct, frozen=True):
    """A `Page` whose items are JSON already."""

    seq: int
    items: list[msgspec.Raw]
    next: str | None
    totals: dict[str, Any] | msgspec.UnsetType
    summary: dict[str, Any] | msgspec.UnsetType


def _moments(
    catalogue: Catalogue, request: Query, now: Instant, after: Cursor | None
) -> dict[str, int]:
    """Return the sequence of each moment in *request*: on a later page that of the first one."""
    found: dict[str, int] = {}
    for name in MOMENTS:
        if name not in request.__struct_fields__:
            continue
        said: int | str | None = getattr(request, name)
        if said is not None:
            found[name] = catalogue.resolve(
                moment(said, now=now) if isinstance(said, str) else said
            )
        elif name == "to":
            found[name] = catalogue.seq()
    if after is None:
        return found
    if len(after.moments) != len(found):
        raise BadCursor(NO_CURSOR)
    return dict(zip(found, after.moments, strict=True))
