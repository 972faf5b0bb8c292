"""What a third party says fills what a provider leaves unknown, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.audit import RefreshSucceeded
from events.base import later
from events.decide.enrichment import agreed, merge, plain, strip
from events.decide.known import NOTHING, Known, KnownModel, evolve, fold
from events.decide.models import Policy, decide
from events.models import CapabilityGained, CapabilityLost, ModelAdded, ModelUpdated
from events.record import Lifecycle, ModelRecord, leaves, stated
from services.refresher.filling import filling
from services.refresher.models_dev import MOST_VALUES, SOURCE, NoOffers, Offers, read
from tests.support.runs import saw
from tests.support.strategies import START, records

IDS = st.sampled_from(["a", "b", "c"])
PLAIN = ModelRecord(id="m", name="m")
VISION = {"capabilities.vision": True, "input_modalities": ["image", "text"]}


@st.composite
def facts(draw: st.DrawFn) -> dict[str, Any]:
    """What somebody may state of a model."""
    record = draw(records(IDS))
    known = leaves(record)
    return {path: known[path] for path in record.sources}


def _said(**fields: Any) -> ModelRecord:  # noqa: ANN401 - whatever a record has
    return stated(ModelRecord(**{"id": "m", "name": "m", **fields}), "provider")


@given(records(IDS), facts())
def test_a_leaf_that_the_provider_states_is_never_changed(
    record: ModelRecord, said: dict[str, Any]
) -> None:
    before, after = leaves(record), leaves(merged := merge(record, said, SOURCE))

    assert {path: after.get(path) for path in record.sources} == {
        path: before.get(path) for path in record.sources
    }
    assert merged.sources.items() >= record.sources.items()


@given(records(IDS), facts())
def test_every_leaf_that_is_new_says_where_it_comes_from(
    record: ModelRecord, said: dict[str, Any]
) -> None:
    merged = merge(record, said, SOURCE)
    known = leaves(merged)

    new = {path: source for path, source in merged.sources.items() if path not in record.sources}
    assert set(new.values()) <= {SOURCE}
    assert {path: known[path] for path in new} == {path: said[path] for path in new}


@given(records(IDS), facts())
def test_merging_twice_is_merging_once(record: ModelRecord, said: dict[str, Any]) -> None:
    once = merge(record, said, SOURCE)

    assert merge(once, said, SOURCE) == once


@given(records(IDS), facts())
def test_stripping_takes_out_what_merging_put_in(record: ModelRecord, said: dict[str, Any]) -> None:
    merged = merge(record, said, SOURCE)

    assert strip(merged) == record
    assert merge(strip(merged), said, SOURCE) == merged
    assert strip(record) is record


@given(records(IDS), facts())
def test_a_merged_record_is_written_like_any_other(
    record: ModelRecord, said: dict[str, Any]
) -> None:
    merged = merge(record, said, SOURCE)
    if merged is not record:
        for written in (merged.capabilities, merged.prices, merged.sources):
            assert list(written) == sorted(written)
    assert msgspec.json.decode(msgspec.json.encode(merged), type=ModelRecord) == merged


@pytest.mark.parametrize(
    ("record", "facts", "filled"),
    [
        (PLAIN, {"context_window": 8}, {"context_window": 8}),
        (_said(context_window=4), {"context_window": 8}, {}),
        (PLAIN, {"name": "Model"}, {"name": "Model"}),
        (_said(name="Mine"), {"name": "Model"}, {}),
        (PLAIN, {"lifecycle.state": "deprecated"}, {"lifecycle.state": "deprecated"}),
        (
            _said(lifecycle=Lifecycle(state="deprecated", retires_on="2026-01-01")),
            {"lifecycle.state": "preview"},
            {},
        ),
        (
            _said(prices={"input": "1"}),
            {"prices.input": "2", "prices.output": "3"},
            {"prices.output": "3"},
        ),
        (_said(capabilities={"vision": False}), VISION, {}),
        (_said(capabilities={"vision": True}), {"input_modalities": ["text"]}, {}),
        (_said(capabilities={"tools": False}), VISION, VISION),
        (
            stated(PLAIN, "provider", answered=("input_modalities",)),
            {"input_modalities": ["text"]},
            {},
        ),
    ],
    ids=[
        "an unknown limit",
        "a known limit",
        "a name that repeats the id",
        "a name",
        "no life cycle",
        "a life cycle of its own",
        "prices one by one",
        "modalities beside a capability that it denies",
        "modalities that lack a capability that it states",
        "modalities beside other capabilities",
        "a list that was sent empty",
    ],
)
def test_what_is_filled(record: ModelRecord, facts: dict[str, Any], filled: dict[str, Any]) -> None:
    merged = merge(record, facts, SOURCE)

    known = leaves(merged)
    assert {path: known[path] for path, by in merged.sources.items() if by == SOURCE} == filled


def test_what_several_say_alike_is_known() -> None:
    both = agreed([{"a": 1, "b": 2, "c": []}, {"a": 1, "b": 3}])

    assert both == {"a": 1}
    assert agreed([]) == {}


def _offers(**models: dict[str, Any]) -> Offers:
    return read(msgspec.json.encode({"openai": {"models": models}}))


ONE = _offers(m={"name": "Model", "tool_call": True, "limit": {"context": 8}})
TWO = _offers(m={"name": "Model", "tool_call": False, "limit": {"context": 9}})
HOLD = Policy(removal_hold=timedelta(hours=24))


def test_a_model_is_filled_when_it_is_added() -> None:
    enrich = filling(ONE, ("openai",))
    decision = decide(NOTHING, saw(START, (PLAIN,)), HOLD, START, enrich)

    added, gained = decision.events
    assert isinstance(added, ModelAdded)
    assert (added.model.context_window, added.model.name) == (8, "Model")
    assert gained == CapabilityGained(at=START, provider="acme", model_id="m", capability="tools")


def test_what_is_filled_is_no_change_the_next_time() -> None:
    enrich = filling(ONE, ("openai",))
    first = decide(NOTHING, saw(START, (PLAIN,)), HOLD, START, enrich)
    known = fold(NOTHING, first.events)
    again = decide(known, saw(START, (PLAIN,)), HOLD, START, filling(ONE, ("openai",)))

    assert again.events == []


def test_other_words_are_an_update_of_what_they_filled() -> None:
    known = Known({"m": KnownModel(filling(ONE, ("openai",))(PLAIN))})
    decision = decide(known, saw(START, (PLAIN,)), HOLD, START, filling(TWO, ("openai",)))

    updated, lost = decision.events
    assert isinstance(updated, ModelUpdated)
    assert [(one.path, one.old, one.new) for one in updated.changed] == [
        ("capabilities.tools", True, False),
        ("context_window", 8, 9),
    ]
    assert isinstance(lost, CapabilityLost)
    assert evolve(known, updated).models["m"].record.sources["context_window"] == SOURCE


def test_no_words_any_more_take_out_what_was_filled() -> None:
    known = Known({"m": KnownModel(filling(ONE, ("openai",))(PLAIN))})
    decision = decide(known, saw(START, (PLAIN,)), HOLD, START, plain)

    assert fold(known, decision.events).models["m"].record == PLAIN


def test_the_provider_takes_over_what_was_filled() -> None:
    known = Known({"m": KnownModel(filling(ONE, ("openai",))(PLAIN))})
    own = _said(context_window=8)
    decision = decide(known, saw(START, (own,)), HOLD, START, filling(ONE, ("openai",)))

    (updated,) = decision.events
    assert isinstance(updated, ModelUpdated)
    assert [(one.path, one.old, one.new) for one in updated.changed] == [
        ("sources.context_window", SOURCE, "provider")
    ]


def test_a_leaf_is_filled_only_when_its_hold_is_over() -> None:
    """The provider stops sending it: its last word stands for one hold, then models.dev's."""
    enrich = filling(ONE, ("openai",))
    known = fold(
        NOTHING, decide(NOTHING, saw(START, (_said(context_window=4),)), HOLD, START).events
    )
    windows = []
    for hours in (1, 12, 25):
        at = later(START, timedelta(hours=hours))
        decision = decide(known, saw(at, (PLAIN,)), HOLD, at, enrich)
        known = fold(known, decision.events)
        run = RefreshSucceeded(at=at, provider="acme", run_id="r", held=decision.held)
        known = evolve(known, run)
        record = known.models["m"].record
        windows.append((record.context_window, record.sources["context_window"]))

    assert windows == [(4, "provider"), (4, "provider"), (8, SOURCE)]


