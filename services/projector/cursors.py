"""Where a page ended: a text that asks for the next one, of the same question and moment."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

import msgspec

from events.queries import Query

Key = list[str | int | float | None]
"""What a row is ordered by."""
NO_CURSOR = "after: no cursor; take the `next` of a reply as it is"


class BadCursor(ValueError):
    """A text that is no cursor of the question that it comes with."""


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Behind which row a page begins; *moments* are the sequences that its times have meant."""

    question: str
    moments: list[int]
    key: Key


def spell(cursor: Cursor) -> str:
    """Return *cursor* as a text."""
    return urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def read(text: str, question: str) -> Cursor:
    """Return the cursor that *text* is, of *question*; raises BadCursor."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cursor = msgspec.json.decode(raw, type=Cursor)
    except ValueError as error:
        raise BadCursor(NO_CURSOR) from error
    if cursor.question != question:
        raise BadCursor("after: the cursor of another question; ask the same one again")
    return cursor


def question_of(name: str, asked: Query) -> str:
    """Return what tells a question from others, however large its pages are."""
    plain = msgspec.structs.replace(asked, min_seq=None, limit=1, after=None)
    said = msgspec.json.encode([name, plain], order="sorted")
    return blake2b(said, digest_size=8).hexdigest()
