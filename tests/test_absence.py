from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.audit import RefreshSucceeded
from events.base import Instant, elapsed, later
from events.decide.absence import absent, removed, returned
from events.decide.known import NOTHING, KnownModel
from events.decide.models import Policy
from events.models import (
    CapabilityLost,
    ModelAdded,
    ModelMissing,
    ModelRemoved,
    ModelReturned,
)
from events.record import ModelRecord
from tests.support.runs import PROVIDER, live
from tests.support.strategies import START, Fetch, histories, whole

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RECORD = ModelRecord(id="m", name="m", capabilities={"vision": True, "chat": True, "tools": False})
SEEN = KnownModel(RECORD)
HERE, GONE = (RECORD,), ()
policies = st.builds(
    Policy,
    removal_scans=st.integers(1, 4),
    removal_hold=st.sampled_from([timedelta(0), HOUR, timedelta(hours=9), DAY]),
)


def _story(*steps: str, gap: timedelta = HOUR, policy: Policy = Policy()) -> list[str]:  # noqa: B008 - frozen
    """Return the model events, one word a step: `-` for none."""
    history = [
        Fetch(
            gap,
            HERE if step == "here" else GONE,
            complete=step != "incomplete",
            end=step if step in {"failed", "quarantined"} else "succeeded",
        )
        for step in steps
    ]
    return [
        " ".join(
            type(fact).__name__.removeprefix("Model").lower()
            for fact in lived.facts
            if isinstance(fact, ModelAdded | ModelMissing | ModelReturned | ModelRemoved)
        )
        or "-"
        for lived in live(history, policy)
    ]


def test_a_model_is_missing_with_the_first_list_without_it() -> None:
    assert _story("here", "gone") == ["added", "missing"]


def test_a_model_missing_once_is_not_removed() -> None:
    assert _story("here", "gone", "here", gap=DAY) == ["added", "missing", "returned"]


def test_many_lists_in_a_short_time_are_no_proof() -> None:
    assert _story("here", *["gone"] * 20) == ["added", "missing", *["-"] * 19]


def test_few_lists_over_a_long_time_are_no_proof() -> None:
    assert _story("here", "gone", "gone", gap=10 * DAY) == ["added", "missing", "-"]


def test_enough_lists_over_the_hold_are_proof() -> None:
    assert _story("here", *["gone"] * 26)[-2:] == ["removed", "-"]
    assert _story("here", *["gone"] * 4, gap=DAY) == ["added", "missing", "-", "removed", "-"]


@pytest.mark.parametrize("step", ["incomplete", "failed", "quarantined"])
def test_a_run_that_proves_nothing_neither_counts_nor_resets(step: str) -> None:
    story = _story("here", "gone", step, step, "gone", step, "gone", gap=DAY)

    assert story == ["added", "missing", "-", "-", "-", "-", "removed"]


def test_a_return_begins_the_count_anew() -> None:
    story = _story("here", "gone", "gone", "here", "gone", "gone", "gone", gap=DAY)

    assert story[3:] == ["returned", "missing", "-", "removed"]


def test_a_removed_model_may_come_again() -> None:
    assert _story("here", *["gone"] * 3, "here", gap=DAY)[-2:] == ["removed", "added"]


def test_a_local_model_is_removed_at_once() -> None:
    at_once = Policy(removal_scans=1, removal_hold=timedelta(0))

    assert _story("here", "gone", policy=at_once) == ["added", "missing removed"]


@pytest.mark.parametrize(
    ("policy", "story"),
    [
        (Policy(removal_scans=2, removal_hold=timedelta(0)), ["missing", "removed"]),
        (Policy(removal_scans=1, removal_hold=HOUR), ["missing", "removed"]),
        (Policy(removal_scans=1, removal_hold=2 * HOUR), ["missing", "-", "removed"]),
        (Policy(removal_scans=3, removal_hold=timedelta(0)), ["missing", "-", "removed"]),
    ],
    ids=["two lists", "one hour", "two hours", "three lists"],
)
def test_both_bounds_must_be_reached(policy: Policy, story: list[str]) -> None:
    steps = ["gone"] * len(story)

    assert _story("here", *steps, policy=policy)[1:] == story


