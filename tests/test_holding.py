from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.audit import Held, RefreshSucceeded
from events.base import Instant, elapsed, later
from events.decide.holding import LONGEST, Kept, carried, grouped, keep
from events.decide.known import Hold
from events.decide.models import Policy
from events.models import ModelUpdated
from events.record import ModelRecord, leaves, with_leaves
from tests.support.runs import facts_of, live
from tests.support.strategies import START, Fetch, histories, whole

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)
LATER = later(START, HOUR)
BARE = ModelRecord(id="m", name="m")
NAMED = with_leaves(
    BARE,
    {
        "name": ("M", "provider"),
        "prices.input": ("1", "provider"),
        "lifecycle.state": ("preview", "provider"),
        "aliases": ([], "provider"),
    },
)
EVERY = sorted(NAMED.sources)


def _hold(since: Instant, *paths: str, models: tuple[str, ...] = ("m",)) -> Hold:
    return Hold(since, frozenset(paths), frozenset(models))


def test_what_is_not_sent_keeps_its_value() -> None:
    assert keep(NAMED, BARE, (), START, DAY) == Kept(NAMED, dict.fromkeys(EVERY, START))


def test_what_is_sent_is_taken() -> None:
    new = with_leaves(BARE, {"prices.input": ("2", "provider"), "context_window": (8, "provider")})
    kept = keep(NAMED, new, (), START, DAY)

    assert leaves(kept.record) == leaves(NAMED) | {"prices.input": "2", "context_window": 8}
    assert sorted(kept.since) == ["aliases", "lifecycle.state", "name"]


def test_what_is_held_is_held_since_it_went() -> None:
    holds = (_hold(START, *EVERY), _hold(LATER, "name"), _hold("2025", "name", models=("other",)))

    assert keep(NAMED, BARE, holds, LATER, DAY).since == dict.fromkeys(EVERY, START)


@pytest.mark.parametrize(
    ("after", "kept"),
    [(DAY - timedelta(milliseconds=1), NAMED), (DAY, BARE), (2 * DAY, BARE)],
    ids=["just before", "at the end", "long after"],
)
def test_a_hold_runs_out(after: timedelta, kept: ModelRecord) -> None:
    found = keep(NAMED, BARE, (_hold(START, *EVERY),), later(START, after), DAY)

    assert found.record == kept
    assert bool(found.since) == (kept is NAMED)


def test_a_group_without_ids_stands_for_every_model() -> None:
    found = keep(NAMED, BARE, (_hold(START, *EVERY, models=()),), LATER, DAY)

    assert found.since == dict.fromkeys(EVERY, START)


def test_without_a_hold_nothing_is_kept() -> None:
    assert keep(NAMED, BARE, (), START, timedelta(0)) == Kept(BARE, {})


def test_what_another_source_said_is_not_held() -> None:
    old = with_leaves(BARE, {"context_window": (8, "models.dev")})

    assert keep(old, BARE, (), START, DAY) == Kept(BARE, {})


def test_what_another_source_says_now_is_not_held() -> None:
    old = with_leaves(BARE, {"context_window": (8, "provider")})
    new = with_leaves(BARE, {"context_window": (9, "models.dev")})

    assert keep(old, new, (), START, DAY) == Kept(new, {})


def test_a_source_without_a_value_holds_nothing() -> None:
    old = ModelRecord(id="m", name="m", sources={"context_window": "provider"})

    assert keep(old, BARE, (), START, DAY) == Kept(BARE, {})


def test_models_that_lack_the_same_since_the_same_moment_are_one_group() -> None:
    held = {
        "b": {"name": START, "prices.input": START},
        "a": {"prices.input": START, "name": START},
        "c": {"name": LATER, "aliases": START},
        "d": {},
    }

    assert grouped(held) == [
        Held(since=START, paths=["aliases"], models=["c"]),
        Held(since=START, paths=["name", "prices.input"], models=["a", "b"]),
        Held(since=LATER, paths=["name"], models=["c"]),
    ]
    assert grouped({}) == []


