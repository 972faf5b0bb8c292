"""A list that lost too much is not believed, and what it lacks is not forgotten either."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from events import encode
from events.audit import RefreshFailed, RefreshOutcome, RefreshQuarantined, RefreshSucceeded
from events.base import Instant, later
from events.decide.known import NOTHING, Known, counted, evolve, fold
from events.decide.models import Policy
from events.decide.quarantine import LONGEST, Absence, awaited, guarded, told
from events.models import ModelMissing, ModelRemoved, ModelReturned
from events.record import ModelRecord
from services.refresher.watched import Watched
from tests.support.builders import catalogue
from tests.support.refreshing import acme, configured, row
from tests.support.refreshing import told as said
from tests.support.runs import Lived, facts_of, live
from tests.support.strategies import START, Fetch, histories

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GUARD = Policy(shrink_guard=0.2)
TEN = tuple("abcdefghij")
policies = st.builds(
    Policy,
    removal_scans=st.integers(1, 4),
    removal_hold=st.sampled_from([timedelta(0), HOUR, timedelta(hours=20)]),
    shrink_guard=st.just(0.2),
)


def _records(ids: str) -> tuple[ModelRecord, ...]:
    return tuple(ModelRecord(id=id_, name=id_) for id_ in ids)


def _story(*lists: str, gap: timedelta = DAY, policy: Policy = GUARD) -> list[Lived]:
    """Live through *lists*, one letter a model; `!` fails, a list with `?` is incomplete."""
    return live(
        [
            Fetch(
                gap,
                _records(ids.strip("!?")),
                complete="?" not in ids,
                end="failed" if "!" in ids else "succeeded",
            )
            for ids in lists
        ],
        policy,
    )


def _told(lived: Lived) -> str:
    return " ".join(said(lived.facts))


def _awaits(lived: Lived) -> int:
    absent = getattr(lived.outcome, "absent", None)
    return absent.count if absent is not None else 0


@pytest.mark.parametrize(
    ("lost", "listed", "expected"),
    [
        (0, 0, False),
        (0, 9, False),
        (1, 1, True),
        (5, 5, True),
        (5, 6, False),
        (6, 7, True),
        (6, 30, False),
        (7, 30, True),
        (60, 300, False),
        (61, 300, True),
    ],
)
def test_a_list_is_guarded_that_lacks_more_than_a_fifth_and_five_or_all(
    lost: int,
    listed: int,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert guarded(lost, listed, 0.2) is expected
    assert not guarded(lost, listed, None)


@pytest.mark.parametrize("rest", ["abcd", ""], ids=["six of ten", "all"])
def test_a_mass_disappearance_makes_nothing_missing(rest: str) -> None:
    _, cut, back = _story("abcdefghij", rest, "abcdefghij", gap=HOUR)

    assert cut.facts == []
    assert isinstance(cut.outcome, RefreshQuarantined)
    assert cut.outcome.absent is not None
    assert (cut.outcome.absent.count, cut.outcome.absent.since) == (10 - len(rest), cut.at)
    assert back.facts == []
    assert isinstance(back.outcome, RefreshSucceeded)
    assert (back.outcome.absent, back.after) == (None, back.before._replace(absences={}))


def test_what_a_quarantined_list_adds_and_updates_counts() -> None:
    old, new = ModelRecord(id="a", name="a"), ModelRecord(id="a", name="A")
    history = [
        Fetch(HOUR, (old, *_records("bcdefghij")), complete=True, end="succeeded"),
        Fetch(HOUR, (new, *_records("xy")), complete=True, end="succeeded"),
    ]
    _, cut = live(history, GUARD)

    assert _told(cut) == "updated a added x added y"
    assert _awaits(cut) == 9


def test_a_small_loss_is_believed_at_once() -> None:
    assert _told(_story("abcdefghij", "abcdefgh")[1]) == "missing i missing j"


def test_what_stays_away_is_missing_then_and_removed_with_the_next_list() -> None:
    first, cut, second, third, fourth, fifth = _story("abcdefg", *["a"] * 5, gap=DAY)
    del first

    assert (cut.facts, second.facts) == ([], [])
    assert third.facts == [
        ModelMissing(at=third.at, provider="acme", model_id=id_, scans=3, missing_since=cut.at)
        for id_ in "bcdefg"
    ]
    assert isinstance(third.outcome, RefreshSucceeded)
    assert [
        (fact.model_id, fact.missing_since, fact.scans)
        for fact in fourth.facts
        if isinstance(fact, ModelRemoved)
    ] == [(id_, cut.at, 4) for id_ in "bcdefg"]
    assert fifth.facts == []
    assert fifth.after.models.keys() == {"a"}


def test_the_proof_takes_the_hold_and_the_lists() -> None:
    lives = _story("abcdefg", *["a"] * 26, gap=HOUR)
    quick = Policy(shrink_guard=0.2, removal_scans=1, removal_hold=timedelta(0))

    assert [index for index, lived in enumerate(lives) if lived.facts] == [0, 25, 26]
    assert [_told(lived)[:7] for lived in _story("abcdefg", "a", "a", "a", policy=quick)] == [
        "added a", "", "missing", "removed",
    ]  # fmt: skip


def test_proven_ones_are_removed_whatever_else_changes() -> None:
    lists = ["abcdefghijklmnop", *["hijklmnop"] * 3, "p"]
    *_, proven, then = _story(*lists)

    assert said(proven.facts) == [f"missing {id_}" for id_ in "abcdefg"]
    assert said(then.facts) == [f"removed {id_}" for id_ in "abcdefg"]
    assert isinstance(then.outcome, RefreshQuarantined)
    assert _awaits(then) == 8


def test_what_returns_was_never_missing_and_the_rest_is_awaited_until_none_is_left() -> None:
    lives = _story("abcdefghij", "abcd", "abcdefgh", "abcdefghi", "abcdefghij", gap=HOUR)

    assert [_awaits(lived) for lived in lives] == [0, 6, 2, 1, 0]
    assert [type(lived.outcome).__name__ for lived in lives[1:]] == [
        *["RefreshQuarantined"] * 3,
        "RefreshSucceeded",
    ]
    assert not any(lived.facts for lived in lives[1:])


def test_one_that_returned_begins_anew() -> None:
    lives = _story("abcdefghij", "abcd", "abcdefgh", "abcd", "abcd", "abcd", gap=DAY)

    assert said(lives[3].facts) == ["missing i", "missing j"]
    assert said(lives[4].facts) == ["removed i", "removed j"]
    assert said(lives[5].facts) == [f"missing {id_}" for id_ in "efgh"]


def test_a_loss_that_goes_on_is_awaited_each_since_its_own_list() -> None:
    lives = _story("abcdefghij", "abcd", "abc", "abc", "abc", "abc", gap=DAY)

    assert said(lives[3].facts) == [f"missing {id_}" for id_ in "efghij"]
    assert said(lives[4].facts)[0] == "missing d"
    assert said(lives[5].facts) == ["removed d"]


def test_a_small_loss_in_a_quarantine_is_told_at_once() -> None:
    few = "abcdefghijklmnopqrst"
    lives = _story(few, few[:10], few[:18], few[:17], gap=HOUR)

    assert [_awaits(lived) for lived in lives] == [0, 10, 2, 2]
    assert said(lives[3].facts) == ["missing r"]


@pytest.mark.parametrize("step", ["!", "a?"], ids=["failed", "incomplete"])
def test_a_run_that_proves_nothing_neither_counts_nor_resets(step: str) -> None:
    lives = _story("abcdefg", "a", step, step, step, "a", step, "a", gap=DAY)

    assert [bool(lived.facts) for lived in lives] == [True, *[False] * 6, True]
    assert _awaits(lives[2]) == (0 if step == "!" else 6)
    assert isinstance(lives[2].outcome, RefreshFailed if step == "!" else RefreshSucceeded)


def test_an_incomplete_list_lets_return_what_it_shows() -> None:
    lives = _story("abcdefg", "a", "abc?", "a", gap=HOUR)

    assert [_awaits(lived) for lived in lives] == [0, 6, 4, 6]
    assert {id_: one.since for id_, one in lives[3].after.absences.items()} == {
        **dict.fromkeys("defg", lives[1].at),
        **dict.fromkeys("bc", lives[3].at),
    }


def test_a_quarantined_list_is_no_proof_against_what_was_missing_before() -> None:
    lives = _story("abcdefghij", "abcdefghi", "a", "a", "abcdefghi", "abcdefghi", gap=DAY)

    assert said(lives[1].facts) == ["missing j"]
    assert [lived.after.models["j"].scans for lived in lives[1:5]] == [1, 1, 1, 2]
    assert said(lives[5].facts) == ["removed j"]


def test_one_that_was_proven_may_return() -> None:
    lives = _story("abcdefg", "a", "a", "a", "ab", gap=DAY)
    returned = lives[4].facts[0]

    assert isinstance(returned, ModelReturned)
    assert (returned.model_id, returned.missing_since) == ("b", lives[1].at)


def test_without_a_guard_nothing_is_awaited() -> None:
    known = _story("abcdefg", "a", gap=HOUR)[1].after
    (after,) = live(
        [Fetch(HOUR, _records("a"), complete=True, end="succeeded")], Policy(), known, START
    )

    assert said(after.facts) == [f"missing {id_}" for id_ in "bcdefg"]
    assert after.after.absences == {}


absences = st.dictionaries(
    st.sampled_from(TEN),
    st.builds(
        Absence, st.integers(0, 9).map(lambda hours: later(START, hours * HOUR)), st.integers(1, 3)
    ),
    min_size=1,
)


@given(absences, st.sets(st.text(max_size=3)), st.booleans())
def test_what_is_told_is_what_is_read(
    waits: dict[str, Absence],
    others: set[str],
    believed: bool,  # noqa: FBT001 - drawn
) -> None:
    known = [*others, *TEN]
    absent = told(waits, known, seq=7, believed=believed)

    assert absent is not None
    assert awaited(absent, known[::-1]) == waits
    assert (absent.count, absent.since) == (len(waits), min(waits.values()).since)
    assert (absent.seq, absent.believed) == (7, believed)


def test_where_the_models_are_others_nothing_is_awaited() -> None:
    absent = told({"b": Absence(START)}, ["a", "b"], seq=1, believed=False)

    assert awaited(absent, ["b"]) == {}
    assert awaited(absent, []) == {}
    assert absent is not None
    for places in ("", "no base64", "bm90IHpsaWI="):
        assert awaited(msgspec.structs.replace(absent, places=places), ["a", "b"]) == {}
    assert awaited(None, ["a"]) == {}
    assert told({}, ["a"], seq=1, believed=True) is None


@pytest.mark.parametrize("moments", [1, 60, 288, 6000])
def test_six_thousand_are_told_in_a_few_kilobytes(moments: int) -> None:
    ids = [
        f"organisation-{n % 97}/a-model-of-theirs-{n * 7919 % 12007}-instruct"
        for n in range(12_000)
    ]
    waits = {
        id_: Absence(
            later(START, timedelta(minutes=5 * (n * 31 % moments))), 6_001 - n * 31 % moments
        )
        for n, id_ in enumerate(ids[::2])
    }
    absent = told(waits, ids, seq=1, believed=False)
    assert absent is not None
    found = awaited(absent, ids)

    assert len(absent.places) <= LONGEST
    assert len(msgspec.json.encode(absent)) < 14_000
    assert found.keys() == waits.keys()
    if moments <= 60:
        assert found == waits
    assert all(found[id_].since >= waits[id_].since for id_ in waits)
    assert all(found[id_].scans <= waits[id_].scans for id_ in waits)


@settings(max_examples=150)
@given(histories, policies)
def test_the_log_tells_what_was_in_memory(history: list[Fetch], policy: Policy) -> None:
    lives = live(history, policy)

    assert _replayed(lives) == (lives[-1].after if lives else NOTHING)


def _replayed(lives: list[Lived]) -> Known:
    """Fold as a start does: the facts up to the last outcome, it, the facts behind, the count."""
    ends = [n for n, one in enumerate(lives) if not isinstance(one.outcome, RefreshFailed)]
    if not ends:
        return fold(NOTHING, facts_of(lives))
    last = ends[-1]
    known = evolve(fold(NOTHING, facts_of(lives[: last + 1])), lives[last].outcome)
    known = fold(known, facts_of(lives[last + 1 :]))
    return counted(known, [lived.outcome for lived in lives[:last]])


@settings(max_examples=150)
@given(histories, policies)
def test_a_guarded_list_takes_nothing_that_was_not_proven(
    history: list[Fetch], policy: Policy
) -> None:
    first: dict[str, Instant] = {}
    for lived in live(history, policy):
        for fact in lived.facts:
            if isinstance(fact, ModelMissing) and fact.missing_since is not None:
                assert fact.missing_since == lived.before.absences[fact.model_id].since
                assert fact.scans >= policy.removal_scans
                assert later(fact.missing_since, policy.removal_hold) <= fact.at
                first[fact.model_id] = fact.missing_since
            if isinstance(fact, ModelMissing) and _is_guarded(lived):
                assert fact.missing_since is not None
            if isinstance(fact, ModelRemoved) and _is_guarded(lived):
                assert first[fact.model_id] == fact.missing_since


def _is_guarded(lived: Lived) -> bool:
    absent = getattr(lived.outcome, "absent", None)
    return absent is not None and not absent.believed


@pytest.mark.nats
@pytest.mark.parametrize("restarts", [False, True], ids=["one process", "a process a run"])
async def test_a_quarantine_outlives_the_process(
    *, restarts: bool, nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, list(TEN)) as (bench, site, clock):
        outcomes: list[RefreshOutcome] = []
        for ids in (TEN, TEN[:3], TEN[:4], TEN[:4], TEN[:4], TEN[:4]):
            site.models = [row(id_) for id_ in ids]
            clock.advance(hours=12)
            if restarts:
                bench.restart()
            outcomes.append(await bench.run())
            assert bench.watched.known == await bench.known()

        assert said(outcomes) == [
            "succeeded", *["quarantined"] * 2, "succeeded", "succeeded", "succeeded",
        ]  # fmt: skip
        assert [one.absent.count if one.absent else 0 for one in outcomes] == [0, 7, 6, 0, 0, 0]
        assert [(one.missing, one.removed) for one in outcomes[2:]] == [
            (0, 0), (6, 0), (0, 6), (0, 0),
        ]  # fmt: skip
        missing = [one for one in await bench.facts() if isinstance(one, ModelMissing)]
        assert {one.missing_since for one in missing} == {outcomes[1].observed_at}


@pytest.mark.nats
async def test_an_outcome_with_six_thousand_absent_fits_into_the_log(
    nc: Client, tmp_path: Path
) -> None:
    many = [row(f"organisation/a-model-of-theirs-{n:05}", name="n" * 40) for n in range(7_000)]
    async with acme(nc, tmp_path, many) as (bench, site, clock):
        await bench.run()
        for size in (1_000, 900):
            site.models = [{"id": one["id"]} for one in many[:size]]
            clock.advance(hours=1)
            outcome = await bench.run()

        assert outcome.absent is not None
        assert outcome.absent.count == 6_100
        assert len(encode(outcome)) < 63_000
        assert bench.watched.known == await bench.known()


def test_local_servers_have_no_guard(tmp_path: Path) -> None:
    remote = configured(tmp_path, '[[providers]]\nname = "openai"\napi_key = { env = "K" }\n')
    local = configured(tmp_path, '[[providers]]\nname = "ollama"\n')

    assert Watched(remote.providers[0]).policy.shrink_guard == 0.2
    assert Watched(local.providers[0]).policy.shrink_guard is None


def test_the_catalogue_says_since_when_it_was_awaited() -> None:
    lives = _story("abcdefg", *["a"] * 3)
    with catalogue([*facts_of(lives)]) as opened:
        now = opened.search()

        assert {one.id: one.missing_since for one in now} == {
            "a": None,
            **dict.fromkeys("bcdefg", lives[1].at),
        }
        assert opened.search(as_of=len(facts_of(lives))) == now


def test_a_list_is_believed_again_once_what_it_lacks_is_proven() -> None:
    """What was missing before the quarantine need not wait for another list."""
    lives = _story("abcdefghij", *["abcdefghi"] * 2, *["a"] * 4, gap=12 * HOUR)

    assert said(lives[1].facts) == ["missing j"]
    assert [said(lived.facts) for lived in lives[2:5]] == [[], [], []]
    assert said(lives[5].facts) == [*[f"missing {id_}" for id_ in "bcdefghi"], "removed j"]
    assert said(lives[6].facts) == [f"removed {id_}" for id_ in "bcdefghi"]
