"""What a refresher makes of a provider's lists, on a real log and over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from nats.aio.client import Client

from events.audit import Failure, RefreshFailed, RefreshSucceeded
from events.models import ModelAdded, ModelMissing, ModelRemoved, ModelReturned, ModelUpdated
from events.record import Change
from events.subjects import FACTS
from services.demo import faults
from tests.support.clock import ManualClock
from tests.support.refreshing import acme, recorded, row, told

pytestmark = pytest.mark.nats

BROKEN_ROW = {"id": 5}


async def test_a_first_list_adds_each_model_with_its_capabilities(
    nc: Client, tmp_path: Path
) -> None:
    see = row(
        "see",
        architecture={"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        supported_parameters=["tools"],
    )
    async with acme(nc, tmp_path, [see, "blind"]) as (bench, _, clock):
        outcome = await bench.run()
        facts = await bench.facts()

    assert told(facts) == [
        "added blind",
        "added see",
        "gained see chat",
        "gained see tools",
        "gained see vision",
    ]
    assert {fact.at for fact in facts} == {clock.now()}
    added = facts[1]
    assert isinstance(added, ModelAdded)
    known_true = [name for name, known in added.model.capabilities.items() if known]
    assert sorted(known_true) == ["chat", "tools", "vision"]
    assert isinstance(outcome, RefreshSucceeded)
    assert (outcome.models, outcome.added, outcome.attempts) == (2, 2, 1)
    assert (outcome.complete, outcome.not_modified, outcome.observed_at) == (
        True,
        False,
        clock.now(),
    )


async def test_all_that_a_run_wrote_carries_its_id(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, ["a", "b"]) as (bench, _, _):
        outcome = await bench.run(reason="command")
        started, ended = await bench.audit()
        stored = await recorded(nc, FACTS, "log.model.acme.>")

    assert told([started, ended]) == ["started", "succeeded"]
    assert (getattr(started, "run_id", ""), getattr(started, "reason", "")) == (
        outcome.run_id,
        "command",
    )
    assert ended == outcome
    assert {one.correlation_id for one in stored} == {outcome.run_id}


@pytest.mark.parametrize("etag", [True, False], ids=["by its tag", "by its hash"])
async def test_an_unchanged_list_is_no_fact(*, etag: bool, nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, ["a"]) as (bench, site, clock):
        site.etag = etag
        await bench.run()
        before = await bench.facts()
        clock.advance(hours=1)
        outcome = await bench.run()

        assert await bench.new(before) == []
        assert (outcome.not_modified, outcome.complete, outcome.models) == (True, True, 1)
        assert outcome.observed_at == clock.now()


async def test_a_forced_run_reads_an_unchanged_list_in_full(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, ["a"]) as (bench, site, _):
        site.etag = True
        await bench.run()
        before = await bench.facts()
        outcome = await bench.run(force=True)

        assert await bench.new(before) == []
        assert not outcome.not_modified
        assert "if-none-match" not in site.requests[-1].headers


async def test_a_restarted_refresher_finds_nothing_new_in_the_same_list(
    nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, ["a", "b"]) as (bench, _, _):
        await bench.run()
        before = await bench.facts()
        bench.restart()
        outcome = await bench.run()

        assert await bench.new(before) == []
        assert (outcome.not_modified, outcome.models, outcome.added) == (False, 2, 0)


async def test_a_change_is_an_update_that_names_what_changed(nc: Client, tmp_path: Path) -> None:
    old = row("a", context_length=1000, pricing={"prompt": "0.000002"})
    new = row("a", context_length=2000, pricing={"prompt": "0.0000025"})
    async with acme(nc, tmp_path, [old]) as (bench, site, clock):
        await bench.run()
        before = await bench.facts()
        site.models = [new]
        at = clock.advance(hours=1)
        outcome = await bench.run()
        (update,) = await bench.new(before)

    assert isinstance(update, ModelUpdated)
    assert update.at == at
    assert update.changed == [
        Change("context_window", 1000, 2000),
        Change("prices.input", "2", "2.5"),
    ]
    assert update.model.context_window == 2000
    assert outcome.updated == 1


async def test_a_change_of_capabilities_is_told_by_capability_too(
    nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, [row("a", supported_parameters=["tools"])]) as (bench, site, _):
        await bench.run()
        before = await bench.facts()
        site.models = [row("a", supported_parameters=["reasoning"])]
        await bench.run()

        assert told(await bench.new(before)) == ["updated a", "gained a reasoning", "lost a tools"]


async def test_a_model_is_missing_at_once(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, ["a", "b"]) as (bench, site, clock):
        await bench.run()
        before = await bench.facts()
        site.models = [row("a")]
        at = clock.advance(hours=1)
        outcome = await bench.run()

        assert await bench.new(before) == [ModelMissing(at=at, provider="acme", model_id="b")]
        assert (outcome.missing, outcome.removed) == (1, 0)


async def test_a_model_that_is_listed_again_has_returned(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, ["a", "b"]) as (bench, site, clock):
        await bench.run()
        site.models = [row("a")]
        since = clock.advance(hours=1)
        await bench.run()
        before = await bench.facts()
        site.models = [row("a"), row("b")]
        at = clock.advance(hours=1)
        await bench.run()

        assert await bench.new(before) == [
            ModelReturned(at=at, provider="acme", model_id="b", missing_since=since)
        ]


@pytest.mark.parametrize("restarts", [False, True], ids=["one process", "a process a run"])
async def test_a_model_is_removed_after_three_lists_and_a_day_without_it(
    *, restarts: bool, nc: Client, tmp_path: Path
) -> None:
    gone = row("b", supported_parameters=["tools"])
    async with acme(nc, tmp_path, ["a", gone]) as (bench, site, clock):
        await bench.run()
        site.models = [row("a")]
        since = clock.advance(hours=1)
        await bench.run()
        before = await bench.facts()
        for hours in (20, 3.9, 0.1):
            if restarts:
                bench.restart()
            assert await bench.new(before) == []
            clock.advance(hours=hours)
            outcome = await bench.run()
        removed, lost = await bench.new(before)

    assert isinstance(removed, ModelRemoved)
    assert (removed.at, removed.missing_since, removed.scans, removed.reason) == (
        clock.now(),
        since,
        4,
        "delisted",
    )
    assert removed.model.id == "b"
    assert told([lost]) == ["lost b tools"]
    assert outcome.removed == 1


@pytest.mark.parametrize("restarts", [False, True], ids=["one process", "a process a run"])
async def test_a_day_alone_removes_no_model(*, restarts: bool, nc: Client, tmp_path: Path) -> None:
    """Three lists are asked for, and failed and incomplete ones are none of them."""
    async with acme(nc, tmp_path, ["a", "b"], attempts=1) as (bench, site, clock):

        async def at(hours: float) -> None:
            if restarts:
                bench.restart()
            clock.advance(hours=hours)
            await bench.run()

        await bench.run()
        site.models = [row("a")]
        await at(1)
        before = await bench.facts()
        site.faults.next(faults.status(500))
        await at(30)
        site.models = [row("a"), BROKEN_ROW]
        await at(30)
        site.models = [row("a")]
        await at(30)

        assert await bench.new(before) == []

        await at(1)

        assert told(await bench.new(before)) == ["removed b"]


async def test_an_incomplete_list_adds_but_makes_nothing_missing(
    nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, ["a", "b"]) as (bench, site, _):
        await bench.run()
        before = await bench.facts()
        site.models = [row("c"), BROKEN_ROW]
        outcome = await bench.run()

        assert told(await bench.new(before)) == ["added c"]
        assert (outcome.complete, outcome.skipped, outcome.missing) == (False, 1, 0)


async def test_the_same_broken_row_again_keeps_no_dead_model_listed(
    nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, ["a", "b"]) as (bench, site, _):
        await bench.run()
        site.models = [row("a"), BROKEN_ROW]
        await bench.run()
        outcome = await bench.run()

        assert told(await bench.facts())[-1] == "missing b"
        assert (outcome.complete, outcome.skipped, outcome.missing) == (True, 1, 1)


@pytest.mark.parametrize("restarts", [False, True], ids=["one process", "a process a run"])
async def test_a_field_that_is_sent_no_more_is_held_for_a_day(
    *, restarts: bool, nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, [row("a", context_length=1000)]) as (bench, site, clock):
        await bench.run()
        before = await bench.facts()
        site.models = [row("a")]
        since = clock.advance(hours=1)
        held = (await bench.run()).held
        clock.advance(hours=23)
        if restarts:
            bench.restart()
        again = (await bench.run()).held

        assert [(h.since, h.paths, h.models) for h in held] == [(since, ["context_window"], ["a"])]
        assert again == held
        assert await bench.new(before) == []

        clock.advance(hours=1)
        outcome = await bench.run()
        (update,) = await bench.new(before)

    assert isinstance(update, ModelUpdated)
    assert update.changed[0] == Change("context_window", 1000, None)
    assert outcome.held == []


async def test_a_held_field_that_is_sent_again_was_never_gone(nc: Client, tmp_path: Path) -> None:
    full = row("a", context_length=1000)
    async with acme(nc, tmp_path, [full]) as (bench, site, clock):
        await bench.run()
        before = await bench.facts()
        for models in ([row("a")], [full], [row("a")]):
            site.models = models
            clock.advance(hours=15)
            outcome = await bench.run()

        assert await bench.new(before) == []
        assert [held.since for held in outcome.held] == [clock.now()]


async def test_a_local_server_removes_what_it_lists_no_more(nc: Client, tmp_path: Path) -> None:
    policy = {"removal_hold": "0", "removal_scans": 1}
    async with acme(nc, tmp_path, ["a", "b"], **policy) as (bench, site, _):
        await bench.run()
        before = await bench.facts()
        site.models = [row("a")]
        await bench.run()

        assert told(await bench.new(before)) == ["missing b", "removed b"]


async def test_a_removed_model_that_comes_back_is_added(nc: Client, tmp_path: Path) -> None:
    policy = {"removal_hold": "0", "removal_scans": 1}
    async with acme(nc, tmp_path, ["a", "b"], **policy) as (bench, site, _):
        await bench.run()
        site.models = [row("a")]
        await bench.run()
        before = await bench.facts()
        site.models = [row("a"), row("b")]
        await bench.run()

        assert told(await bench.new(before)) == ["added b"]


async def test_a_passing_fault_is_tried_again_within_the_run(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, ["a"], attempts=3, base_delay="1s", max_delay="9s") as (
        bench,
        site,
        clock,
    ):
        site.faults.next(faults.status(503, retry_after="7"), times=2)
        outcome = await bench.run()

        assert told(await bench.facts()) == ["added a"]
        assert (outcome.attempts, outcome.error) == (3, None)
        assert isinstance(clock, ManualClock)
        assert all(7 <= seconds < 20 for seconds in clock.slept)
        assert len(clock.slept) == 2


async def test_a_run_that_failed_changes_nothing(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, ["a"], attempts=2) as (bench, site, _):
        await bench.run()
        before = await bench.facts()
        site.models = []
        site.faults.next(faults.status(503), times=2)
        outcome = await bench.run()

        assert await bench.new(before) == []
        assert isinstance(outcome, RefreshFailed)
        assert isinstance(outcome.error, Failure)
        assert (outcome.attempts, outcome.error.class_, outcome.error.status) == (
            2,
            "overloaded",
            503,
        )
        assert (outcome.observed_at, outcome.complete) == (None, False)


async def test_another_refresher_that_was_faster_is_read_and_decided_again(
    nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, ["a"]) as (bench, site, _):
        await bench.run()
        stale = bench.watched
        bench.restart()
        site.models = [row("a"), row("b")]
        await bench.run()
        bench.watched = stale
        site.models = [row("a"), row("b"), row("c")]
        outcome = await bench.run()

        assert told(await bench.facts()) == ["added a", "added b", "added c"]
        assert outcome.added == 1
