from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from events.codec import FactEvent
from events.decide.absence import removed
from events.decide.known import KnownModel
from events.record import Lifecycle
from events.subjects import FACTS
from projections import Catalogue, ModelFilter
from projections.database import open_writer
from tests.support.builders import DAYS, added, catalogue, folder, missing, record, stored, updated

GPT = record(
    "gpt-4.1",
    name="GPT-4.1",
    family="gpt",
    description="Reads pictures, and a Café menu.",
    context_window=1_000_000,
    max_output_tokens=32_000,
    input_modalities=["image", "text"],
    output_modalities=["text"],
    capabilities={"chat": True, "vision": True},
    prices={"input": "2", "output": "8"},
)
MINI = record(
    "gpt-4.1-mini",
    name="GPT-4.1 mini",
    family="gpt",
    context_window=128_000,
    output_modalities=["text"],
    capabilities={"chat": True, "vision": False},
    prices={"input": "0.4", "output": "1.6"},
)
EMBED = record("openai/embed:free", output_modalities=["embedding"], prices={"input": "0"})
OLD = record(
    "davinci",
    description="An old model; not GPT.",
    lifecycle=Lifecycle(state="deprecated", retires_on="2026-09-01"),
    capabilities={"completion": True},
)
FACTS_TOLD: list[FactEvent] = [
    *added(GPT, provider="openai", at=DAYS[0]),
    *added(MINI, provider="openai", at=DAYS[1]),
    *added(GPT, provider="azure", at=DAYS[2]),
    *added(EMBED, provider="router", at=DAYS[3]),
    *added(OLD, provider="openai", at=DAYS[4]),
    missing("davinci", provider="openai", at=DAYS[5]),
]


@pytest.fixture(scope="module")
def opened() -> Iterator[Catalogue]:
    with catalogue(FACTS_TOLD) as found:
        yield found


def _ids(opened: Catalogue, wanted: ModelFilter) -> list[str]:
    return [f"{one.provider}/{one.id}" for one in opened.search(wanted)]


AZURE, OPENAI, SMALL = "azure/gpt-4.1", "openai/gpt-4.1", "openai/gpt-4.1-mini"
DAVINCI, FREE = "openai/davinci", "router/openai/embed:free"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param(ModelFilter(), [AZURE, DAVINCI, OPENAI, SMALL, FREE], id="all"),
        pytest.param(ModelFilter(provider="openai"), [DAVINCI, OPENAI, SMALL], id="provider"),
        pytest.param(ModelFilter(id="gpt-4.1"), [AZURE, OPENAI], id="id"),
        pytest.param(ModelFilter(capability_all=("vision",)), [AZURE, OPENAI], id="capability"),
        pytest.param(
            ModelFilter(capability_all=("vision", "chat")), [AZURE, OPENAI], id="all capabilities"
        ),
        pytest.param(
            ModelFilter(capability_any=("vision", "completion")),
            [AZURE, DAVINCI, OPENAI],
            id="any capability",
        ),
        pytest.param(ModelFilter(modality="image"), [AZURE, OPENAI], id="modality in"),
        pytest.param(ModelFilter(modality="embedding"), [FREE], id="modality out"),
        pytest.param(
            ModelFilter(min_context=128_000), [AZURE, OPENAI, SMALL], id="window, unknown ones not"
        ),
        pytest.param(ModelFilter(max_input_price=0.4), [SMALL, FREE], id="price, unknown not"),
        pytest.param(ModelFilter(lifecycle="deprecated"), [DAVINCI], id="life cycle"),
        pytest.param(ModelFilter(availability="missing"), [DAVINCI], id="availability"),
        pytest.param(ModelFilter(sort="price_input"), [FREE, SMALL, AZURE, OPENAI, DAVINCI]),
        pytest.param(ModelFilter(sort="-price_input"), [AZURE, OPENAI, SMALL, FREE, DAVINCI]),
        pytest.param(ModelFilter(sort="first_seen_at", limit=2), [OPENAI, SMALL]),
        pytest.param(ModelFilter(limit=2, offset=1), [DAVINCI, OPENAI], id="limit and offset"),
        pytest.param(ModelFilter(limit=0), [], id="no limit"),
        pytest.param(ModelFilter(text="mini"), [SMALL], id="a word of the id"),
        pytest.param(ModelFilter(text="PICTURES"), [AZURE, OPENAI], id="case"),
        pytest.param(ModelFilter(text="cafe"), [AZURE, OPENAI], id="accents"),
        pytest.param(ModelFilter(text="pic men"), [AZURE, OPENAI], id="beginnings of words"),
        pytest.param(ModelFilter(text="gpt-4.1 mini"), [SMALL], id="all words"),
        pytest.param(ModelFilter(text="openai/embed:free"), [FREE], id="a whole id"),
        pytest.param(ModelFilter(text="reading"), [], id="another form of a word"),
        pytest.param(ModelFilter(text="nothing"), [], id="no such word"),
        pytest.param(ModelFilter(text="  "), [AZURE, DAVINCI, OPENAI, SMALL, FREE], id="no word"),
        pytest.param(ModelFilter(text="gpt", provider="azure"), [AZURE], id="text and provider"),
        pytest.param(
            ModelFilter(text="gpt", sort="-name", limit=2), [SMALL, AZURE], id="text, sorted"
        ),
    ],
)
def test_a_filter_finds_what_it_says(
    opened: Catalogue, wanted: ModelFilter, found: list[str]
) -> None:
    assert _ids(opened, wanted) == found


