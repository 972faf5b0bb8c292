from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from events.codec import FactEvent
from events.decide.absence import removed
from events.decide.known import KnownModel
from events.models import CapabilityGained, CapabilityLost
from events.record import Lifecycle, ModelRecord
from projections.rows import Model
from tests.support.builders import (
    DAYS,
    added,
    catalogue,
    missing,
    record,
    returned,
    updated,
)
from tests.support.strategies import records

FULL = record(
    "gpt-4.1",
    name="GPT-4.1",
    owned_by="openai",
    family="gpt",
    description="A model.",
    created="2025-04-14",
    knowledge_cutoff="2024-06",
    context_window=1_047_576,
    max_input_tokens=1_000_000,
    max_output_tokens=32_768,
    input_modalities=["image", "text"],
    output_modalities=["text"],
    capabilities={"chat": True, "reasoning": False, "vision": True},
    prices={"input": "2", "output": "8.000001", "image": "0.04"},
    lifecycle=Lifecycle(state="deprecated", retires_on="2026-09-01", replacement="gpt-5"),
    aliases=["gpt-4.1-2025-04-14"],
    open_weights=False,
    sources={"context_window": "provider", "prices.input": "models.dev"},
)


def _only(facts: list[FactEvent]) -> Model:
    with catalogue(facts) as opened:
        (model,) = opened.search()
    return model


def test_a_row_holds_the_whole_record_by_the_names_of_the_contract() -> None:
    assert msgspec.to_builtins(_only(added(FULL, at=DAYS[1]))) == {
        "provider": "acme",
        "id": "gpt-4.1",
        "name": "GPT-4.1",
        "owned_by": "openai",
        "family": "gpt",
        "description": "A model.",
        "created": "2025-04-14",
        "knowledge_cutoff": "2024-06",
        "context_window": 1_047_576,
        "max_input_tokens": 1_000_000,
        "max_output_tokens": 32_768,
        "open_weights": False,
        "input_modalities": ["image", "text"],
        "output_modalities": ["text"],
        "capabilities": {"chat": True, "reasoning": False, "vision": True},
        "prices": {"input": "2", "output": "8.000001", "image": "0.04"},
        "lifecycle": {
            "state": "deprecated",
            "deprecated_on": None,
            "retires_on": "2026-09-01",
            "replacement": "gpt-5",
        },
        "aliases": ["gpt-4.1-2025-04-14"],
        "sources": {"context_window": "provider", "prices.input": "models.dev"},
        "price_input": 2.0,
        "price_output": 8.000001,
        "lifecycle_state": "deprecated",
        "retires_on": "2026-09-01",
        "availability": "listed",
        "first_seen_at": DAYS[1],
        "updated_at": DAYS[1],
        "missing_since": None,
        "seq": 1,
    }


def test_in_sql_json_is_text_and_a_truth_a_number() -> None:
    columns = "capabilities, prices, open_weights, typeof(price_input), aliases, typeof(created)"
    with catalogue(added(FULL)) as opened:
        (row,) = opened.query(f"SELECT {columns} FROM models").rows  # noqa: S608 - ours

    assert json.loads(row[0]) == FULL.capabilities
    assert json.loads(row[1]) == FULL.prices
    assert (row[2], row[3]) == (0, "real")
    assert json.loads(row[4]) == FULL.aliases
    assert row[5] == "text"


def test_what_is_unknown_is_null() -> None:
    model = _only(added(record("m")))

    unknown = {name for name in model.__struct_fields__ if getattr(model, name) is None}
    assert unknown == {
        "owned_by", "family", "description", "created", "knowledge_cutoff", "context_window",
        "max_input_tokens", "max_output_tokens", "open_weights", "price_input", "price_output",
        "retires_on", "missing_since",
    }  # fmt: skip
    assert model.lifecycle_state == "active"


def _legible(one: ModelRecord) -> bool:
    """Tell whether no text holds a NUL: SQLite's json_extract ends there, dialects drop them."""
    return "\\u0000" not in msgspec.json.encode(one).decode()


@settings(max_examples=50, deadline=None)
@given(records().filter(_legible), records().filter(_legible))
def test_any_record_reads_back_as_it_was_told(first: ModelRecord, second: ModelRecord) -> None:
    second = msgspec.structs.replace(second, id=first.id)
    facts = [*added(first)[:1], updated(first, second, at=DAYS[1])]
    with catalogue(facts) as opened:
        now, then = opened.get("acme", first.id), opened.get("acme", first.id, as_of=1)

    for model, told in ((now, second), (then, first)):
        row = msgspec.to_builtins(model)
        for name, value in msgspec.to_builtins(told).items():
            assert row[name] == value


def test_a_missing_model_stays_with_the_time_since_when() -> None:
    model = _only([*added(record()), missing(at=DAYS[3])])

    assert (model.availability, model.missing_since) == ("missing", DAYS[3])
    assert (model.first_seen_at, model.updated_at, model.seq) == (DAYS[0], DAYS[0], 2)


def test_a_returned_model_is_listed_again() -> None:
    facts = [*added(record()), missing(at=DAYS[3]), returned(at=DAYS[4], since=DAYS[3])]
    model = _only(facts)

    assert (model.availability, model.missing_since, model.seq) == ("listed", None, 3)


def test_a_model_that_comes_back_after_its_removal_was_first_seen_long_ago() -> None:
    gone = removed("acme", KnownModel(record("m"), DAYS[1], 3), DAYS[2], reason="delisted")
    model = _only([*added(record()), missing(at=DAYS[1]), *gone, *added(record(), at=DAYS[5])])

    assert (model.first_seen_at, model.updated_at) == (DAYS[0], DAYS[5])


def test_a_removed_model_has_no_row_and_no_capability() -> None:
    gone = removed("acme", KnownModel(FULL, DAYS[1], 3), DAYS[2], reason="delisted")
    with catalogue([*added(FULL), missing("gpt-4.1", at=DAYS[1]), *gone]) as opened:
        assert opened.search() == []
        assert opened.query("SELECT * FROM model_capabilities").rows == []


def test_a_capability_known_true_is_a_row() -> None:
    lost = CapabilityLost(at=DAYS[1], provider="acme", model_id="gpt-4.1", capability="vision")
    gained = CapabilityGained(at=DAYS[1], provider="acme", model_id="gpt-4.1", capability="tools")
    with catalogue([*added(FULL), lost, gained]) as opened:
        found = opened.query("SELECT * FROM model_capabilities").rows

    assert found == [("acme", "gpt-4.1", "chat"), ("acme", "gpt-4.1", "tools")]


@pytest.mark.parametrize("table", ["models", "model_history", "model_capabilities"])
def test_tables_are_strict(table: str) -> None:
    with catalogue() as opened:
        rows: list[tuple[Any, ...]] = opened.query(
            "SELECT strict FROM pragma_table_list WHERE name = ?", [table]
        ).rows

    assert rows == [(1,)]