@given(st.lists(st.tuples(st.lists(records(IDS), max_size=3), facts(), st.booleans()), max_size=4))
@pytest.mark.chaos
def test_replay_gives_what_was_kept_in_memory(
    history: list[tuple[list[ModelRecord], dict[str, Any], bool]],
) -> None:
    """Lists and enrichment passes in any order: the facts alone say all."""
    known, log, at = NOTHING, [], START
    for rows, said, passing in history:
        at = later(at, timedelta(hours=1))
        seen = {row.id: row for row in rows}
        if passing:
            seen = {id_: strip(model.record) for id_, model in known.models.items()}
        observation = saw(at, tuple(seen.values()), complete=not passing)

        def enrich(record: ModelRecord, said: dict[str, Any] = said) -> ModelRecord:
            return merge(record, said, SOURCE)

        decision = decide(known, observation, Policy(removal_scans=1), at, enrich)
        log += decision.events
        known = fold(known, decision.events)
        assert decide(known, observation, Policy(removal_scans=1), at, enrich).events == []

    assert fold(NOTHING, log) == known


GPT = {
    "id": "gpt-4o",
    "name": "GPT-4o",
    "family": "gpt",
    "attachment": True,
    "reasoning": False,
    "tool_call": True,
    "structured_output": True,
    "temperature": True,
    "knowledge": "2023-09",
    "release_date": "2024-05-13",
    "last_updated": "2024-08-06",
    "modalities": {"input": ["text", "image"], "output": ["text"]},
    "open_weights": False,
    "limit": {"context": 128000, "input": 111424, "output": 16384},
    "cost": {
        "input": 2.5,
        "output": 10,
        "cache_read": 1.25,
        "cache_write": 0.1234567,
        "input_audio": 40,
        "output_audio": 80.0,
        "context_over_200k": {"input": 5},
        "tiers": [{"input": 5}],
    },
}


