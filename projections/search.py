"""A filter becomes SQL, over the models as they are or as they were."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from projections.history import AS_OF
from projections.models import FULL_TEXT, TOKENIZE
from projections.rows import Ask, Model, columns

SORTS = (
    "provider", "id", "name", "context_window", "max_output_tokens", "price_input",
    "price_output", "created", "first_seen_at", "updated_at", "retires_on",
)  # fmt: skip
"""What may be sorted by, each also with ``-`` before it for the other direction."""


class Place(NamedTuple):
    """Where a model stands in an order: *key* is what it is sorted by besides provider and id."""

    key: str | int | float | None
    provider: str
    id: str


class ModelFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which models are wanted; what is not set does not matter.

    *modality* is one that goes in or comes out; *max_input_price* is USD per 1,000,000 tokens;
    *overdue_on* a date before which the provider should have stopped to list the model;
    *text* are words of id, name, description or family, all of them, best first. *sort* is one of
    `SORTS`, by default provider and id. Unknown prices and windows match no bound. What stands at
    *after* or before it is left out: a page behind another one.
    """

    provider: str | None = None
    id: str | None = None
    capability_all: tuple[str, ...] = ()
    capability_any: tuple[str, ...] = ()
    modality: str | None = None
    min_context: int | None = None
    max_input_price: float | None = None
    lifecycle: str | None = None
    overdue_on: str | None = None
    availability: str | None = None
    text: str | None = None
    sort: str | None = None
    limit: int | None = None
    offset: int = 0
    after: Place | None = None

    @property
    def words(self) -> list[str]:
        """The words of *text*."""
        return (self.text or "").split()


_HAS = (
    "EXISTS (SELECT 1 FROM model_capabilities AS c"
    " WHERE c.provider = m.provider AND c.model_id = m.id AND c.capability = ?)"
)
_HAD = "json_extract(m.capabilities, ?) = 1"
_SPEAKS = "EXISTS (SELECT 1 FROM json_each({}) WHERE value = ?)"
_WORDS = "models_fts MATCH ?"
_FOUND = "models_fts JOIN models AS m ON m.rowid = models_fts.rowid"


class Query(NamedTuple):
    """A statement and its parameters."""

    sql: str
    parameters: list[Any]


def select(wanted: ModelFilter, as_of: int | None = None) -> Query:
    """Return the query for *wanted*, now or as of a sequence.

    Its rows have the columns of `Model`, and behind them the rank of the words where it is the
    words that they are sorted by. There is an index of words only for now: as of a
    sequence, text is looked for in what `found` indexes. Raises ValueError for a sort that there is
    none of.
    """
    live = as_of is None
    words = live and bool(wanted.words)
    ranked = words and wanted.sort is None
    source = _FOUND if words else f"{'models' if live else AS_OF} AS m"
    parameters: list[Any] = [] if live else [as_of, as_of]
    conditions = []
    for condition, values in _conditions(wanted, live=live):
        conditions.append(condition)
        parameters = [*parameters, *values]
    if wanted.after is not None:
        condition, values = _behind(wanted.after, wanted.sort, ranked=ranked)
        conditions.append(condition)
        parameters = [*parameters, *values]
    order = _order(wanted.sort, ranked=ranked)
    rank = ", models_fts.rank" if ranked else ""
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    sql = (
        f"SELECT {columns(Model, 'm')}{rank} FROM {source}{where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608 - built of our own words
    )
    limit = -1 if wanted.limit is None else wanted.limit
    return Query(sql, [*parameters, limit, wanted.offset])


def found(
    ask: Ask, wanted: ModelFilter, as_of: int | None = None
) -> Iterator[tuple[Place, tuple[Any, ...]]]:
    """Yield the rows of `Model` that are *wanted*, now or as of a sequence, each with its place.

    Raises ValueError for a sort that there is none of.
    """
    if as_of is None or not wanted.words:
        query = select(wanted, as_of)
        width = len(Model.__struct_fields__)
        by = wanted.sort and Model.__struct_fields__.index(wanted.sort.removeprefix("-"))
        for row in ask(*query):
            key = row[width] if len(row) > width else by and row[by]
            yield Place(key, row[0], row[1]), row[:width]
        return
    # all models of that time are indexed, then the other wishes are looked for among the found
    every = list(ask(*select(ModelFilter(), as_of)))
    rank = {every[number][:2]: place for place, number in enumerate(_ranked(every, wanted.words))}
    plain = msgspec.structs.replace(wanted, text=None, limit=None, offset=0)
    after = wanted.after
    if wanted.sort is None:
        plain = msgspec.structs.replace(plain, after=None)
    rows = [one for one in found(ask, plain, as_of) if one[1][:2] in rank]
    if wanted.sort is None:
        placed = [(Place(rank[row[:2]], row[0], row[1]), row) for _, row in rows]
        rows = sorted(one for one in placed if after is None or one[0] > after)
    end = None if wanted.limit is None else wanted.offset + wanted.limit
    yield from rows[wanted.offset : end]


