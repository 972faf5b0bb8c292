from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from events.audit import Held
from events.base import Instant, later
from events.decide.known import NOTHING, Known, KnownModel, fold
from events.decide.models import Decision, Policy, batches, decide, listed, unregister
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
from events.record import Change, ModelRecord, differences, with_leaves
from tests.support.runs import PROVIDER, facts_of, live, saw
from tests.support.strategies import SMALL, Fetch, histories, small_lists

T0 = "2026-01-01T00:00:00.000Z"
HOLD = timedelta(hours=24)
AT_ONCE = Policy(removal_scans=1, removal_hold=timedelta(0))

policies = st.builds(
    Policy,
    removal_scans=st.integers(1, 4),
    removal_hold=st.sampled_from([timedelta(0), timedelta(hours=1), timedelta(hours=24)]),
    masked=st.frozensets(st.sampled_from(sorted(SMALL)), max_size=2),
)
many = settings(max_examples=150)


def _model(id_: str = "m", context_window: int = 8, *capabilities: str) -> ModelRecord:
    values = {f"capabilities.{name}": (True, "provider") for name in capabilities}
    return with_leaves(
        ModelRecord(id=id_, name=id_), {"context_window": (context_window, "provider"), **values}
    )


def _knowing(*records: ModelRecord) -> Known:
    return Known({record.id: KnownModel(record) for record in records})


def _next(history: list[Fetch], policy: Policy) -> tuple[Known, Instant]:
    """Return what is known after *history*, and a moment behind it."""
    lives = live(history, policy)
    return (lives[-1].after, later(lives[-1].at, timedelta(hours=1))) if lives else (NOTHING, T0)


def _decide(known: Known, *records: ModelRecord, policy: Policy = Policy()) -> Decision:  # noqa: B008 - frozen
    return decide(known, saw(T0, records), policy, T0)


def test_a_new_model_is_added_with_each_of_its_capabilities() -> None:
    record = msgspec.structs.replace(
        _model("m", 8, "vision", "chat"),
        capabilities={"vision": True, "chat": True, "tools": False},
    )

    assert _decide(NOTHING, record).events == [
        ModelAdded(at=T0, provider=PROVIDER, model=record),
        CapabilityGained(at=T0, provider=PROVIDER, model_id="m", capability="chat"),
        CapabilityGained(at=T0, provider=PROVIDER, model_id="m", capability="vision"),
    ]


def test_an_update_says_what_changed_and_what_is_true_now() -> None:
    old, new = _model("m", 8, "chat", "tools"), _model("m", 9, "chat", "vision")
    policy = Policy(removal_hold=timedelta(0))

    assert _decide(_knowing(old), new, policy=policy).events == [
        ModelUpdated(at=T0, provider=PROVIDER, model=new, changed=differences(old, new)),
        CapabilityLost(at=T0, provider=PROVIDER, model_id="m", capability="tools"),
        CapabilityGained(at=T0, provider=PROVIDER, model_id="m", capability="vision"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, True, [CapabilityGained]),
        (False, True, [CapabilityGained]),
        (True, False, [CapabilityLost]),
        (None, False, []),
        (True, True, []),
    ],
    ids=["learnt", "gained", "lost", "never had", "kept"],
)
def test_a_capability_is_gained_when_it_becomes_known_true(
    before: bool | None,  # noqa: FBT001 - the value itself
    after: bool,  # noqa: FBT001
    said: list[type[ModelEvent]],
) -> None:
    known = {} if before is None else {"vision": before}
    old = ModelRecord(id="m", name="m", capabilities=known)
    new = msgspec.structs.replace(old, capabilities={"vision": after})
    decision = _decide(_knowing(old), new)

    assert [type(event) for event in decision.events if not isinstance(event, ModelUpdated)] == said


def test_nothing_new_is_no_event() -> None:
    assert _decide(_knowing(_model()), _model()) == Decision([], [])


def test_a_change_of_masked_leaves_alone_is_no_event() -> None:
    policy = Policy(masked=frozenset({"context_window"}))
    sourced = with_leaves(_model(), {"context_window": (8, "models.dev")})

    assert _decide(_knowing(_model()), _model("m", 9), policy=policy).events == []
    assert _decide(_knowing(_model()), sourced, policy=policy).events == []