def test_a_group_too_long_for_an_event_names_no_model() -> None:
    fits = {f"{n:0100}": {"name": START} for n in range(LONGEST // 103)}
    (whole,) = grouped(fits)
    (cut,) = grouped(fits | {"m" * 100: {"name": START}})

    assert whole.models == sorted(fits)
    assert cut == Held(since=START, paths=["name"], models=[])


def test_ids_count_by_their_bytes_in_an_event() -> None:
    (cut,) = grouped({f"{n:03}{'模' * 40}": {"name": START} for n in range(LONGEST // 100)})

    assert cut.models == []


def test_too_many_groups_for_an_event_name_each_path_once() -> None:
    long = {f"{n:0100}": {f"p{n}": LATER, "name": START, "aliases": LATER} for n in range(400)}
    first, second = grouped({**long, "a": {"aliases": START}})

    assert first == Held(since=START, paths=["aliases", "name"], models=[])
    assert second.since == LATER
    assert second.paths == sorted(f"p{n}" for n in range(400))


def test_the_holds_of_a_model_that_is_not_shown_go_on() -> None:
    holds = (
        _hold(START, "name"),
        _hold(LATER, "aliases", models=("m", "n")),
        _hold(START, "prices.input", models=("other",)),
        _hold(START, "family", models=()),
    )

    assert carried("m", holds) == {"name": START, "aliases": LATER}


FULL, CLEARED = NAMED, BARE
STEPS: dict[str, tuple[tuple[ModelRecord, ...], bool]] = {
    "full": ((FULL,), True),
    "reduced": ((BARE,), True),
    "not shown": ((), False),
    "absent": ((), True),
}


def _lived(*steps: str, gap: timedelta) -> list[tuple[ModelRecord, int]]:
    """Return the record of the model after each step, and how often it was updated by then."""
    history = [Fetch(gap, *STEPS[step], end="succeeded") for step in steps]
    found, updates = [], 0
    for lived in live(history, Policy(removal_scans=9)):
        updates += sum(isinstance(fact, ModelUpdated) for fact in lived.facts)
        found.append((lived.after.models["m"].record, updates))
    return found


def test_a_value_is_kept_for_one_hold_and_then_cleared() -> None:
    story = _lived("full", *["reduced"] * 26, gap=HOUR)

    assert story == [(FULL, 0)] * 25 + [(CLEARED, 1)] * 2


def test_reduced_rows_that_come_and_go_are_no_event() -> None:
    story = _lived(*["full", *["reduced"] * 20] * 3, gap=HOUR)

    assert story == [(FULL, 0)] * 63


@pytest.mark.parametrize("between", ["not shown", "absent"])
def test_a_hold_goes_on_while_the_model_is_not_shown(between: str) -> None:
    story = _lived("full", "reduced", *[between] * 4, "reduced", gap=timedelta(hours=4))
    done = _lived("full", "reduced", *[between] * 5, "reduced", gap=timedelta(hours=4))

    assert story[-1] == (FULL, 0)
    assert done[-1] == (CLEARED, 1)


PATHS = ("context_window", "description", "capabilities.vision")
VALUES: dict[str, Any] = {
    "context_window": 8,
    "description": "d",
    "capabilities.vision": True,
}
sent = st.lists(
    st.tuples(
        st.sampled_from([timedelta(milliseconds=1), HOUR, timedelta(hours=9), DAY]),
        st.frozensets(st.sampled_from(PATHS)) | st.none(),
        st.booleans(),
    ),
    max_size=14,
)


@settings(max_examples=100)
@given(sent)
def test_each_leaf_is_held_since_it_was_last_sent(
    steps: list[tuple[timedelta, frozenset[str] | None, bool]],
) -> None:
    """What an onlooker expects: the value, for one hold from the first list that lacks it."""
    first = (HOUR, frozenset(PATHS), True)
    history = [
        Fetch(gap, _shown(paths), complete, "succeeded") for gap, paths, complete in (first, *steps)
    ]
    unsent: dict[str, Instant] = {}
    expected = dict(VALUES)
    for fetch, lived in zip(history, live(history, Policy(removal_scans=99)), strict=True):
        for record in fetch.records:
            for path in PATHS:
                if path in record.sources:
                    unsent.pop(path, None)
                    expected[path] = VALUES[path]
                elif path in expected:
                    since = unsent.setdefault(path, lived.at)
                    if elapsed(since, lived.at) >= DAY:
                        del expected[path]
                        del unsent[path]
        known = leaves(lived.after.models["m"].record)

        assert {path: known[path] for path in PATHS if path in known} == expected
        assert isinstance(lived.outcome, RefreshSucceeded)
        assert {path: held.since for held in lived.outcome.held for path in held.paths} == unsent


def _shown(paths: frozenset[str] | None) -> tuple[ModelRecord, ...]:
    if paths is None:
        return ()
    return (with_leaves(BARE, {path: (VALUES[path], "provider") for path in sorted(paths)}),)


@settings(max_examples=60)
@given(histories)
def test_a_held_leaf_is_never_cleared_before_its_time(history: list[Fetch]) -> None:
    """Whatever an update takes away was not sent for one hold."""
    sent_at: dict[tuple[str, str], Instant] = {}
    told = whole(history)
    for fetch, lived in zip(told, live(told, Policy()), strict=True):
        if fetch.end == "failed":
            continue
        for fact in facts_of([lived]):
            if isinstance(fact, ModelUpdated):
                old = lived.before.models[fact.model.id].record
                for path in _provided(old) - fact.model.sources.keys():
                    assert elapsed(sent_at[fact.model.id, path], lived.at) >= DAY
        for record in fetch.records:
            for path in _provided(record):
                sent_at[record.id, path] = lived.at


def _provided(record: ModelRecord) -> set[str]:
    return {path for path, source in record.sources.items() if source == "provider"}
