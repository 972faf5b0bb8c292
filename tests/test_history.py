from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given, settings

from events.codec import FactEvent, tag_of
from events.decide.absence import removed
from events.decide.known import KnownModel
from events.models import CapabilityEvent, ModelAdded, ModelEvent, ModelRemoved, ModelUpdated
from events.record import Change, ModelRecord
from projections.rows import Version
from tests.support.builders import (
    DAYS,
    World,
    added,
    catalogue,
    missing,
    record,
    returned,
    updated,
    worlds,
)

OLD = record("m", prices={"input": "3"})
NEW = record("m", prices={"input": "2.5"})
STORY: list[FactEvent] = [
    *added(OLD, at=DAYS[0]),
    updated(OLD, NEW, at=DAYS[1]),
    missing(at=DAYS[2]),
    returned(at=DAYS[3], since=DAYS[2]),
    missing(at=DAYS[4]),
    *removed("acme", KnownModel(NEW, DAYS[4], 3), DAYS[5], reason="delisted"),
    *added(OLD, at=DAYS[6]),
]


def _seen(versions: list[Version]) -> list[tuple[object, ...]]:
    return [(one.seq, one.until_seq, one.change, one.record["prices"]) for one in versions]


def test_every_version_ends_where_the_next_one_begins() -> None:
    with catalogue(STORY) as opened:
        versions = opened.history("m")

    assert _seen(versions) == [
        (1, 2, "added", {"input": "3"}),
        (2, 3, "updated", {"input": "2.5"}),
        (3, 4, "missing", {"input": "2.5"}),
        (4, 5, "returned", {"input": "2.5"}),
        (5, 6, "missing", {"input": "2.5"}),
        (6, 7, "removed", {"input": "2.5"}),
        (7, None, "added", {"input": "3"}),
    ]
    assert [(one.at, one.until) for one in versions] == [*pairwise(DAYS[:7]), (DAYS[6], None)]


def test_a_version_says_what_changed() -> None:
    with catalogue(STORY) as opened:
        changed = {one.seq: one.changed for one in opened.history("m", "acme")}

    assert changed.pop(2) == [Change("prices.input", "3", "2.5")]
    assert set(map(tuple, changed.values())) == {()}


def test_a_history_is_of_one_provider_or_of_all_that_serve_the_model() -> None:
    facts = [
        *added(record("m"), provider="beta"),
        *added(record("m"), provider="acme"),
        *added(record("n"), provider="acme"),
        updated(record("m"), record("m", name="M"), at=DAYS[1], provider="beta"),
    ]
    with catalogue(facts) as opened:
        assert [(one.provider, one.seq) for one in opened.history("m")] == [
            ("acme", 2), ("beta", 1), ("beta", 4),
        ]  # fmt: skip
        assert [one.seq for one in opened.history("m", "beta")] == [1, 4]
        assert opened.history("m", "gamma") == opened.history("x") == []


@settings(max_examples=50, deadline=None)
@given(worlds())
def test_a_history_is_the_events_of_each_model_with_the_record_of_then(world: World) -> None:
    told: dict[tuple[str, str], list[tuple[int, str, ModelRecord]]] = {}
    for seq, fact in enumerate(world.facts, 1):
        if not isinstance(fact, ModelEvent) or isinstance(fact, CapabilityEvent):
            continue
        model = fact.model if isinstance(fact, ModelAdded | ModelUpdated | ModelRemoved) else None
        id_ = fact.model.id if isinstance(fact, ModelAdded | ModelUpdated) else fact.model_id
        past = told.setdefault((fact.provider, id_), [])
        past.append((seq, tag_of(fact).removeprefix("model."), model or past[-1][2]))
    with catalogue(world.facts) as opened:
        found = {key: opened.history(key[1], key[0]) for key in told}
        assert opened.counts()["versions"] == sum(map(len, told.values()))

    for key, versions in found.items():
        assert [
            (one.seq, one.change, msgspec.convert(one.record, ModelRecord)) for one in versions
        ] == told[key]
        assert [one.until_seq for one in versions] == [
            *(one.seq for one in versions[1:]),
            None,
        ]
