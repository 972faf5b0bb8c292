from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.record import (
    CAPABILITIES,
    FEATURES,
    KINDS,
    LIFECYCLE,
    LISTS,
    MAPS,
    SCALARS,
    TOKEN_PRICES,
    UNIT_PRICES,
    Change,
    Lifecycle,
    ModelRecord,
    decimal_text,
    differences,
    leaves,
    stated,
    with_leaves,
)
from tests.support.strategies import records, small_records

BARE = ModelRecord(id="m", name="m")
some = settings(max_examples=40)
pairs = st.tuples(records(st.just("m")), records(st.just("m"))) | st.tuples(
    small_records("m"), small_records("m")
)


def test_every_field_of_a_record_has_leaves() -> None:
    fields = {field.name for field in msgspec.structs.fields(ModelRecord)}

    assert {*SCALARS, *LISTS, *MAPS, "id", "lifecycle", "sources"} == fields
    assert set(LIFECYCLE) == {field.name for field in msgspec.structs.fields(Lifecycle)}


def test_no_word_is_listed_twice() -> None:
    assert len({*KINDS, *FEATURES}) == len(CAPABILITIES) == 27
    assert len({*TOKEN_PRICES}) == 9
    assert len({*UNIT_PRICES}) == 9


def test_the_unknown_is_no_leaf() -> None:
    record = ModelRecord(
        id="m",
        name="M",
        context_window=0,
        open_weights=False,
        capabilities={"vision": False},
        prices={"input": "0"},
        aliases=["a"],
        sources={"input_modalities": "provider"},
    )

    assert leaves(BARE) == {"name": "m", "lifecycle.state": "active"}
    assert leaves(record) == {
        "name": "M",
        "context_window": 0,
        "open_weights": False,
        "capabilities.vision": False,
        "prices.input": "0",
        "aliases": ["a"],
        "input_modalities": [],
        "lifecycle.state": "active",
    }


@some
@given(pairs)
def test_a_change_is_a_leaf_that_differs(pair: tuple[ModelRecord, ModelRecord]) -> None:
    old, new = pair
    before, after = leaves(old), leaves(new)
    changed = differences(old, new)
    paths = [change.path for change in changed]
    values = {path for path in paths if not path.startswith("sources.")}

    assert paths == sorted(set(paths))
    assert values == {
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    }
    for change in changed:
        if change.path in values:
            assert (change.old, change.new) == (before.get(change.path), after.get(change.path))


@some
@given(pairs)
def test_two_records_differ_in_something_or_are_equal(
    pair: tuple[ModelRecord, ModelRecord],
) -> None:
    assert (differences(*pair) == []) == (pair[0] == pair[1])


@some
@given(pairs)
def test_back_again_is_the_same_change_turned_round(
    pair: tuple[ModelRecord, ModelRecord],
) -> None:
    assert [Change(one.path, one.new, one.old) for one in differences(*pair)] == differences(
        pair[1], pair[0]
    )


def test_another_source_alone_is_a_change() -> None:
    old = with_leaves(BARE, {"context_window": (8, "models.dev"), "name": ("M", "provider")})
    new = with_leaves(BARE, {"context_window": (8, "provider"), "name": ("N", "models.dev")})

    assert differences(old, new) == [
        Change("name", "M", "N"),
        Change("sources.context_window", "models.dev", "provider"),
    ]


@some
@given(pairs)
def test_a_record_can_be_put_together_from_its_leaves(
    pair: tuple[ModelRecord, ModelRecord],
) -> None:
    base, record = pair
    known = leaves(record)
    values: dict[str, tuple[Any, str]] = {
        path: (known[path], source) for path, source in record.sources.items()
    }
    built = with_leaves(base, values)

    assert leaves(built) == leaves(base) | {path: value for path, (value, _) in values.items()}
    assert built.sources == base.sources | record.sources
    assert list(built.sources) == sorted(built.sources)
    assert with_leaves(BARE, values) == record


@some
@given(records())
def test_setting_leaves_leaves_the_old_record_alone(record: ModelRecord) -> None:
    copy = msgspec.json.decode(msgspec.json.encode(record), type=ModelRecord)
    with_leaves(
        record,
        {
            "prices.input": ("9", "x"),
            "capabilities.vision": (True, "x"),
            "lifecycle.state": ("retired", "x"),
        },
    )

    assert record == copy


@some
@given(records())
def test_what_is_stated_has_a_source(record: ModelRecord) -> None:
    known = leaves(record)
    unstated = known.keys() - record.sources.keys()

    assert record.sources.keys() <= known.keys()
    assert unstated <= {"name", "lifecycle.state"}
    assert "name" not in unstated or record.name == record.id
    assert "lifecycle.state" not in unstated or record.lifecycle.state == "active"


def test_an_empty_list_may_be_an_answer() -> None:
    record = stated(BARE, "provider", answered=("aliases",))

    assert record.sources == {"aliases": "provider"}
    assert leaves(record)["aliases"] == []


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("10", "10"), ("1E+1", "10"), ("2.50", "2.5"), ("0.00000250", "0.000002"), ("0", "0"),
        ("0.0000001", "0"), ("-0", "0"), ("-0.0000001", "0"), ("1000000", "1000000"),
        ("0.1234565", "0.123456"), ("1e-6", "0.000001"), ("100.000", "100"),
    ],
)  # fmt: skip
def test_a_price_has_one_spelling(amount: str, text: str) -> None:
    assert decimal_text(Decimal(amount)) == text


@given(st.decimals("-1e9", "1e9", allow_nan=False))
def test_a_price_is_what_it_spells(amount: Decimal) -> None:
    text = decimal_text(amount)

    assert re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]{0,5}[1-9])?", text)
    assert abs(Decimal(text) - amount) <= Decimal("0.0000005")
    assert decimal_text(Decimal(text)) == text