@pytest.mark.parametrize("sort", [None, "-name"])
@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (1, 1), (2, 1), (9, 3), (None, 2), (0, 0)])
def test_pages_of_what_has_a_word_are_cut_as_of_then_as_they_are_now(
    opened: Catalogue, sort: str | None, limit: int | None, offset: int
) -> None:
    every = opened.search(ModelFilter(text="gpt", sort=sort))
    wanted = ModelFilter(text="gpt", sort=sort, limit=limit, offset=offset)
    end = None if limit is None else offset + limit

    assert len(every) == 4
    assert opened.search(wanted) == every[offset:end]
    assert opened.search(wanted, as_of=opened.seq()) == every[offset:end]


def test_text_is_answered_best_first(opened: Catalogue) -> None:
    assert _ids(opened, ModelFilter(text="gpt"))[-1] == DAVINCI


@pytest.mark.parametrize("as_of", [None, 3])
def test_nothing_else_can_be_sorted_by(opened: Catalogue, as_of: int | None) -> None:
    with pytest.raises(ValueError, match="'price' is nothing to sort by; there are provider, id"):
        opened.search(ModelFilter(sort="price"), as_of=as_of)


ANY = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=12)
ODD = ANY | st.sampled_from(['"', "a OR b", "NEAR(a b)", "name:x", "^a", "-a", "a*", "\0", "a\0b"])


@settings(deadline=None)
@example("\udcff", None)
@example("\udcff gpt", 3)
@given(ODD, st.none() | st.integers(0, 20))
def test_any_text_is_a_legal_question(opened: Catalogue, text: str, as_of: int | None) -> None:
    for wanted in (ModelFilter(text=text), ModelFilter(provider=text), ModelFilter(id=text)):
        assert isinstance(opened.search(wanted, as_of=as_of), list)
    assert opened.history(text, text) == []
    assert opened.provider(text) is None


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6))
def test_a_word_is_found_by_each_of_its_beginnings(word: str) -> None:
    with catalogue(added(record("x", description=f"a {word}: so"))) as opened:
        for end in range(1, len(word) + 1):
            assert len(opened.search(ModelFilter(text=word[:end]))) == 1


def test_words_follow_every_change_of_a_model() -> None:
    new = record("m", name="second")
    gone = removed("acme", KnownModel(new, DAYS[3], 3), DAYS[4], reason="delisted")
    story: list[FactEvent] = [
        *added(record("m", name="first")),
        updated(record("m", name="first"), new, at=DAYS[1]),
        missing(at=DAYS[3]),
        *gone,
    ]
    found: list[tuple[int, int]] = []
    for end in range(1, len(story) + 1):
        with catalogue() as opened:
            _follow(opened, story[:end])
            first, second = (
                len(opened.search(ModelFilter(text=text))) for text in ("first", "second")
            )
            found.append((first, second))

    assert found == [(1, 0), (0, 1), (0, 1), (0, 0)]


def _follow(opened: Catalogue, facts: list[FactEvent]) -> None:
    """Fold *facts* into the generation that is *opened* and finished."""
    generation = open_writer(opened.path)
    folder(generation.db).fold(FACTS, stored(facts))
    generation.db.execute("INSERT INTO models_fts (models_fts) VALUES ('integrity-check')")
    generation.close()


def test_a_compacted_copy_finds_the_same_models(opened: Catalogue, tmp_path: Path) -> None:
    generation = open_writer(opened.path)
    generation.db.execute("VACUUM INTO ?", [str(tmp_path / "copy.db")])
    generation.close()
    with Catalogue.open(tmp_path / "copy.db") as copy:
        for text in ("gpt", "mini", "embed"):
            assert copy.search(ModelFilter(text=text)) == opened.search(ModelFilter(text=text))


@pytest.mark.parametrize("as_of", [None, 2])
def test_words_of_a_newer_version_are_kept_and_not_filtered_by(as_of: int | None) -> None:
    model = record(
        "m", capabilities={"telepathy": True, "chat": True}, output_modalities=["smell", "text"]
    )
    with catalogue(added(model)) as opened:
        (found,) = opened.search(ModelFilter(capability_all=("chat",)), as_of=as_of)
        told = ModelFilter(capability_any=("telepathy",))

        assert found.capabilities == model.capabilities
        assert found.output_modalities == ["smell", "text"]
        assert opened.search(told, as_of=as_of) == []
        assert opened.search(ModelFilter(modality="smell"), as_of=as_of) == []