def test_masked_leaves_are_stored_with_the_next_real_change() -> None:
    policy = Policy(masked=frozenset({"context_window"}))
    new = with_leaves(_model("m", 9), {"description": ("d", "provider")})
    (event,) = _decide(_knowing(_model()), new, policy=policy).events

    assert event == ModelUpdated(
        at=T0,
        provider=PROVIDER,
        model=new,
        changed=[Change("context_window", 8, 9), Change("description", None, "d")],
    )


def test_a_model_that_returns_changed_returns_first() -> None:
    known = Known({"m": KnownModel(_model(), T0, 1)})
    decision = _decide(known, _model("m", 9))

    assert [type(event) for event in decision.events] == [ModelReturned, ModelUpdated]
    assert fold(known, decision.events).models == {"m": KnownModel(_model("m", 9))}


def test_events_come_in_the_order_of_ids() -> None:
    known = _knowing(_model("b"), _model("d"))
    decision = _decide(known, _model("c"), _model("b", 9), _model("a"))

    assert [type(event).__name__ for event in decision.events] == [
        "ModelAdded", "ModelUpdated", "ModelAdded", "ModelMissing",
    ]  # fmt: skip


def test_events_are_counted_by_kind() -> None:
    decision = _decide(NOTHING, _model("a", 8, "chat"), _model("b"))

    assert decision.count(ModelAdded) == 2
    assert decision.count(CapabilityGained) == 1
    assert decision.count(ModelRemoved) == 0


def test_a_missing_model_is_not_listed() -> None:
    assert listed({"a": KnownModel(_model("a")), "b": KnownModel(_model("b"), T0, 1)}) == 1


def test_a_provider_that_is_asked_no_more_has_no_models() -> None:
    known = Known({"b": KnownModel(_model("b"), T0, 2), "a": KnownModel(_model("a", 8, "chat"))})
    events = unregister(known, PROVIDER, T0)

    assert events == [
        ModelRemoved(
            at=T0,
            provider=PROVIDER,
            model_id="a",
            missing_since=None,
            scans=0,
            reason="provider_unregistered",
            model=_model("a", 8, "chat"),
        ),
        CapabilityLost(at=T0, provider=PROVIDER, model_id="a", capability="chat"),
        ModelRemoved(
            at=T0,
            provider=PROVIDER,
            model_id="b",
            missing_since=T0,
            scans=2,
            reason="provider_unregistered",
            model=_model("b"),
        ),
    ]
    assert fold(known, events).models == {}


@many
@given(histories, small_lists(), policies)
def test_what_was_observed_is_known_once_holds_have_run_out(
    history: list[Fetch], records: tuple[ModelRecord, ...], policy: Policy
) -> None:
    policy = msgspec.structs.replace(policy, masked=frozenset())
    known, moment = _next(history, policy)
    repeated = [
        Fetch(HOLD, records, complete=True, end="succeeded")
        for _ in range(policy.removal_scans + 1)
    ]
    for fetch in repeated:
        known, moment = _again(known, moment, fetch, policy)

    assert known == Known({record.id: KnownModel(record) for record in records})


def _again(known: Known, moment: Instant, fetch: Fetch, policy: Policy) -> tuple[Known, Instant]:
    (lived,) = live([fetch], policy, known, since=moment)
    return lived.after, lived.at


@many
@given(histories, small_lists(), policies, st.booleans())
def test_deciding_twice_yields_nothing_the_second_time(
    history: list[Fetch],
    records: tuple[ModelRecord, ...],
    policy: Policy,
    complete: bool,  # noqa: FBT001 - drawn
) -> None:
    known, now = _next(history, policy)
    observation = saw(now, records, complete=complete)
    first = decide(known, observation, policy, now)
    second = decide(fold(known, first.events), observation, policy, now)

    assert second.events == []


@many
@given(histories, small_lists(), policies)
def test_an_incomplete_list_makes_nothing_missing_or_removed(
    history: list[Fetch], records: tuple[ModelRecord, ...], policy: Policy
) -> None:
    known, now = _next(history, policy)
    decision = decide(known, saw(now, records, complete=False), policy, now)

    assert not any(isinstance(event, ModelMissing | ModelRemoved) for event in decision.events)
    assert known.models.keys() <= fold(known, decision.events).models.keys()


@many
@given(histories, small_lists().flatmap(st.permutations), policies)
def test_the_order_of_rows_changes_nothing(
    history: list[Fetch], shuffled: list[ModelRecord], policy: Policy
) -> None:
    known, now = _next(history, policy)
    ordered = tuple(sorted(shuffled, key=lambda record: record.id))

    assert decide(known, saw(now, tuple(shuffled)), policy, now) == decide(
        known, saw(now, ordered), policy, now
    )


