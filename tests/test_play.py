"""What the demo shows: right numbers, in the room there is, and nothing raw."""

import asyncio
import io
import shlex
from datetime import datetime

import pytest
from rich.console import Console, RenderableType

from events import Change, Event, ModelRecord
from events.audit import Absent, Failure, RefreshFailed, RefreshQuarantined, RefreshSucceeded
from events.base import later
from events.models import ModelAdded, ModelMissing, ModelRemoved, ModelReturned, ModelUpdated
from services.clock import Clock
from services.demo import play
from services.demo.feed import Feed, in_words
from services.demo.recorded import Incident, load

AT = "2026-02-01T06:00:00.000Z"
PLAYED = play.Scene("2026-01-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z")


def fed(*events: Event, incidents: tuple[Incident, ...] = ()) -> Feed:
    feed = Feed(["acme", "other"], incidents)
    for event in events:
        feed.take("modelog.model.acme.x", event, 0.0)
    return feed


def added(id: str, at: str = AT) -> ModelAdded:
    return ModelAdded(at=at, provider="acme", model=ModelRecord(id=id, name=id))


def updated(id: str, *changed: Change) -> ModelUpdated:
    record = ModelRecord(id=id, name=id)
    return ModelUpdated(at=AT, provider="acme", model=record, changed=list(changed))


def removed(id: str) -> ModelRemoved:
    record = ModelRecord(id=id, name=id)
    return ModelRemoved(
        at=AT,
        provider="acme",
        model_id=id,
        missing_since=AT,
        scans=3,
        reason="delisted",
        model=record,
    )


def failed(class_: str = "overloaded", status: int | None = 503, at: str = AT) -> RefreshFailed:
    error = Failure(class_=class_, message="m", status=status)
    return RefreshFailed(at=at, provider="acme", run_id="r", error=error)


def succeeded(models: int, *, not_modified: bool = False) -> RefreshSucceeded:
    return RefreshSucceeded(
        at=AT, provider="acme", run_id="r", models=models, not_modified=not_modified
    )


def drawn(what: RenderableType, width: int, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(what)
    return console.export_text().splitlines()


def shot(feed: Feed, width: int, height: int = 24) -> list[str]:
    what = play.screen(feed, PLAYED, now=AT, seconds=0.0, width=width, height=height)
    return drawn(what, width, height)


def test_a_provider_has_as_many_models_as_its_last_good_list() -> None:
    feed = fed(added("a"), added("b"), succeeded(2), failed())

    assert feed.providers["acme"].models == 2
    assert feed.models == 2


def test_an_unchanged_list_keeps_its_models() -> None:
    assert fed(succeeded(2), succeeded(0, not_modified=True)).models == 2
    assert fed(succeeded(2), succeeded(0)).models == 0


def test_changes_are_counted_by_kind() -> None:
    tally = fed(added("a"), updated("a", Change("name", "a", "b")), removed("a")).providers["acme"]

    assert (tally.added, tally.updated, tally.removed) == (1, 1, 1)


def test_audit_events_count_as_events_and_not_as_changes() -> None:
    feed = fed(added("a"))
    feed.take("modelog.audit.refresh.acme.succeeded", succeeded(1), 0.0)

    assert (feed.events, feed.changes) == (2, 1)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    feed = Feed()
    for tick in range(300):
        feed.take("modelog.model.acme.added.a", added("a"), tick / 100)

    assert feed.rate(3.0) == pytest.approx(100, rel=0.1)
    assert feed.rate(100.0) == 0


def test_models_of_one_kind_and_day_share_a_line() -> None:
    feed = fed(added("a"), added("b"), added("c", later(AT, play.TAIL)))

    assert [line.about for line in feed.latest] == [("a", "b"), ("c",)]
    assert "2 models added: a, b" in play.as_text(feed.latest[0], 80).plain


def test_of_many_updates_the_weightiest_is_told() -> None:
    feed = fed(
        updated("dull", Change("knowledge_cutoff", None, "2025-01")),
        updated("dear", Change("prices.input", "1", "2"), Change("name", "a", "b")),
    )
    (line,) = feed.latest

    assert line.about == ("dear", "dull")
    assert play.as_text(line, 80).plain.endswith("dear  price input 1 → 2 (+1)  and 1 more models")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (Change("capabilities.vision", None, True), "vision ? → yes"),  # noqa: FBT003
        (Change("context_window", 128000, 200000), "context window 128,000 → 200,000"),
        (Change("input_modalities", ["text"], ["image", "text"]), "text → image+text"),
        (Change("description", None, "x" * 99), f"description ? → {'x' * 23}…"),
    ],
)
def test_a_change_is_told_in_words(change: Change, told: str) -> None:
    assert in_words([change]).endswith(told)