def _ranked(rows: Iterable[tuple[Any, ...]], wanted: list[str]) -> list[int]:
    """Return the places of those *rows* of `Model` that have all words *wanted*, best first.

    They are indexed for this one question, as `models_fts` indexes the models of now.
    """
    places = [Model.__struct_fields__.index(column) for column in FULL_TEXT]
    words = ", ".join(FULL_TEXT)
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        db.execute(f"CREATE VIRTUAL TABLE models_fts USING fts5({words}, tokenize='{TOKENIZE}')")
        db.executemany(
            f"INSERT INTO models_fts (rowid, {words}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - ours
            ((number, *(row[place] for place in places)) for number, row in enumerate(rows)),
        )
        found = db.execute(
            f"SELECT rowid FROM models_fts WHERE {_WORDS} ORDER BY rank, rowid",  # noqa: S608 - ours
            [phrases(wanted)],
        ).fetchall()
    finally:
        db.close()
    return [number for (number,) in found]


def _conditions(wanted: ModelFilter, *, live: bool) -> Iterator[tuple[str, list[Any]]]:
    for column, text in (("m.provider = ?", wanted.provider), ("m.id = ?", wanted.id)):
        if text is not None:
            yield column, [text]
    for capability in wanted.capability_all:
        yield _has(live=live), [_named(capability, live=live)]
    if wanted.capability_any:
        each = " OR ".join([_has(live=live)] * len(wanted.capability_any))
        yield f"({each})", [_named(one, live=live) for one in wanted.capability_any]
    if wanted.modality is not None:
        either = " OR ".join(
            _SPEAKS.format(column) for column in ("m.input_modalities", "m.output_modalities")
        )
        yield f"({either})", [wanted.modality] * 2
    for column, bound in (
        ("m.context_window >= ?", wanted.min_context),
        ("m.price_input <= ?", wanted.max_input_price),
        ("m.lifecycle_state = ?", wanted.lifecycle),
        ("m.availability = 'listed' AND m.retires_on < ?", wanted.overdue_on),
        ("m.availability = ?", wanted.availability),
    ):
        if bound is not None:
            yield column, [bound]
    if live and wanted.words:
        yield _WORDS, [phrases(wanted.words)]


def _has(*, live: bool) -> str:
    return _HAS if live else _HAD


def _named(capability: str, *, live: bool) -> str:
    return capability if live else f'$."{capability}"'


def phrases(words: list[str]) -> str:
    """Return an FTS5 query for *words*, all of them, each the beginning of one.

    They are quoted, so that no word is an operator, and any text is a legal question.
    """
    legal = (word.encode(errors="replace").decode().replace("\0", " ") for word in words)
    quoted = ('"' + word.replace('"', '""') + '"' for word in legal)
    return " ".join(f"{word}*" for word in quoted)


def _column(sort: str) -> str:
    """Return what *sort* sorts by."""
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise ValueError(f"{sort!r} is nothing to sort by; there are {', '.join(SORTS)}")
    return f"m.{name} COLLATE NOCASE" if name == "name" else f"m.{name}"


def _order(sort: str | None, *, ranked: bool) -> str:
    last = "m.provider, m.id"
    if sort is None:
        return f"models_fts.rank, {last}" if ranked else last
    column = _column(sort)
    down = " DESC" if sort.startswith("-") else ""
    return f"{column} IS NULL, {column}{down}, {last}"


def _behind(after: Place, sort: str | None, *, ranked: bool) -> tuple[str, list[Any]]:
    """Return the condition under which a model stands behind *after* in the order of *sort*."""
    last, where = "(m.provider, m.id) > (?, ?)", [after.provider, after.id]
    if sort is None:
        if ranked:
            return "(models_fts.rank, m.provider, m.id) > (?, ?, ?)", [*after]
        return last, where
    column = _column(sort)
    if after.key is None:
        return f"({column} IS NULL AND {last})", where
    beyond = "<" if sort.startswith("-") else ">"
    condition = f"({column} IS NULL OR {column} {beyond} ? OR ({column} = ? AND {last}))"
    return condition, [after.key, after.key, *where]
