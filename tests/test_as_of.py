from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.codec import FactEvent
from events.decide.absence import removed
from events.decide.known import KnownModel
from events.decide.models import batches as whole
from events.models import ModelEvent
from events.record import differences
from events.subjects import FACTS
from projections import Catalogue, ModelFilter
from projections.rows import Difference, Model, built
from projections.search import SORTS, select
from tests.support.builders import (
    DAYS,
    World,
    added,
    catalogue,
    configured,
    empty,
    folder,
    missing,
    raw,
    record,
    returned,
    stored,
    updated,
    worlds,
)
from tests.support.strategies import instants

OLD = record("m", family="gem", context_window=1000, capabilities={"chat": True})
NEW = record("m", family="gem", context_window=2000, capabilities={"chat": True})
STORY: list[FactEvent] = [
    configured(at=DAYS[0]),
    *added(OLD, at=DAYS[1]),
    updated(OLD, NEW, at=DAYS[2]),
    missing(at=DAYS[3]),
    returned(at=DAYS[4], since=DAYS[3]),
]
filters = st.builds(
    ModelFilter,
    provider=st.none() | st.sampled_from(["acme", "beta"]),
    capability_all=st.lists(st.sampled_from(["vision", "tools"]), max_size=1).map(tuple),
    capability_any=st.lists(st.sampled_from(["vision", "tools", "chat"]), max_size=2).map(tuple),
    min_context=st.none() | st.sampled_from([1000, 1001]),
    lifecycle=st.none() | st.sampled_from(["preview", "active"]),
    availability=st.none() | st.sampled_from(["listed", "missing"]),
    text=st.none() | st.sampled_from(["a", "One", "b.c two", "e>", " ", "*"]),
    sort=st.none() | st.sampled_from(SORTS) | st.sampled_from(SORTS).map("-{}".format),
    limit=st.none() | st.integers(0, 3),
    offset=st.integers(0, 2),
)


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_the_catalogue_at_a_sequence_is_a_fold_of_the_events_up_to_it(world: World) -> None:
    db = empty()
    fold = folder(db)
    now = select(ModelFilter())
    with catalogue(world.facts) as opened:
        for seq, fact in enumerate(stored(world.facts), 1):
            fold.fold(FACTS, [fact])
            found = [built(Model, row) for row in db.execute(now.sql, now.parameters)]

            assert opened.search(as_of=seq) == found


def _ends(facts: list[FactEvent]) -> list[int]:
    """Return the sequences behind which a transaction may end: never within a model."""
    ends = []
    for seq, fact in enumerate(facts, 1):
        pair = [one for one in (fact, *facts[seq : seq + 1]) if isinstance(one, ModelEvent)]
        if len(whole(pair, 1)) == len(pair) or pair[0].provider != pair[1].provider:
            ends.append(seq)
    return ends


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_search_finds_what_it_would_have_found_then(data: st.DataObject) -> None:
    world = data.draw(worlds().filter(lambda world: bool(world.facts)))
    facts = sorted(world.facts, key=lambda fact: fact.provider)
    seq = data.draw(st.sampled_from(_ends(facts)))
    wanted = data.draw(filters)
    with catalogue(facts) as now, catalogue(facts[:seq]) as then:
        assert now.search(wanted, as_of=seq) == then.search(wanted)


@settings(max_examples=60, deadline=None)
@given(worlds(), st.data())
def test_a_time_is_the_largest_sequence_whose_running_maximum_is_not_later(
    world: World, data: st.DataObject
) -> None:
    told = [fact.at for fact in world.facts]
    at = data.draw(st.sampled_from(told) | instants)
    highest = list(accumulate(told, max))
    with catalogue(world.facts) as opened:
        assert opened.resolve(at) == sum(maximum <= at for maximum in highest)


def test_moments_are_as_many_as_the_maximum_rose() -> None:
    facts = [*added(record("a"), at=DAYS[2]), *added(record("b"), at=DAYS[1])]
    facts += [*added(record("c"), at=DAYS[2]), *added(record("d"), at=DAYS[3])]
    with catalogue(facts) as opened:
        assert opened.query("SELECT * FROM moments").rows == [(1, DAYS[2]), (4, DAYS[3])]


@pytest.mark.parametrize(
    ("moment", "seq"),
    [
        ("2025-12-31", 0),
        ("2026-01-01T00:00:00Z", 1),
        ("2026-01-01", 1),
        ("2026-01-02T12:00:00+12:00", 3),
        ("2026-01-02T02:00:00+12:00", 1),
        ("2026-01-02T00:00:00.000Z", 3),
        ("2026-01-01T23:59:59.9999Z", 1),
        ("2030-01-01", 6),
        (0, 0),
        (4, 4),
        (7, 6),
    ],
)
def test_moments_are_sequences_dates_and_times(moment: int | str, seq: int) -> None:
    with catalogue(STORY) as opened:
        assert opened.resolve(moment) == seq
        assert opened.as_of(moment).seq == seq


