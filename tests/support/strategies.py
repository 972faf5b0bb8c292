"""Hypothesis strategies: any event from its type, legal ones, and what a small provider shows."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import msgspec
import msgspec.inspect
from hypothesis import strategies as st

from events import Event, types
from events.base import Instant, instant_of, later
from events.decide.providers import Settings
from events.record import (
    CAPABILITIES,
    MODALITIES,
    TOKEN_PRICES,
    UNIT_PRICES,
    Lifecycle,
    ModelRecord,
    decimal_text,
    stated,
    with_leaves,
)
from events.subjects import LONGEST_TOKEN, escape

INTEGERS = st.integers(-(2**63), 2**63 - 1)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | INTEGERS
    | st.floats(allow_nan=False, allow_infinity=False)
    # text of hypothesis holds no lone surrogates: there is no UTF-8 for them
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
"""Any value that JSON has."""

EPOCH = datetime.fromisoformat("2026-01-01T00:00:00.000Z")
START = instant_of(EPOCH)
instants = st.integers(0, 10**11).map(lambda ms: instant_of(EPOCH + timedelta(milliseconds=ms)))
"""Instants of some three years, in the one form."""

provider_names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True)
model_ids = st.text(min_size=1, max_size=60).filter(lambda id_: len(escape(id_)) <= LONGEST_TOKEN)
"""Ids that have a subject: any characters, not too many."""


def of(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Return any value of a struct: whatever its types allow, sensible or not."""
    return _of(msgspec.inspect.type_info(kind))


def _of(info: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: _of(field.type) for field in fields})
        case msgspec.inspect.UnionType(types=members):
            return st.one_of(*map(_of, members))
        case msgspec.inspect.ListType(item_type=item):
            return st.lists(_of(item), max_size=3)
        case msgspec.inspect.VarTupleType(item_type=item):
            return st.lists(_of(item), max_size=3).map(tuple)
        case msgspec.inspect.TupleType(item_types=items):
            return st.tuples(*map(_of, items))
        case msgspec.inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_of(key), _of(value), max_size=3)
        case msgspec.inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case msgspec.inspect.StrType():
            return st.text(max_size=12)
        case msgspec.inspect.IntType():
            return INTEGERS
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.NoneType():
            return st.none()
        case msgspec.inspect.AnyType():
            return JSON
        case _:
            raise NotImplementedError(info)


def events_of(tag: str) -> st.SearchStrategy[Event]:
    """Return any event of *tag*."""
    return of(types()[tag])


def legal(tag: str) -> st.SearchStrategy[Event]:
    """Return events of *tag* as modelog appends them: their names and ids have a subject."""
    return st.builds(_legal, events_of(tag), provider_names, model_ids, capabilities, instants)


def _legal(event: Event, provider: str, id_: str, capability: str, at: Instant) -> Event:
    said: dict[str, Any] = msgspec.to_builtins(event)
    names = {
        "at": at,
        "provider": provider,
        "model_id": id_,
        "capability": capability,
        "process": f"{provider}.{capability}",
        "command": f"{provider}.{capability}",
    }
    said |= {name: value for name, value in names.items() if name in said}
    if "model" in said:
        said["model"]["id"] = id_
    return msgspec.convert(said, type(event))


capabilities = st.sampled_from(CAPABILITIES)
amounts = st.decimals("0", "1000", places=6).map(decimal_text)
dates = st.dates().map(str)


def _words(words: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(words), unique=True, max_size=3).map(sorted)


