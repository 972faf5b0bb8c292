"""What the log alone tells of a provider is what a process that never ended knows of it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from events.audit import Failure, RefreshOutcome
from events.decide.known import NOTHING, Known, KnownModel
from events.decide.providers import Settings
from services.calls.call import Outcome
from services.calls.pages import Fetched
from services.clock import new_id
from services.config import Config
from services.jetstream.append import Log
from services.jetstream.setup import ensure
from services.process import Host
from services.refresher.asking import Asked, Asking
from services.refresher.known import interrupted, replay
from services.refresher.refresh import Run, refresh
from services.refresher.watched import Watched
from tests.support.clock import ManualClock
from tests.support.refreshing import Crash, Mortal, acme, configured, facts, row, told
from tests.support.strategies import Fetch, histories

pytestmark = pytest.mark.nats

names = (f"p{number}" for number in itertools.count())
CRASHES = ("before started", "after started", "before batch 1", "after batch 1", "before outcome")


class _Script(Asking):
    """Answers with what a history says, instead of asking anybody."""

    def __init__(self) -> None:
        self.next = Asked(1)

    async def ask(
        self, watched: Watched, *, force: bool, deadline: float, due: bool = False
    ) -> Asked:
        del watched, force, deadline, due
        return self.next


def _answer(fetch: Fetch) -> Asked:
    if fetch.end == "failed":
        return Asked(3, failure=Failure(class_="server", message="it was down"))
    found = Fetched(Outcome("ok", "OK"), records=fetch.records, complete=fetch.complete)
    return Asked(1, fetched=found)


def _settings(config: Config, *, scans: int, hold: timedelta) -> Settings:
    schedule = msgspec.to_builtins(config.refresh) | {
        "removal_scans": scans,
        "removal_hold": hold.total_seconds(),
    }
    return Settings(
        name=next(names), dialect="openai", base_url="http://127.0.0.1/v1", schedule=schedule
    )


@given(
    history=histories,
    points=st.lists(st.sampled_from(CRASHES), min_size=12, max_size=12),
    scans=st.integers(1, 3),
    hold=st.sampled_from([timedelta(0), timedelta(hours=9), timedelta(hours=20)]),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.chaos
async def test_a_replay_knows_what_the_process_knew(  # noqa: PLR0913, PLR0917
    nc: Client,
    tmp_path_factory: pytest.TempPathFactory,
    history: list[Fetch],
    points: list[str],
    scans: int,
    hold: timedelta,
) -> None:
    """Wherever the process died: after each run, and whatever the run before it left behind."""
    await ensure(nc, audit_max_age=None, monitor_url=None)
    config = configured(tmp_path_factory.mktemp("c"))
    clock, asking = ManualClock(), _Script()
    host = Host("refresher", config, clock, nc, await Log.open(nc))
    settled = _settings(config, scans=scans, hold=hold)
    watched = Watched(settled)
    for fetch, point in zip(history, points, strict=False):
        clock.advance(seconds=fetch.gap.total_seconds())
        asking.next = _answer(fetch)
        dying = fetch.end == "crashed"
        try:
            await refresh(Mortal(host, point) if dying else host, asking, watched, Run(new_id()))
        except Crash:
            watched = Watched(settled)
            await _told_of(host, settled.name)
        replayed = await replay(nc, settled.name)

        assert watched.known is None or replayed == (watched.known, watched.seq)


async def _told_of(host: Host, provider: str) -> None:
    """Tell of a run that was cut off, as a process does at its start."""
    owed = await interrupted(host.nc, provider)
    if owed is not None:
        await host.record(owed, correlation_id=owed.run_id)


async def test_an_empty_log_tells_nothing(nc: Client) -> None:
    await ensure(nc, audit_max_age=None, monitor_url=None)

    assert await replay(nc, "acme") == (NOTHING, 0)


async def test_one_providers_past_is_not_anothers(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, ["a"]) as (bench, _, _):
        await bench.run()

    assert await replay(nc, "acm") == (NOTHING, 0)


async def test_the_lists_without_a_model_are_counted_by_the_outcomes(
    nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, ["a", "b", "c"]) as (bench, site, clock):
        await bench.run()
        site.models = [row("a"), row("c")]
        since_b = clock.advance(hours=1)
        await bench.run()
        site.models = [row("a")]
        since_c = clock.advance(hours=1)
        await bench.run()
        clock.advance(hours=1)
        await bench.run()
        known: Known = await bench.known()

        assert {id_: _since(model) for id_, model in known.models.items()} == {
            "a": (None, 0),
            "b": (since_b, 3),
            "c": (since_c, 2),
        }


def _since(model: KnownModel) -> tuple[str | None, int]:
    return model.missing_since, model.scans


POINTS = [
    ("before started", 0),
    ("after started", 1),
    ("before batch 1", 1),
    ("after batch 1", 1),
    ("before batch 2", 1),
    ("after batch 2", 1),
    ("before batch 3", 1),
    ("after batch 3", 1),
    ("before outcome", 1),
    ("after outcome", 0),
]


@pytest.mark.parametrize(("point", "cut"), POINTS, ids=[name for name, _ in POINTS])
async def test_wherever_a_run_is_cut_off_the_next_start_makes_it_whole(
    point: str, cut: int, nc: Client, tmp_path: Path
) -> None:
    """A list of three batches; the facts are those of a run that was not cut off, each once."""
    listed = [
        row(f"m{number:04}", supported_parameters=["tools", "reasoning"]) for number in range(700)
    ]
    gained = [f"{what} m{n:04}{which}" for n in range(700) for what, which in _THREE]
    async with acme(nc, tmp_path, listed) as (bench, _, _):
        await bench.crash(point)
        await bench.start()
        outcomes: list[RefreshOutcome] = await bench.outcomes()
        started = await bench.audit("started")

        assert told(await facts(nc, "acme")) == gained
        assert _run_ids(outcomes) == _run_ids(started)
        classes = [one.error.class_ for one in outcomes if one.error is not None]
        assert classes == ["interrupted"] * cut
        assert outcomes[-1].error is None


_THREE = [("added", ""), ("gained", " reasoning"), ("gained", " tools")]


def _run_ids(events: object) -> list[str]:
    assert isinstance(events, list)
    return [event.run_id for event in events]


async def test_a_run_cut_off_behind_what_it_found_missing_counts_as_its_first_list(
    nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, ["a", "b"], removal_scans=3, removal_hold="1h") as (
        bench,
        site,
        clock,
    ):
        await bench.run()
        site.models = [row("a")]
        clock.advance(hours=1)
        await bench.crash("after batch 1")
        clock.advance(hours=1)
        await bench.run()

        assert told(await bench.facts())[2:] == ["missing b"]

        clock.advance(hours=1)
        await bench.run()

        assert told(await bench.facts())[2:] == ["missing b", "removed b"]