@pytest.mark.parametrize("text", ["", "yesterday", "7d", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with catalogue(STORY) as opened, pytest.raises(ValueError, match=r"isoformat|month"):
        opened.search(as_of=text)


def test_the_models_of_a_moment_answer_as_those_of_now() -> None:
    with catalogue(STORY) as opened:
        then = opened.as_of(DAYS[1])
        model = then.get("acme", "m")

        assert model is not None
        assert (model.context_window, model.availability, model.seq) == (1000, "listed", 2)
        assert then.search() == then.by_provider("acme") == then.by_capability("chat") == [model]
        assert opened.get("acme", "m", as_of=DAYS[1]) == model
        assert then.search(ModelFilter(text="gem")) == [model]
        assert then.capabilities("acme", "m") == {"chat": True}
        assert then.validate("acme", "m", ["chat", "tools"]) == {"tools": None}
        assert opened.as_of(1).get("acme", "m") is None
        with pytest.raises(KeyError, match="acme/m"):
            opened.as_of(1).capabilities("acme", "m")


def test_an_update_of_a_missing_model_leaves_it_missing() -> None:
    facts: list[FactEvent] = [*added(OLD), missing(at=DAYS[3]), updated(OLD, NEW, at=DAYS[4])]
    with catalogue(facts) as opened:
        (now,) = opened.search()

        assert opened.search(as_of=4) == [now]
        assert (now.availability, now.missing_since) == ("missing", DAYS[3])


def test_an_event_of_a_newer_version_has_its_moment_too() -> None:
    db = empty()
    fold = folder(db)
    fold.fold(FACTS, stored([configured(at=DAYS[0])]))
    fold.fold(FACTS, [raw(2, b'{"type":"model.new","at":"%s"}' % DAYS[5].encode())])

    assert db.execute("SELECT * FROM moments").fetchall() == [(1, DAYS[0]), (2, DAYS[5])]


def _models(opened: Catalogue, seq: int) -> dict[tuple[str, str], Model]:
    return {(one.provider, one.id): one for one in opened.search(as_of=seq)}


@settings(max_examples=40, deadline=None)
@given(worlds(), st.data())
def test_a_difference_is_what_two_moments_do_not_share(world: World, data: st.DataObject) -> None:
    seqs = st.integers(0, len(world.facts))
    first, last = data.draw(seqs), data.draw(seqs)
    with catalogue(world.facts) as opened:
        found = {(one.provider, one.model_id): one for one in opened.diff(first, last)}
        before, after = _models(opened, first), _models(opened, last)

    assert list(found) == sorted(found)
    assert {key for key, one in found.items() if one.change == "appeared"} == (
        after.keys() - before.keys()
    )
    assert {key for key, one in found.items() if one.change == "vanished"} == (
        before.keys() - after.keys()
    )
    for key in before.keys() & after.keys():
        same = all(
            getattr(before[key], name) == getattr(after[key], name)
            for name in (
                "name",
                "context_window",
                "capabilities",
                "lifecycle",
                "aliases",
                "sources",
            )
        )
        assert same is (key not in found)


def test_a_change_names_each_leaf_with_both_values() -> None:
    with catalogue(STORY) as opened:
        forth, back = opened.diff(DAYS[1], 6), opened.diff(6, DAYS[1])

    assert forth == [
        Difference(provider="acme", model_id="m", change="changed", changed=differences(OLD, NEW))
    ]
    assert [(one.path, one.old, one.new) for one in back[0].changed] == [
        ("context_window", 2000, 1000)
    ]


def test_what_came_and_went_between_two_moments_is_no_difference() -> None:
    with catalogue(STORY) as opened:
        assert opened.diff(4, 6) == []
        assert opened.diff(0, 1) == []
        assert [one.change for one in opened.diff(0, 6)] == ["appeared"]
        assert [one.change for one in opened.diff(6, 0)] == ["vanished"]


def test_a_model_that_was_there_only_between_two_moments_is_no_difference() -> None:
    gone = removed("acme", KnownModel(OLD, DAYS[1], 3), DAYS[2], reason="delisted")
    with catalogue([*added(OLD), *gone]) as opened:
        assert opened.diff(0, 4) == opened.diff(4, 0) == []