def records(ids: st.SearchStrategy[str] = model_ids) -> st.SearchStrategy[ModelRecord]:
    """Return whole records as a dialect makes them, each leaf stated by the provider."""
    texts, numbers = st.none() | st.text(max_size=8), st.none() | st.integers(0, 10**7)
    return ids.flatmap(
        lambda id_: st.builds(
            ModelRecord,
            id=st.just(id_),
            name=st.just(id_) | st.text(max_size=8),
            owned_by=texts,
            family=texts,
            description=texts,
            created=st.none() | dates,
            knowledge_cutoff=st.none() | dates,
            context_window=numbers,
            max_input_tokens=numbers,
            max_output_tokens=numbers,
            input_modalities=_words(MODALITIES),
            output_modalities=_words(MODALITIES),
            capabilities=st.dictionaries(capabilities, st.booleans(), max_size=4),
            prices=st.dictionaries(
                st.sampled_from(TOKEN_PRICES + UNIT_PRICES), amounts, max_size=3
            ),
            lifecycle=st.builds(
                Lifecycle,
                state=st.sampled_from(("preview", "active", "deprecated", "retired")),
                deprecated_on=st.none() | dates,
                retires_on=st.none() | dates,
                replacement=texts,
            ),
            aliases=st.lists(st.text(max_size=5), unique=True, max_size=2).map(sorted),
            open_weights=st.none() | st.booleans(),
        )
    ).map(lambda record: stated(record, "provider"))


SMALL: dict[str, tuple[Any, Any]] = {
    "context_window": (1000, 2000),
    "name": ("One", "Two"),
    "capabilities.vision": (True, False),
    "capabilities.tools": (True, False),
    "lifecycle.state": ("preview", "deprecated"),
    "aliases": ([], ["x"]),
}
"""Few leaves with few values, so that records of one id differ in some and agree in others."""
IDS = ("a", "b.c", "d/*", "e>")
_ALL = 3 ** len(SMALL)


@cache
def _small(id_: str, number: int) -> ModelRecord:
    """Return the record whose leaves the digits of *number*, to the base of 3, say.

    Numbers from `_ALL` on are those records again, with the first leaf from another source.
    """
    again, number = divmod(number, _ALL)
    values: dict[str, tuple[Any, str]] = {}
    for path, choices in SMALL.items():
        number, digit = divmod(number, 3)
        if digit:
            source = "models.dev" if again and not values else "provider"
            values[path] = (choices[digit - 1], source)
    return with_leaves(ModelRecord(id=id_, name=id_), values)


_numbers = st.sampled_from([0, 1, 40, _ALL - 1]) | st.integers(0, 2 * _ALL - 1)


def small_records(id_: str) -> st.SearchStrategy[ModelRecord]:
    """Return records of *id_* with some of the leaves of `SMALL`; one of them may be enriched."""
    return st.builds(_small, st.just(id_), _numbers)


def small_lists() -> st.SearchStrategy[tuple[ModelRecord, ...]]:
    """Return the records of some of `IDS`."""
    return st.tuples(*[st.none() | _numbers for _ in IDS]).map(
        lambda numbers: tuple(
            [
                _small(id_, number)
                for id_, number in zip(IDS, numbers, strict=True)
                if number is not None
            ]
        )
    )


class Fetch(NamedTuple):
    """One run of a refresher: how long after the last one, what it saw, how it ended.

    *end* is what became of it: its outcome, or a crash behind that many of its facts.
    """

    gap: timedelta
    records: tuple[ModelRecord, ...]
    complete: bool
    end: str


GAPS = [timedelta(0), timedelta(milliseconds=1), timedelta(hours=1), timedelta(hours=9)]
fetches = st.builds(
    Fetch,
    gap=st.sampled_from(GAPS),
    records=small_lists(),
    complete=st.booleans() | st.just(value=True),
    end=st.sampled_from(
        ["succeeded", "succeeded", "succeeded", "failed", "quarantined", "crashed"]
    ),
)
histories = st.lists(fetches, max_size=12)
"""What a refresher may live through with one provider."""


def whole(history: list[Fetch]) -> list[Fetch]:
    """Return *history* without crashes, which forget what a run saw: those runs succeed."""
    return [
        fetch._replace(end="succeeded") if fetch.end == "crashed" else fetch for fetch in history
    ]


def moments(history: list[Fetch], since: Instant = START) -> list[Instant]:
    """Return when each fetch of *history*, which begins at *since*, saw its list."""
    found, moment = [], since
    for fetch in history:
        moment = later(moment, fetch.gap)
        found.append(moment)
    return found


def settings(
    names: st.SearchStrategy[str] = provider_names,
) -> st.SearchStrategy[Settings]:
    """Return settings of a provider: legal name, anything else."""
    return st.builds(
        lambda name, any_: msgspec.structs.replace(any_, name=name), names, of(Settings)
    )
