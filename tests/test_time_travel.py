"""Time travel: the live catalogue as of any moment is a replay of the log until then.

The log is a recorded one: many scans of two providers, decided as a refresher does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from events.codec import FactEvent
from events.decide.models import Policy
from events.models import ModelEvent
from events.record import ModelRecord
from projections import Catalogue, ModelFilter
from projections.as_of import Models
from tests.support.builders import added, catalogue, configured, missing, record, told, updated
from tests.support.runs import live
from tests.support.strategies import Fetch

SCANS = 40
MODELS = 15
WORDS = ("tiny", "grand", "swift")
SAMPLES = 12


def _seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same log at every run, no secret


def _seen(random: Random, number: int) -> ModelRecord:
    """Return a model as it is seen once: much of it is as it was."""
    return record(
        f"model-{number}",
        name=f"{WORDS[number % 3]} {random.choice(WORDS)}",
        context_window=random.choice([1_000, 1_000, 1_000, 2_000]),
        capabilities={"vision": random.random() < 0.9, "chat": True},
        input_modalities=["text"] if number % 2 else ["image", "text"],
        prices={"input": random.choice(["1", "1", "1", "2.5"])},
    )


def _life(random: Random, provider: str) -> list[list[FactEvent]]:
    """Return the facts of each scan of a provider, which its projector folds as one batch."""
    scans = []
    kept: dict[int, ModelRecord] = {}
    for _ in range(SCANS):
        for number in range(MODELS):
            if number not in kept or random.random() < 0.1:
                kept[number] = _seen(random, number)
        here = [kept[number] for number in range(MODELS) if random.random() < 0.85]
        scans.append(Fetch(timedelta(hours=3), tuple(here), complete=True, end="succeeded"))
    policy = Policy(removal_scans=2, removal_hold=timedelta(hours=1), shrink_guard=None)
    told_of: list[list[FactEvent]] = [
        [msgspec.structs.replace(fact, provider=provider) for fact in lived.facts]
        for lived in live(scans, policy)
    ]
    return [[configured(name=provider)], *told_of]


@cache
def _log() -> list[list[FactEvent]]:
    """Return the log, batch by batch: the scans of both providers between one another."""
    random = _seeded(2026)
    lives = [_life(random, provider) for provider in ("acme", "beta")]
    return [batch for pair in zip(*lives, strict=True) for batch in pair if batch]


@contextmanager
def _replayed(facts: list[FactEvent], folder: Path, seq: int) -> Iterator[Catalogue]:
    path = folder / f"until-{seq}" / "catalogue.db"
    told(path, facts[:seq]).close()
    with Catalogue.open(path) as opened:
        yield opened


FILTERS = (
    ModelFilter(),
    ModelFilter(provider="acme"),
    ModelFilter(id="model-3"),
    ModelFilter(capability_all=("vision", "chat")),
    ModelFilter(capability_any=("vision", "tools")),
    ModelFilter(modality="image", min_context=2_000),
    ModelFilter(max_input_price=1.0, sort="-price_input"),
    ModelFilter(availability="missing"),
    ModelFilter(text="swift"),
    ModelFilter(text="grand model", provider="beta", limit=3),
)


def _answers(found: Models) -> list[Any]:
    return [found.search(wanted) for wanted in FILTERS] + [
        found.get("acme", "model-0"),
        found.by_provider("beta"),
        found.by_capability("vision"),
    ]


def test_as_of_a_sequence_is_a_replay_until_it(tmp_path: Path) -> None:
    batches = _log()
    facts = [fact for batch in batches for fact in batch]
    kinds = {type(fact).__name__ for fact in facts if isinstance(fact, ModelEvent)}
    ends = [sum(map(len, batches[: place + 1])) for place in range(len(batches))]
    with catalogue(facts) as opened:
        for seq in sorted({0, *_seeded(7).sample(ends, SAMPLES), len(facts)}):
            with _replayed(facts, tmp_path, seq) as then:
                now = Models(None, then.search)

                assert _answers(opened.as_of(seq)) == _answers(now), seq

    assert {"ModelUpdated", "ModelMissing", "ModelReturned", "ModelRemoved"} <= kinds


def test_within_a_batch_the_rows_are_those_of_a_replay_too(tmp_path: Path) -> None:
    facts = [fact for batch in _log() for fact in batch]
    with catalogue(facts) as opened:
        for seq in _seeded(8).sample(range(len(facts)), SAMPLES):
            with _replayed(facts, tmp_path, seq) as then:
                assert opened.search(as_of=seq) == then.search(), seq


def test_a_time_is_the_replay_of_its_sequence(tmp_path: Path) -> None:
    facts = [fact for batch in _log() for fact in batch]
    with catalogue(facts) as opened:
        for place in _seeded(9).sample(range(len(facts)), 4):
            at = facts[place].at
            with _replayed(facts, tmp_path, opened.resolve(at)) as then:
                assert opened.search(as_of=at) == then.search()


def test_a_difference_is_that_of_two_replays(tmp_path: Path) -> None:
    facts = [fact for batch in _log() for fact in batch]
    random = _seeded(10)
    with catalogue(facts) as opened:
        for _ in range(5):
            first, last = sorted(random.sample(range(len(facts) + 1), 2))
            with _replayed(facts, tmp_path, first) as one, _replayed(facts, tmp_path, last) as two:
                before, after = _known(one), _known(two)
            found = opened.diff(first, last)
            changed = {key for key in before.keys() & after if before[key] != after[key]}

            assert _of(found, "appeared") == after.keys() - before
            assert _of(found, "vanished") == before.keys() - after
            assert _of(found, "changed") == changed


def _known(opened: Catalogue) -> dict[tuple[str, str], list[Any]]:
    """Return what is said of each model, as far as the log varies it."""
    return {
        (one.provider, one.id): [one.name, one.context_window, one.capabilities, one.prices]
        for one in opened.search()
    }


def _of(found: list[Any], change: str) -> set[tuple[str, str]]:
    return {(one.provider, one.model_id) for one in found if one.change == change}


@pytest.mark.parametrize("as_of", [None, 6])
@pytest.mark.parametrize(
    ("sort", "text"),
    [
        (None, None),
        ("context_window", None),
        ("-context_window", None),
        ("-name", None),
        (None, "model"),
        ("name", "model"),
    ],
)
def test_pages_one_after_the_other_are_the_whole(
    sort: str | None, text: str | None, as_of: int | None
) -> None:
    """Ties, unknown values and equal ranks stand where pages are cut."""
    names = ("B", "a", "b", "A", "c")
    facts: list[FactEvent] = []
    for number, name in enumerate(names):
        window = None if number % 2 else 1_000 * (number // 4)
        facts += added(record(f"model-{number}", name=name, context_window=window))
    facts += [missing("model-1", at="2026-01-02T00:00:00.000Z")]
    wanted = ModelFilter(sort=sort, text=text)
    with catalogue(facts) as opened:
        whole = opened.search(wanted, as_of=as_of)
        pages, after = [], None
        while True:
            page = msgspec.structs.replace(wanted, limit=2, after=after)
            found = list(opened.placed(page, as_of=as_of))
            if not found:
                break
            pages += [model for _, model in found]
            after = found[-1][0]

    assert len(whole) == len(names)
    assert pages == whole


def test_a_page_begins_behind_a_row_that_is_gone() -> None:
    facts = [fact for id_ in "abc" for fact in added(record(id_))]
    with catalogue(facts) as opened:
        ((place, _),) = opened.placed(ModelFilter(limit=1))
        wanted = ModelFilter(after=place._replace(id="aa"))

        assert [model.id for model in opened.search(wanted)] == ["b", "c"]


def test_history_and_differences_are_paged() -> None:
    old, new = record("m"), record("m", context_window=1)
    facts = [*added(old), updated(old, new, at="2026-01-02T00:00:00.000Z"), *added(record("n"))]
    with catalogue(facts) as opened:
        first, second = opened.history("m")

        assert opened.history("m", after=("acme", first.seq)) == [second]
        assert opened.history("m", "acme", limit=1) == [first]
        assert [one.model_id for one in opened.differences(0, 3, after=("acme", "m"))] == ["n"]