def test_a_staged_incident_is_said_to_be_staged() -> None:
    incident = Incident("acme", AT, later(AT, play.TAIL), "503", "an outage")
    feed = fed(failed(), incidents=(incident,))

    assert any("(staged: an outage)" in line for line in shot(feed, 100))
    assert feed.providers["acme"].detail == "overloaded 503 (staged)"
    assert "staged" not in fed(failed()).providers["acme"].detail


def test_a_failure_is_told_once_until_it_is_over() -> None:
    feed = fed(failed(), failed(), succeeded(1), failed())

    assert [line.kind for line in feed.latest] == ["failed", "failed"]
    assert feed.providers["acme"].failures == 3


def test_a_quarantine_says_how_much_is_gone() -> None:
    absent = Absent(count=172, hash="", since=AT)
    feed = fed(RefreshQuarantined(at=AT, provider="acme", run_id="r", absent=absent))

    assert any("quarantined: 172 gone, not believed" in line for line in shot(feed, 120))


def test_missing_and_returned_models_are_told() -> None:
    feed = fed(
        ModelMissing(at=AT, provider="acme", model_id="m"),
        ModelReturned(at=AT, provider="acme", model_id="m", missing_since=AT),
    )

    assert [play.as_text(line, 80).plain[19:] for line in feed.latest] == [
        "? m missing",
        "+ m returned",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_it_fits_into_its_columns(width: int) -> None:
    feed = fed(*(added("model-" + "x" * 70 + str(n)) for n in range(9)), failed(), succeeded(9))
    lines = shot(feed, width)

    assert max(len(line.rstrip()) for line in lines) < width


@pytest.mark.parametrize("height", [24, 30, 50])
def test_it_fits_into_its_rows(height: int) -> None:
    feed = Feed([f"p{n}" for n in range(10)])
    for n in range(100):
        feed.take("modelog.model.x", added(f"m{n}", f"2026-01-{n % 28 + 1:02}T00:00:00.000Z"), 0.0)

    assert len(shot(feed, 80, height)) < height


def test_every_number_is_whole_at_eighty_columns() -> None:
    feed = fed(*(added(f"m{n}") for n in range(1234)), succeeded(1234))
    row = next(line for line in shot(feed, 80) if line.startswith("acme"))

    assert row.split() == ["acme", "1,234", "1,234", "·", "·", "ok"]


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x1b]0;owned\x07", "\u202e", "\x9b1m", "a\nb\r"])
def test_what_a_provider_says_never_reaches_the_terminal_raw(evil: str) -> None:
    feed = fed(added(evil), updated(evil, Change("name", None, evil)), failed(evil))
    text = "\n".join(shot(feed, 120)) + play.plain(feed, AT, 0.0)

    assert not set(evil) & set(text) - set("\n ab1m2J]0;owned[")
    assert "\x1b" not in text


def test_markup_in_an_id_is_no_markup() -> None:
    assert any("[red]x[/red]" in line for line in shot(fed(added("[red]x[/red]")), 80))


def test_the_clock_plays_all_of_it_in_two_minutes() -> None:
    played = play.scene(load())
    origin, rate, start = map(float, play.clock_text(played, speed=2, origin=1000.5).split(","))
    clock = Clock(origin=origin, speed=rate, start=start)

    assert clock.start + 60 * rate == pytest.approx(_unix(played.end))
    assert origin == 1000.5


def _unix(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def test_the_end_names_three_commands_that_can_be_pasted() -> None:
    lines = play.finale(fed(succeeded(3)), command="modelog", data="my data/here")
    commands = [shlex.split(line) for line in lines if line.startswith("  ")]

    assert [command[1:3] for command in commands] == [
        ["models", "list"],
        ["models", "history"],
        ["watch", "modelog.model.*.removed.>"],
    ]
    assert all(command[-2:] == ["--data", "my data/here"] for command in commands)


def test_the_models_that_the_end_names_are_worth_a_look() -> None:
    id_ = shlex.split(play.finale(Feed(), command="modelog", data=".")[-2])[3]
    costs = {str((c.model or {}).get("cost")) for c in load().changes if c.id == id_}

    assert len(costs) > 1


async def ended(console: Console) -> None:
    real = Clock().unix()
    played = play.Scene("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z")
    _, _, start = play.clock_text(played, speed=1, origin=real).split(",")
    clock = Clock(origin=real, speed=86400 / 0.5, start=float(start))
    async with asyncio.timeout(10):
        await play.play(fed(added("a")), played, clock, console)


async def test_without_a_terminal_it_writes_lines() -> None:
    out = io.StringIO()
    await ended(Console(file=out, width=80))

    assert out.getvalue().splitlines()[-1].startswith("2026-01-02   0 models at 2 providers")
    assert "\x1b" not in out.getvalue()


async def test_on_a_terminal_it_draws() -> None:
    out = io.StringIO()
    await ended(Console(file=out, width=80, height=24, force_terminal=True))

    assert "latest changes" in out.getvalue()
    assert "\x1b[" in out.getvalue()