@many
@given(histories, policies)
def test_gained_and_lost_are_complete(history: list[Fetch], policy: Policy) -> None:
    """Folding them alone gives what each model of the catalogue is known to be able to do."""
    has: set[tuple[str, str]] = set()
    for lived in live(history, policy):
        for fact in lived.facts:
            match fact:
                case CapabilityGained():
                    assert (fact.model_id, fact.capability) not in has
                    has.add((fact.model_id, fact.capability))
                case CapabilityLost():
                    has.remove((fact.model_id, fact.capability))
                case _:
                    pass

        assert has == _true(lived.after)


def _true(known: Known) -> set[tuple[str, str]]:
    return {
        (id_, name)
        for id_, model in known.models.items()
        for name, yes in model.record.capabilities.items()
        if yes
    }


@many
@given(histories, policies)
def test_a_model_is_missing_before_it_returns_or_is_removed(
    history: list[Fetch], policy: Policy
) -> None:
    missing: dict[str, Instant] = {}
    there: set[str] = set()
    for fact in facts_of(live(history, policy)):
        match fact:
            case ModelAdded():
                assert fact.model.id not in there
                there.add(fact.model.id)
            case ModelUpdated():
                assert fact.model.id in there
                assert fact.model.id not in missing
                assert fact.changed
            case ModelMissing():
                assert fact.model_id in there
                assert fact.model_id not in missing
                missing[fact.model_id] = fact.at
            case ModelReturned():
                assert fact.missing_since == missing.pop(fact.model_id)
            case ModelRemoved():
                assert fact.missing_since == missing.pop(fact.model_id)
                there.remove(fact.model_id)
            case _:
                assert fact.model_id in there or isinstance(fact, CapabilityLost)


@many
@given(histories, policies)
def test_an_update_changes_the_last_record_into_the_new_one(
    history: list[Fetch], policy: Policy
) -> None:
    last: dict[str, ModelRecord] = {}
    for fact in facts_of(live(history, policy)):
        match fact:
            case ModelAdded():
                last[fact.model.id] = fact.model
            case ModelUpdated():
                assert fact.changed == differences(last[fact.model.id], fact.model)
                assert not all(
                    one.path.removeprefix("sources.") in policy.masked for one in fact.changed
                )
                last[fact.model.id] = fact.model
            case ModelRemoved():
                assert fact.model == last[fact.model_id]
            case _:
                pass


@many
@given(histories, small_lists(), policies, st.integers(1, 40))
def test_a_batch_never_ends_between_a_model_and_its_capabilities(
    history: list[Fetch], records: tuple[ModelRecord, ...], policy: Policy, most: int
) -> None:
    known, now = _next(history, policy)
    events = decide(known, saw(now, records), policy, now).events
    cut = batches(events, most)

    assert [event for batch in cut for event in batch] == events
    for batch, following in pairwise(cut):
        assert _ids(batch[-1:]) != _ids(following[:1])
        assert len(batch) <= most or len(_ids(batch)) == 1
        # no batch is shorter than it need be
        first = [event for event in following if _ids([event]) == _ids(following[:1])]
        assert len(batch) + len(first) > most


def test_batches_are_full() -> None:
    events = _decide(NOTHING, *(_model(f"m{n:03}", 8, "chat") for n in range(100))).events

    assert [len(batch) for batch in batches(events, 60)] == [60, 60, 60, 20]
    assert batches([], 60) == []


def _ids(events: Iterable[ModelEvent]) -> set[str]:
    return {
        event.model.id if isinstance(event, ModelAdded | ModelUpdated) else event.model_id
        for event in events
    }


def test_what_is_held_stands_in_the_decision() -> None:
    reduced = ModelRecord(id="m", name="m")

    assert _decide(_knowing(_model()), reduced) == Decision(
        [], [Held(since=T0, paths=["context_window"], models=["m"])]
    )


@many
@given(histories, policies, small_lists())
def test_a_crash_between_batches_loses_nothing(
    history: list[Fetch], policy: Policy, records: tuple[ModelRecord, ...]
) -> None:
    """The rest of a decision is decided again from what is in the log, and says the same."""
    known, now = _next(history, policy)
    observation = saw(now, records)
    events = decide(known, observation, policy, now).events
    cut = batches(events, 3)
    assume(len(cut) > 1)
    rest = decide(fold(known, cut[0]), observation, policy, now).events

    assert cut[0] + rest == events