def test_a_row_in_our_words() -> None:
    offers = _offers(**{"gpt-4o": GPT})
    record = filling(offers, ("openai",))(ModelRecord(id="gpt-4o", name="gpt-4o"))

    assert strip(record) == ModelRecord(id="gpt-4o", name="gpt-4o")
    assert set(record.sources.values()) == {SOURCE}
    assert msgspec.structs.replace(record, sources={}) == ModelRecord(
        id="gpt-4o",
        name="GPT-4o",
        family="gpt",
        created="2024-05-13",
        knowledge_cutoff="2023-09",
        context_window=128000,
        max_input_tokens=111424,
        max_output_tokens=16384,
        input_modalities=["image", "text"],
        output_modalities=["text"],
        capabilities={
            "audio_input": False,
            "pdf_input": False,
            "reasoning": False,
            "structured_output": True,
            "tools": True,
            "video_input": False,
            "vision": True,
        },
        prices={
            "audio_input": "40",
            "audio_output": "80",
            "cache_read": "1.25",
            "cache_write": "0.123457",
            "input": "2.5",
            "output": "10",
        },
        open_weights=False,
    )


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"attachment": True}, {}),
        ({"release_date": "2025-03"}, {}),
        ({"knowledge": "2025"}, {}),
        ({"limit": {"context": 0, "output": 0}}, {}),
        ({"modalities": {"input": [], "output": []}}, {}),
        ({"status": "beta"}, {"lifecycle.state": "preview"}),
        ({"status": "alpha"}, {"lifecycle.state": "preview"}),
        ({"status": "deprecated"}, {"lifecycle.state": "deprecated"}),
        ({"status": ["?"], "cost": [], "limit": 3, "modalities": "text", "tool_call": 1}, {}),
        ({"name": "m"}, {}),
        ({"cost": {"input": 0}}, {"prices.input": "0"}),
        ({"cost": {"input": -1}}, {}),
        ({"open_weights": True}, {"open_weights": True}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_a_row_says(row: dict[str, Any], told: dict[str, Any]) -> None:
    assert _offers(m=row).of(("openai",), PLAIN) == told


ALIASED = ModelRecord(id="x", name="x", aliases=["b", "m"])


@pytest.mark.parametrize(
    ("names", "record", "window"),
    [
        (("openai",), ModelRecord(id="m", name="m"), 8),
        (("openai",), ModelRecord(id="M", name="M"), None),
        (("openai",), ModelRecord(id="m-2024", name="m-2024"), None),
        (("google",), ModelRecord(id="m", name="m"), 1),
        (("google", "openai"), ModelRecord(id="m", name="m"), 1),
        (("mistral",), ModelRecord(id="m", name="m"), None),
        (("google",), ModelRecord(id="x", name="x", aliases=["m"]), 1),
        (("google", "openai"), ModelRecord(id="b", name="b", aliases=["m"]), 9),
        (("openai",), ALIASED, None),
        (("google",), ALIASED, 1),
    ],
    ids=[
        "its exact id",
        "another case",
        "a longer id",
        "its own provider alone",
        "the first provider",
        "an unknown provider",
        "an alias",
        "an id anywhere before an alias",
        "aliases of two models that differ",
        "aliases of which one is known",
    ],
)
def test_how_a_row_is_found(
    names: tuple[str, ...], record: ModelRecord, window: int | None
) -> None:
    document = {
        "openai": {"models": {"m": {"limit": {"context": 8}}, "b": {"limit": {"context": 9}}}},
        "google": {"models": {"m": {"limit": {"context": 1}}}},
    }
    offers = read(msgspec.json.encode(document))

    assert offers.of(names, record).get("context_window") == window


def test_what_does_not_decode_is_passed_over() -> None:
    offers = read(
        b'{"openai": {"models": {"m": [1], "n": {"limit": {"context": 8}}}}, "google": 7,'
        b' "mistral": {"models": []}, "nobody": {"models": {"m": {}}}}'
    )

    assert len(offers) == 2
    assert offers.of(("openai",), PLAIN) == {}
    assert offers.of(("openai",), ModelRecord(id="n", name="n")) == {"context_window": 8}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"<html>",
        b'{"error": "x"}',
        b'{"nobody": {"models": {"m": {}}}}',
        b"\xff",
    ],
)
def test_a_document_that_tells_of_no_model_is_none(body: bytes) -> None:
    with pytest.raises(NoOffers):
        read(body)


def test_a_document_of_too_many_values_is_not_even_looked_at() -> None:
    rows = b",".join(b'"%d":0' % number for number in range(MOST_VALUES))

    with pytest.raises(NoOffers):
        read(b'{"openai": {"models": {' + rows + b"}}}")


def test_its_age_is_that_of_its_newest_row() -> None:
    offers = _offers(a={"last_updated": "2026-01-02"}, b={"last_updated": "2025-12-31"}, c={})

    assert offers.newest == "2026-01-02"
    assert _offers(a={}).newest == ""


def test_an_unchanged_row_is_filled_once() -> None:
    enrich = filling(ONE, ("openai",))

    assert enrich(PLAIN) is enrich(ModelRecord(id="m", name="m"))
    assert enrich(_said(context_window=4)).context_window == 4
    assert enrich(PLAIN).context_window == 8
