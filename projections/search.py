"""A filter becomes SQL, over the models as they are or as they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from projections.rows import Model, columns

SORTS = (
    "provider", "id", "name", "context_window", "max_output_tokens", "price_input",
    "price_output", "created", "first_seen_at", "updated_at", "retires_on",
)  # fmt: skip
"""What may be sorted by, each also with ``-`` before it for the other direction."""


class ModelFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which models are wanted; what is not set does not matter.

    *modality* is one that goes in or comes out; *max_input_price* is USD per 1,000,000 tokens;
    *text* are words of id, name, description or family, all of them, best first. *sort* is one of
    `SORTS`, by default provider and id. Unknown prices and windows match no bound.
    """

    provider: str | None = None
    id: str | None = None
    capability_all: tuple[str, ...] = ()
    capability_any: tuple[str, ...] = ()
    modality: str | None = None
    min_context: int | None = None
    max_input_price: float | None = None
    lifecycle: str | None = None
    availability: str | None = None
    text: str | None = None
    sort: str | None = None
    limit: int | None = None
    offset: int = 0


_HAS = (
    "EXISTS (SELECT 1 FROM model_capabilities AS c"
    " WHERE c.provider = m.provider AND c.model_id = m.id AND c.capability = ?)"
)
_HAD = "json_extract(m.capabilities, ?) = 1"
_SPEAKS = "EXISTS (SELECT 1 FROM json_each({}) WHERE value = ?)"
_WORDS = "models_fts MATCH ?"
_FOUND = "models_fts JOIN models AS m ON m.rowid = models_fts.rowid"
_TOLD = (
    "(m.id || ' ' || m.name || ' ' || coalesce(m.description, '') || ' ' || coalesce(m.family, ''))"
)

AS_OF = """(
SELECT provider, model_id AS id,
  json_extract(record, '$.name') AS name,
  json_extract(record, '$.owned_by') AS owned_by,
  json_extract(record, '$.family') AS family,
  json_extract(record, '$.description') AS description,
  json_extract(record, '$.created') AS created,
  json_extract(record, '$.knowledge_cutoff') AS knowledge_cutoff,
  json_extract(record, '$.context_window') AS context_window,
  json_extract(record, '$.max_input_tokens') AS max_input_tokens,
  json_extract(record, '$.max_output_tokens') AS max_output_tokens,
  json_extract(record, '$.open_weights') AS open_weights,
  json_extract(record, '$.input_modalities') AS input_modalities,
  json_extract(record, '$.output_modalities') AS output_modalities,
  json_extract(record, '$.capabilities') AS capabilities,
  json_extract(record, '$.prices') AS prices,
  json_extract(record, '$.lifecycle') AS lifecycle,
  json_extract(record, '$.aliases') AS aliases,
  json_extract(record, '$.sources') AS sources,
  CAST(json_extract(record, '$.prices.input') AS REAL) AS price_input,
  CAST(json_extract(record, '$.prices.output') AS REAL) AS price_output,
  json_extract(record, '$.lifecycle.state') AS lifecycle_state,
  json_extract(record, '$.lifecycle.retires_on') AS retires_on,
  CASE change WHEN 'missing' THEN 'missing' ELSE 'listed' END AS availability,
  (SELECT e.at FROM model_history AS e
    WHERE e.provider = h.provider AND e.model_id = h.model_id
    ORDER BY e.seq LIMIT 1) AS first_seen_at,
  (SELECT e.at FROM model_history AS e
    WHERE e.provider = h.provider AND e.model_id = h.model_id AND e.seq <= h.seq
      AND e.change IN ('added', 'updated')
    ORDER BY e.seq DESC LIMIT 1) AS updated_at,
  CASE change WHEN 'missing' THEN at END AS missing_since,
  seq
FROM model_history AS h
WHERE seq <= ? AND (until_seq IS NULL OR until_seq > ?) AND change <> 'removed'
)"""
"""The rows of `models` as they were at a sequence, given twice."""


class Query(msgspec.Struct, frozen=True):
    """A statement and its parameters."""

    sql: str
    parameters: list[Any]


def select(wanted: ModelFilter, as_of: int | None = None) -> Query:
    """Return the query for *wanted*, now or as of a sequence.

    Its rows have the columns of `Model`. Raises ValueError for a sort that there is none of.
    """
    live = as_of is None
    words = (wanted.text or "").split()
    source = _FOUND if live and words else f"{'models' if live else AS_OF} AS m"
    parameters: list[Any] = [] if live else [as_of, as_of]
    conditions = []
    for condition, values in _conditions(wanted, live=live):
        conditions.append(condition)
        parameters = [*parameters, *values]
    order = _order(wanted, ranked=live and bool(words))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    sql = f"SELECT {columns(Model, 'm')} FROM {source}{where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608 - built of our own words
    limit = -1 if wanted.limit is None else wanted.limit
    return Query(sql, [*parameters, limit, wanted.offset])


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
        ("m.availability = ?", wanted.availability),
    ):
        if bound is not None:
            yield column, [bound]
    if wanted.text is not None and (words := wanted.text.split()):
        if live:
            yield _WORDS, [phrases(words)]
        else:
            for word in words:
                yield f"{_TOLD} LIKE ? ESCAPE '\\'", [f"%{_escaped(word)}%"]


def _has(*, live: bool) -> str:
    return _HAS if live else _HAD


def _named(capability: str, *, live: bool) -> str:
    return capability if live else f'$."{capability}"'


def phrases(words: list[str]) -> str:
    """Return an FTS5 query for *words*, all of them: quoted, so that no word is an operator."""
    quoted = ('"' + word.replace('"', '""') + '"' for word in words)
    return " ".join(f"{word}*" for word in quoted)


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _order(wanted: ModelFilter, *, ranked: bool) -> str:
    last = "m.provider, m.id"
    if wanted.sort is None:
        return f"models_fts.rank, {last}" if ranked else last
    name = wanted.sort.removeprefix("-")
    if name not in SORTS:
        raise ValueError(f"{wanted.sort!r} is nothing to sort by; there are {', '.join(SORTS)}")
    down = " DESC" if wanted.sort.startswith("-") else ""
    return f"m.{name} IS NULL, m.{name}{down}, {last}"
