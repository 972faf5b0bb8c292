"""The recording that the demo plays: derived rightly, spread over time, said to be so."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from events.base import instant_of
from services.demo import build
from services.demo.faults import FAULTS
from services.demo.recorded import PATH, Model, Recording, Timeline, load
from services.demo.rows import ROWS
from services.demo.shapes import SHAPES

SNAPSHOTS = Path(__file__).parent.parent.parent / "shared" / "recordings" / "models-dev"
FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return load()


def snapshot(number: int, at: datetime, models: dict[str, Model]) -> build.Snapshot:
    nobody: dict[str, Model] = {}
    return build.Snapshot(number, at, {**dict.fromkeys(build.PROVIDERS, nobody), "openai": models})


def test_it_is_small() -> None:
    assert PATH.stat().st_size < 400_000


def test_source_and_licence_stand_beside_it() -> None:
    licence = (PATH.parent / "LICENSE").read_text("utf-8")
    readme = (PATH.parent / "README.md").read_text("utf-8")

    assert "MIT License" in licence
    assert "models.dev, Copyright (c) 2025 models.dev" in licence
    assert "models.dev" in readme
    assert "staged" in readme


def test_the_readme_counts_rightly(recording: Recording) -> None:
    readme = (PATH.parent / "README.md").read_text("utf-8")

    assert f"{len(recording.changes):,}" in readme
    assert recording.start[:10] in readme
    assert recording.end[:10] in readme


def test_the_changes_are_in_order_and_inside(recording: Recording) -> None:
    moments = [change.at for change in recording.changes]

    assert moments == sorted(moments)
    assert recording.start <= moments[0]
    assert moments[-1] < recording.end


def test_every_change_has_something_to_change(recording: Recording) -> None:
    listed = {name: {m["id"]: m for m in one.models} for name, one in recording.providers.items()}
    for change in recording.changes:
        models = listed[change.provider]
        assert (change.id in models) == (change.op != "add"), change
        if change.model is None:
            assert change.op == "remove"
            del models[change.id]
        else:
            assert models.get(change.id) != change.model
            models[change.id] = change.model


def test_every_provider_is_in_a_dialect_that_is_simulated(recording: Recording) -> None:
    dialects = {listed.dialect for listed in recording.providers.values()}

    assert dialects == set(SHAPES) == set(ROWS)


def test_incidents_are_staged_where_the_recording_is(recording: Recording) -> None:
    for incident in recording.incidents:
        assert recording.start < incident.start < incident.end < recording.end
        assert incident.provider in recording.providers
        assert incident.fault in FAULTS

    assert "never happened" in recording.about["staged"]


@pytest.mark.skipif(not SNAPSHOTS.is_dir(), reason="the snapshots are not here")
def test_building_it_again_gives_the_same(recording: Recording) -> None:
    assert build.recording(build.snapshots(SNAPSHOTS)) == recording


@pytest.mark.skipif(not SNAPSHOTS.is_dir(), reason="the snapshots are not here")
def test_at_each_snapshots_moment_the_lists_are_the_snapshots(recording: Recording) -> None:
    timeline = Timeline(recording)
    for taken in build.snapshots(SNAPSHOTS):
        at = instant_of(taken.at)
        for provider in recording.providers:
            listed = {model["id"]: model for model in timeline.list_at(provider, at)}
            assert listed == taken.providers[provider], (taken.number, provider)


def test_the_timeline_goes_back_as_well(recording: Recording) -> None:
    timeline = Timeline(recording)
    early = timeline.rows_at("openrouter", recording.start)
    late = timeline.rows_at("openrouter", recording.end)

    assert len(late) > len(early)
    assert timeline.rows_at("openrouter", recording.start) == early
    assert timeline.list_at("openai", "1999-01-01T00:00:00.000Z") == (
        recording.providers["openai"].models
    )


def test_every_model_makes_a_row_in_its_dialect(recording: Recording) -> None:
    timeline = Timeline(recording)
    for provider, listed in recording.providers.items():
        rows = timeline.rows_at(provider, recording.end)
        named = SHAPES[listed.dialect].named
        ids = [row[named].removeprefix("models/") for row in rows]
        assert ids == [model["id"] for model in timeline.list_at(provider, recording.end)]


@pytest.mark.parametrize(
    ("dates", "day"),
    [
        (("2026-01-05",), "2026-01-05"),
        (("2025-06-01", "2026-01-07"), "2026-01-07"),
        (("2026-01-05", "2026-01-07"), "2026-01-05"),
    ],
    ids=["released inside", "updated inside", "both inside"],
)
def test_a_change_is_played_on_its_own_date(dates: tuple[str, ...], day: str) -> None:
    assert build.moment("seed", FIRST, LAST, *dates)[:10] == day


@pytest.mark.parametrize("date", ["2025-12-31", "2026-01-11", "2026-01", None])
def test_a_date_outside_gives_way_to_the_hash(date: str | None) -> None:
    at = build.moment("seed", FIRST, LAST, date)

    assert at == build.moment("seed", FIRST, LAST)
    assert "2026-01-01" <= at < "2026-01-11"
    assert at != build.moment("another seed", FIRST, LAST)


def test_what_no_dialect_can_say_is_no_change() -> None:
    before = {"m": build.trimmed({"id": "m", "limit": {"context": 1}, "interleaved": True})}
    after = {"m": build.trimmed({"id": "m", "limit": {"context": 1}, "experimental": {}})}

    assert build.recording([snapshot(1, FIRST, before), snapshot(2, LAST, after)]).changes == []


def test_added_changed_and_removed_models_are_told_apart() -> None:
    old = {"gone": {"id": "gone"}, "same": {"id": "same"}, "moved": {"id": "moved"}}
    new = {
        "same": {"id": "same"},
        "moved": {"id": "moved", "last_updated": "2026-01-03"},
        "new": {"id": "new", "release_date": "2026-01-09"},
    }
    made = build.recording([snapshot(1, FIRST, old), snapshot(2, LAST, new)])
    seen = {change.id: (change.op, change.at[:10]) for change in made.changes}

    assert seen["moved"] == ("update", "2026-01-03")
    assert seen["new"] == ("add", "2026-01-09")
    assert seen["gone"][0] == "remove"
    assert len(seen) == 3


def test_the_same_recording_is_packed_into_the_same_bytes(recording: Recording) -> None:
    assert build.packed(recording) == build.packed(recording)