def test_the_removal_says_since_when_and_how_often() -> None:
    now = later(START, DAY)
    events = absent(PROVIDER, KnownModel(RECORD, START, 2), now, scans=3, hold=DAY)

    assert events == [
        ModelRemoved(
            at=now,
            provider=PROVIDER,
            model_id="m",
            missing_since=START,
            scans=3,
            reason="delisted",
            model=RECORD,
        ),
        CapabilityLost(at=now, provider=PROVIDER, model_id="m", capability="chat"),
        CapabilityLost(at=now, provider=PROVIDER, model_id="m", capability="vision"),
    ]


def test_a_model_removed_at_once_was_missing_in_one_list() -> None:
    missing, end, *_ = absent(PROVIDER, SEEN, START, scans=1, hold=timedelta(0))

    assert missing == ModelMissing(at=START, provider=PROVIDER, model_id="m", scans=1)
    assert isinstance(end, ModelRemoved)
    assert (end.missing_since, end.scans) == (START, 1)


@pytest.mark.parametrize("by", [timedelta(0), -HOUR], ids=["the same moment", "an earlier one"])
@pytest.mark.parametrize("hold", [timedelta(0), DAY])
def test_the_list_that_made_it_missing_is_no_second_one(by: timedelta, hold: timedelta) -> None:
    gone = KnownModel(RECORD, START, 9)

    assert absent(PROVIDER, gone, later(START, by), scans=2, hold=hold) == []


def test_the_hold_is_over_when_it_has_lasted() -> None:
    gone = KnownModel(RECORD, START, 2)

    assert (
        absent(PROVIDER, gone, later(START, DAY - timedelta(milliseconds=1)), scans=3, hold=DAY)
        == []
    )
    assert absent(PROVIDER, gone, later(START, DAY), scans=3, hold=DAY) != []
    assert absent(PROVIDER, gone, later(START, DAY), scans=4, hold=DAY) == []


def test_only_a_missing_model_returns() -> None:
    assert returned(PROVIDER, SEEN, START) == []
    assert returned(PROVIDER, KnownModel(RECORD, START, 2), later(START, HOUR)) == [
        ModelReturned(at=later(START, HOUR), provider=PROVIDER, model_id="m", missing_since=START)
    ]


def test_a_removal_takes_every_known_capability() -> None:
    _, *lost = removed(PROVIDER, SEEN, START, reason="provider_unregistered")

    assert [event.capability for event in lost if isinstance(event, CapabilityLost)] == [
        "chat",
        "vision",
    ]


@settings(max_examples=100)
@given(histories, policies)
def test_a_removal_has_its_proof(history: list[Fetch], policy: Policy) -> None:
    """An onlooker counts the complete lists in a row without each model that was known."""
    without: dict[str, list[Instant]] = {}
    told = whole(history)
    for fetch, lived in zip(told, live(told, policy), strict=True):
        if fetch.end == "succeeded":
            shown = {record.id for record in fetch.records}
            for id_ in lived.before.models:
                if id_ in shown:
                    without.pop(id_, None)
                elif fetch.complete:
                    without.setdefault(id_, []).append(lived.at)
        for fact in lived.facts:
            if isinstance(fact, ModelMissing):
                assert fact.at == lived.at
            if isinstance(fact, ModelRemoved):
                lists = without.pop(fact.model_id)

                assert policy.removal_scans <= fact.scans <= len(lists)
                assert fact.missing_since in lists
                assert elapsed(fact.missing_since, fact.at) >= policy.removal_hold


@settings(max_examples=100)
@given(histories, policies)
def test_a_model_with_enough_proof_is_removed(history: list[Fetch], policy: Policy) -> None:
    """Where each run tells its outcome, no absent model stays longer than it must."""
    told = [fetch._replace(end="succeeded", gap=max(fetch.gap, HOUR)) for fetch in history]
    for lived in live(told, policy):
        assert isinstance(lived.outcome, RefreshSucceeded)
        for model in lived.after.models.values():
            if model.missing_since is not None and lived.outcome.complete:
                few = model.scans < policy.removal_scans
                early = elapsed(model.missing_since, lived.at) < policy.removal_hold

                assert few or early


def test_nothing_known_is_nothing_missing() -> None:
    (lived,) = live([Fetch(HOUR, GONE, complete=True, end="succeeded")], Policy(), NOTHING)

    assert lived.facts == []
