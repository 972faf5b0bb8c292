"""Whatever stands where, reading an answer ends in records, in counted rows or in a known fault."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.record import CAPABILITIES, MODALITIES, TOKEN_PRICES, UNIT_PRICES, ModelRecord
from events.subjects import LONGEST_TOKEN, escape
from services.providers import DIALECTS, Page, Refused
from tests.support.answers import Case, case, names

ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    "",
    "odd\x1b[2J\u2028",
    [],
    ["odd", 5, None],
    {},
    {"odd": 1},
)
LISTS = {"data", "models", "result", "results", "value", "modelSummaries", "publisherModels"}
"""Where the rows are: an odd value there is no odd row."""
PRICES = {*TOKEN_PRICES, *UNIT_PRICES}


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within *value*."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def with_odd(document: object, path: tuple[Any, ...], odd: object) -> object:
    changed: Any = deepcopy(document)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = odd
    return changed


def read(one: Case, body: bytes) -> Page | None:
    dialect = DIALECTS[one.settings.dialect]
    url = one.url or dialect.first(one.settings)[0]
    try:
        return dialect.parse(body, url, one.settings)
    except (msgspec.DecodeError, Refused):
        return None


def sound(record: ModelRecord) -> bool:
    """Tell whether *record* keeps to the contract."""
    texts = [record.name, record.owned_by, record.description, record.family, *record.aliases]
    modalities = [*record.input_modalities, *record.output_modalities]
    return (
        0 < len(escape(record.id)) <= LONGEST_TOKEN
        and record.capabilities.keys() <= set(CAPABILITIES)
        and record.prices.keys() <= PRICES
        and set(modalities) <= set(MODALITIES)
        and set(record.sources.values()) <= {"provider"}
        and not any("\x1b" in (text or "") for text in texts)
        and all((limit or 1) > 0 for limit in (record.context_window, record.max_output_tokens))
        and msgspec.json.decode(msgspec.json.encode(record), type=ModelRecord) == record
    )


@pytest.mark.parametrize("name", names())
def test_an_odd_value_anywhere_costs_at_most_its_row(name: str) -> None:
    one = case(name)
    document = msgspec.json.decode(one.answer)
    usual = read(one, bytes(one.answer))
    assert usual is not None

    for path in places(document):
        for odd in ODD:
            page = read(one, msgspec.json.encode(with_odd(document, path, odd)))
            if page is None:
                continue
            assert all(sound(row.record) for row in page.rows), (path, odd)
            if page.sent == usual.sent and path[-1] not in LISTS:
                spoilt = page.failed + page.unusable - usual.failed - usual.unusable
                assert spoilt <= 1, (path, odd)


@pytest.mark.parametrize("name", [name for name in names() if case(name).details])
def test_an_odd_detail_leaves_the_rows(name: str) -> None:
    one = case(name)
    dialect = DIALECTS[one.settings.dialect]
    page = read(one, bytes(one.answer))
    assert page is not None
    assert dialect.details is not None
    records = [row.record for row in page.rows]
    for ask, answer in zip(dialect.details(one.settings, records), one.details, strict=True):
        document = msgspec.json.decode(answer.answer)
        for path in places(document):
            for odd in ODD:
                try:
                    found = ask.merge(msgspec.json.encode(with_odd(document, path, odd)), records)
                except (msgspec.DecodeError, Refused):
                    continue
                assert [record.id for record in found] == [record.id for record in records]
                assert all(sound(record) for record in found), (path, odd)


@cache
def of_dialect(name: str) -> Case:
    return next(one for one in map(case, names()) if one.settings.dialect == name)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "name", "data", "models", "error"]), inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", DIALECTS)
@given(document=JSON)
def test_any_json_is_read_or_refused(name: str, document: object) -> None:
    page = read(of_dialect(name), msgspec.json.encode(document))

    assert page is None or all(sound(row.record) for row in page.rows)
