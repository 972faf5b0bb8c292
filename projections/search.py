"""A filter becomes SQL, over the models as they are or as they were."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from projections.history import AS_OF, VERSIONS
from projections.models import FULL_TEXT, TOKENIZE, TRAITS
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


_WORDS = "models_fts MATCH ?"
_FOUND = "models_fts JOIN models AS m ON m.rowid = models_fts.rowid"


class Query(NamedTuple):
    """A statement and its parameters."""

    sql: str
    parameters: list[Any]


def select(
    wanted: ModelFilter, as_of: int | None = None, among: Sequence[int] | None = None
) -> Query:
    """Return the query for *wanted*, now or as of a sequence.

    Its rows have the columns of `Model`, and behind them the rank of the words where it is the
    words that they are sorted by. There is an index of words only for now: as of a
    sequence, text is looked for in what `found` indexes. Raises ValueError for a sort that there is
    none of.
    """
    words = as_of is None and bool(wanted.words)
    ranked = words and wanted.sort is None
    table, number = ("models", "m.rowid") if as_of is None else (VERSIONS, "m.seq")
    conditions: list[tuple[str, list[Any]]] = []
    if as_of is not None:
        conditions.append((AS_OF, [as_of, as_of]))
    if among is not None:
        listed = msgspec.json.encode(among).decode()
        conditions.append(("m.seq IN (SELECT value FROM json_each(?))", [listed]))
    conditions += _conditions(wanted, live=as_of is None)
    if wanted.after is not None:
        conditions.append(_behind(wanted.after, wanted.sort, ranked=ranked))
    where = " AND ".join(condition for condition, _ in conditions) or "TRUE"
    parameters = [value for _, values in conditions for value in values]
    order = _order(wanted.sort, ranked=ranked)
    rank = ", models_fts.rank" if ranked else ""
    rows, source = columns(Model, "m"), _FOUND if words else f"{table} AS m"
    end = f"WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"
    if wanted.limit is None:
        sql = f"SELECT {rows}{rank} FROM {source} {end}"  # noqa: S608 - built of our own words
        return Query(sql, [*parameters, -1, wanted.offset])
    # a page is looked for in an index that holds all it needs, and only then are its rows read
    sql = (
        f"WITH page AS (SELECT {number} AS n{rank} FROM {source} {end})"  # noqa: S608 - as above
        f" SELECT {rows}{rank and ', page.rank'}"
        f" FROM page CROSS JOIN {table} AS m ON {number} = page.n"
        f" ORDER BY {order.replace('models_fts.', 'page.')}"
    )
    return Query(sql, [*parameters, wanted.limit, wanted.offset])


def found(
    ask: Ask, wanted: ModelFilter, as_of: int | None = None
) -> Iterator[tuple[Place, tuple[Any, ...]]]:
    """Yield the rows of `Model` that are *wanted*, now or as of a sequence, each with its place.

    Raises ValueError for a sort that there is none of.
    """
    if as_of is None or not wanted.words:
        yield from _placed(ask, select(wanted, as_of), wanted.sort)
        return
    # the words of that time are indexed, then the other wishes are looked for among what has them
    ranked = {seq: place for place, seq in enumerate(_ranked(ask, wanted.words, as_of))}
    plain = msgspec.structs.replace(wanted, text=None, limit=None, offset=0)
    if wanted.sort is None:
        plain = msgspec.structs.replace(plain, after=None)
    rows = list(_placed(ask, select(plain, as_of, list(ranked)), wanted.sort))
    if wanted.sort is None:
        after, seq = wanted.after, Model.__struct_fields__.index("seq")
        placed = [(place._replace(key=ranked[row[seq]]), row) for place, row in rows]
        rows = sorted(one for one in placed if after is None or one[0] > after)
    end = None if wanted.limit is None else wanted.offset + wanted.limit
    yield from rows[wanted.offset : end]


def _placed(ask: Ask, query: Query, sort: str | None) -> Iterator[tuple[Place, tuple[Any, ...]]]:
    width = len(Model.__struct_fields__)
    by = None if sort is None else Model.__struct_fields__.index(sort.removeprefix("-"))
    for row in ask(*query):
        beside = row[width] if len(row) > width else None
        key = beside if by is None else row[by]
        yield Place(key, row[0], row[1]), row[:width]


def _ranked(ask: Ask, wanted: list[str], as_of: int) -> list[int]:
    """Return the sequences of the versions then valid that have all words *wanted*, best first.

    They are indexed for this one question, as `models_fts` indexes the models of now.
    """
    words, places = ", ".join(FULL_TEXT), ", ".join("?" * (2 + len(FULL_TEXT)))
    rows = ask(
        f"SELECT seq, {words} FROM {VERSIONS} AS m WHERE {AS_OF} ORDER BY provider, id",  # noqa: S608 - ours
        (as_of, as_of),
    )
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        db.execute(
            "CREATE VIRTUAL TABLE models_fts USING"
            f" fts5(seq UNINDEXED, {words}, tokenize='{TOKENIZE}')"
        )
        db.execute("BEGIN")
        db.executemany(
            f"INSERT INTO models_fts (rowid, seq, {words}) VALUES ({places})",  # noqa: S608 - ours
            ((number, *row) for number, row in enumerate(rows)),
        )
        return [
            seq
            for (seq,) in db.execute(
                f"SELECT seq FROM models_fts WHERE {_WORDS} ORDER BY rank, rowid",  # noqa: S608 - ours
                [phrases(wanted)],
            )
        ]
    finally:
        db.close()


def _conditions(wanted: ModelFilter, *, live: bool) -> Iterator[tuple[str, list[Any]]]:
    for column, text in (("m.provider = ?", wanted.provider), ("m.id = ?", wanted.id)):
        if text is not None:
            yield column, [text]
    for one in wanted.capability_all:
        yield "m.traits & ? <> 0", [TRAITS.get(one, 0)]
    if wanted.capability_any:
        yield "m.traits & ? <> 0", [sum({TRAITS.get(one, 0) for one in wanted.capability_any})]
    if wanted.modality is not None:
        yield "m.traits & ? <> 0", [TRAITS.get(wanted.modality, 0)]
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
