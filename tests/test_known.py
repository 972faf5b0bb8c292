from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import decode, encode
from events.audit import Held, RefreshFailed, RefreshOutcome, RefreshQuarantined, RefreshSucceeded
from events.base import Instant, later
from events.decide.known import (
    NOTHING,
    Hold,
    Known,
    KnownModel,
    MissingModel,
    evolve,
    fold,
)
from events.decide.models import Policy
from events.models import (
    CapabilityGained,
    CapabilityLost,
    ModelAdded,
    ModelEvent,
    ModelMissing,
    ModelRemoved,
    ModelReturned,
    ModelUpdated,
)
from events.record import ModelRecord
from tests.support.runs import PROVIDER, facts_of, live
from tests.support.strategies import SMALL, START, Fetch, histories

LATER = later(START, timedelta(hours=1))
RECORD = ModelRecord(id="m", name="m")
BETTER = ModelRecord(id="m", name="M")
GONE = Known({"m": KnownModel(RECORD, START, 1)})
policies = st.builds(
    Policy,
    removal_scans=st.integers(1, 4),
    removal_hold=st.sampled_from([timedelta(0), timedelta(hours=9)]),
    masked=st.frozensets(st.sampled_from(sorted(SMALL)), max_size=1),
)

ADDED = ModelAdded(at=LATER, provider=PROVIDER, model=RECORD)
UPDATED = ModelUpdated(at=LATER, provider=PROVIDER, model=BETTER, changed=[])
MISSING = ModelMissing(at=LATER, provider=PROVIDER, model_id="m")
RETURNED = ModelReturned(at=LATER, provider=PROVIDER, model_id="m", missing_since=START)
REMOVED = ModelRemoved(
    at=LATER,
    provider=PROVIDER,
    model_id="m",
    missing_since=START,
    scans=3,
    reason="delisted",
    model=RECORD,
)


@pytest.mark.parametrize(
    ("before", "event", "models"),
    [
        (NOTHING, ADDED, {"m": KnownModel(RECORD)}),
        (Known({"m": KnownModel(RECORD)}), UPDATED, {"m": KnownModel(BETTER)}),
        (GONE, UPDATED, {"m": KnownModel(BETTER, START, 1)}),
        (Known({"m": KnownModel(RECORD)}), MISSING, {"m": KnownModel(RECORD, LATER, 1)}),
        (GONE, RETURNED, {"m": KnownModel(RECORD)}),
        (GONE, REMOVED, {}),
    ],
    ids=["added", "updated", "updated while missing", "missing", "returned", "removed"],
)
def test_each_fact_has_its_effect(
    before: Known, event: ModelEvent, models: dict[str, KnownModel]
) -> None:
    assert evolve(before, event) == Known(models)


@pytest.mark.parametrize("kind", [CapabilityGained, CapabilityLost])
def test_capabilities_are_in_the_record_already(
    kind: type[CapabilityGained | CapabilityLost],
) -> None:
    event = kind(at=LATER, provider=PROVIDER, model_id="m", capability="vision")

    assert evolve(GONE, event) == GONE


@pytest.mark.parametrize(
    "event", [UPDATED, MISSING, RETURNED, REMOVED], ids=lambda e: type(e).__name__
)
def test_a_fact_about_a_model_that_is_not_there_is_an_error(event: ModelEvent) -> None:
    with pytest.raises(MissingModel, match=rf"acme: {type(event).__name__} of 'm'"):
        evolve(NOTHING, event)


def _succeeded(
    observed_at: Instant | None, *, complete: bool = True, held: tuple[Held, ...] = ()
) -> RefreshSucceeded:
    return RefreshSucceeded(
        at=LATER,
        provider=PROVIDER,
        run_id="r",
        complete=complete,
        held=list(held),
        observed_at=observed_at,
    )


@pytest.mark.parametrize(
    ("observed_at", "complete", "scans"),
    [(LATER, True, 2), (LATER, False, 1), (START, True, 1), (None, True, 1)],
    ids=["a later list", "an incomplete one", "the one that made it missing", "none"],
)
def test_a_complete_list_counts_for_what_was_missing_before_it(
    observed_at: Instant | None,
    complete: bool,  # noqa: FBT001 - a column of the table
    scans: int,
) -> None:
    known = evolve(GONE, _succeeded(observed_at, complete=complete))

    assert known.models == {"m": KnownModel(RECORD, START, scans)}


def test_a_listed_model_is_not_counted() -> None:
    known = Known({"m": KnownModel(RECORD)})

    assert evolve(known, _succeeded(LATER)) == known


def test_the_last_outcome_says_what_is_held() -> None:
    held = Held(since=START, paths=["name"], models=["m"])
    quarantined = RefreshQuarantined(
        at=LATER, provider=PROVIDER, run_id="r", complete=True, held=[held], observed_at=LATER
    )
    holds = (Hold(START, frozenset({"name"}), frozenset({"m"})),)

    assert evolve(NOTHING, _succeeded(LATER, held=(held,))).holds == holds
    assert evolve(GONE, quarantined) == Known(GONE.models, holds)
    assert evolve(Known({}, holds), _succeeded(LATER)).holds == ()


def test_a_failed_run_changes_nothing() -> None:
    known = Known(GONE.models, (Hold(START, frozenset({"name"}), frozenset()),))

    assert evolve(known, RefreshFailed(at=LATER, provider=PROVIDER, run_id="r")) == known


def test_folding_leaves_what_was_known_before_alone() -> None:
    known = Known({"m": KnownModel(RECORD, START, 1)})
    fold(known, [_succeeded(LATER), REMOVED])

    assert known == GONE
    assert Known({}, ()) == NOTHING


@settings(max_examples=100)
@given(histories, policies)
def test_the_log_folds_to_what_was_in_memory(history: list[Fetch], policy: Policy) -> None:
    """A start reads all facts, then all outcomes: each stream in its order, both as bytes."""
    lives = live(history, policy)
    facts = [_reread(fact) for fact in facts_of(lives)]
    outcomes = [_reread(lived.outcome) for lived in lives]
    known = fold(fold(NOTHING, facts), outcomes)

    assert known == (lives[-1].after if lives else NOTHING)


def _reread(event: ModelEvent | RefreshOutcome) -> ModelEvent | RefreshOutcome:
    read = decode(encode(event))
    assert isinstance(read, ModelEvent | RefreshOutcome)
    return read


@settings(max_examples=50)
@given(histories, policies, st.data())
def test_a_restart_goes_on_as_if_there_had_been_none(
    history: list[Fetch], policy: Policy, data: st.DataObject
) -> None:
    lives = live(history, policy)
    cut = data.draw(st.integers(0, len(lives)))
    known = fold(fold(NOTHING, facts_of(lives[:cut])), [lived.outcome for lived in lives[:cut]])
    since = lives[cut - 1].at if cut else START

    assert live(history[cut:], policy, known, since) == lives[cut:]


@settings(max_examples=50)
@given(histories, policies)
def test_one_by_one_or_all_at_once_is_the_same(history: list[Fetch], policy: Policy) -> None:
    lives = live(history, policy)
    events = [event for lived in lives for event in (*lived.facts, lived.outcome)]
    known = NOTHING
    for event in events:
        known = evolve(known, event)

    assert known == fold(NOTHING, events)
