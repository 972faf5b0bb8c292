from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.health import CheckResult, Health, Listed, Streak
from events.subjects import AUDIT
from projections.health_rows import Check, HealthSummary, Segment
from tests.support.builders import batches, catalogue, configured, empty, folder, rows, stored
from tests.support.cycles import at, became, cycle
from tests.support.cycles import opened as alerted

HOUR = 60
FAILING = Health(status="active", f=Streak(count=1))
CALM = Health(status="active")
DOWN = Health(status="error", cause="outage", f=Streak(count=3))


def kept(cycles: list[int]) -> list[str]:
    """Return the ids of what is kept of good cycles at these minutes."""
    db = empty()
    folder(db).fold(AUDIT, stored([cycle(number) for number in cycles]))
    return [id_ for (id_,) in db.execute("SELECT cycle_id FROM checks ORDER BY at")]


def test_the_history_of_a_provider_is_its_statuses_newest_first() -> None:
    facts = [
        configured(at=at(0)),
        became("active", 0),
        became("error", 60_000, "outage", detected=180_000),
        became("active", 300_000),
    ]
    with catalogue(facts) as opened:
        newest, *older = opened.provider_history("acme")
        page = opened.provider_history("acme", limit=1, after=newest.seq)
        assert opened.provider_history("nobody") == []

    assert newest == Segment(
        provider="acme",
        status="active",
        cause=None,
        effective_at=at(5),
        detected_at=at(5),
        until=None,
        seq=4,
    )
    assert [(one.status, one.effective_at, one.detected_at, one.until) for one in older] == [
        ("error", at(1), at(3), at(5)),
        ("active", at(0), at(0), at(1)),
    ]
    assert page == older[:1]


def test_a_cycle_is_a_row_of_its_fields() -> None:
    wrong = cycle(
        1,
        verdict="FAIL",
        class_="server",
        status_code=500,
        error_rate=1.0,
        duration_ms=700,
        source="manual",
        checks=[
            CheckResult(name="a", verdict="OK", class_="ok", message="of no account"),
            CheckResult(name="list_models", verdict="FAIL", class_="server", message="HTTP 500"),
        ],
        state=FAILING,
        suspect=True,
        next_due=at(2),
        not_before=at(2),
        vantage="v/1",
    )
    good = cycle(2, latency_ms=120, list_=Listed(sha256="ab", models=3), status_code=200)
    with catalogue([configured(at=at(0))], [cycle(0), wrong, good]) as opened:
        newest, failed, oldest = opened.checks("acme")
        page = opened.checks("acme", limit=1, after=(newest.at, newest.seq))
        assert opened.checks("nobody") == []

    assert page == [failed]
    assert failed == Check(
        provider="acme",
        at=at(1),
        seq=2,
        cycle_id="acme-1",
        source="manual",
        started_at=at(1),
        duration_ms=700,
        verdict="FAIL",
        cause=None,
        class_="server",
        status_code=500,
        latency_ms=None,
        error_rate=1.0,
        checks=[
            {"name": "a", "verdict": "OK", "class": "ok", "message": "of no account"},
            {"name": "list_models", "verdict": "FAIL", "class": "server", "message": "HTTP 500"},
        ],
        list_=None,
        suspect=True,
        flapping=False,
        not_before=at(2),
        next_due=at(2),
        vantage="v/1",
        error_class="server",
        error_message="HTTP 500",
        error_status=500,
    )
    assert (newest.list_, newest.latency_ms) == ({"sha256": "ab", "models": 3}, 120)
    assert (oldest.error_class, newest.error_message, newest.error_status) == (None, None, None)


def test_a_cycle_appended_twice_counts_once() -> None:
    db = empty()
    folder(db).fold(AUDIT, stored([cycle(0), cycle(0)]))

    assert db.execute("SELECT count(*) FROM checks").fetchone() == (1,)
    assert db.execute("SELECT ok FROM check_hours").fetchone() == (1,)


def test_cycles_are_kept_for_two_days_or_as_the_newest_hundred() -> None:
    few = [number * HOUR for number in range(60)]
    many = list(range(0, 60 * HOUR, 10))

    assert kept(few) == [f"acme-{number}" for number in few]
    assert kept(many) == [f"acme-{number}" for number in many if number >= 11 * HOUR]


def test_a_clock_that_was_ahead_leaves_a_hundred_cycles() -> None:
    ahead = [*range(150), 100 * 24 * HOUR, *range(151, 400)]

    assert len(kept(ahead)) == 99 + 250


def test_hours_count_verdicts_and_are_kept_for_400_days() -> None:
    db = empty()
    fold = folder(db)
    kinds = ("OK", "PARTIAL", "FAIL", "BLOCKED", "THROTTLED", "UNKNOWN")
    told = [cycle(place, verdict=kind) for place, kind in enumerate(kinds)]
    fold.fold(AUDIT, stored([*told, cycle(400 * 24 * HOUR)]))
    names = "hour, ok, partial, fail, blocked, throttled, unknown, latency"
    first = f"SELECT {names} FROM check_hours ORDER BY hour LIMIT 1"  # noqa: S608 - ours

    assert db.execute(first).fetchone() == (at(0), 1, 1, 1, 1, 1, 1, "{}")

    fold.fold(AUDIT, stored([cycle(401 * 24 * HOUR)], after=7))

    assert db.execute(first).fetchone()[0] == at(400 * 24 * HOUR)


def test_failures_that_made_no_error_are_blips() -> None:
    states = [CALM, FAILING, FAILING, CALM, FAILING, DOWN, CALM, FAILING, CALM]
    told = [cycle(place, state=state) for place, state in enumerate(states)]
    with catalogue([configured(at=at(0))], told) as opened:
        [figures] = opened.provider_health()

    assert figures.blips_24h == 2


def test_all_providers_together() -> None:
    names = {
        "up": ("active", None),
        "slow": ("degraded", "slow"),
        "away": ("error", "outage"),
        "refused": ("error", "credential"),
    }
    facts = [configured(at=at(0), name=name) for name in (*names, "new")]
    facts += [became(status, 0, cause, provider=name) for name, (status, cause) in names.items()]  # type: ignore[arg-type]
    facts += [alerted("1", provider="away"), alerted("2", provider="away", severity="critical")]
    facts += [alerted("3", provider="slow", severity="low")]
    facts += [alerted("4", provider="all", severity="medium")]
    last = 24 * HOUR
    told = [
        cycle(last, provider="up", latency_ms=100),
        cycle(last - 1, provider="slow", latency_ms=400),
        cycle(last - 1, provider="refused", latency_ms=9000),
        cycle(last + 1, provider="gone", latency_ms=9000),
    ]
    with catalogue(facts, told) as opened:
        found = opened.health_summary()
        some = {one.provider: one.open_alerts for one in opened.provider_health()}

    assert found == HealthSummary(
        total=5,
        healthy=1,
        degraded=1,
        unhealthy=1,
        blocked=1,
        inactive=1,
        stale=0,
        with_warnings=1,
        open_alerts=4,
        alerts_low=1,
        alerts_medium=1,
        alerts_high=1,
        alerts_critical=1,
        worst_status="error",
        latency_avg_ms=250.0,
        uptime_avg=pytest.approx(2 / 3),  # type: ignore[arg-type]
        last_check_at=at(last),
    )
    assert some == {"away": 2, "new": 0, "refused": 0, "slow": 1, "up": 0}


def test_nobody_is_registered() -> None:
    with catalogue() as opened:
        found = opened.health_summary()

    assert (found.total, found.worst_status, found.uptime_avg) == (0, None, None)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_cycles_leave_the_same_rows_however_they_are_batched(data: st.DataObject) -> None:
    minutes = data.draw(st.lists(st.integers(0, 600 * 24 * HOUR), max_size=30))
    steps = data.draw(st.lists(st.integers(0, 90), max_size=200))
    walked = [minute + sum(steps[:place]) for place, minute in enumerate([0] * len(steps))]
    events = stored(
        [
            cycle(minute, latency_ms=minute % 500, cycle_id=str(place))
            for place, minute in enumerate([*minutes, *walked])
        ]
    )
    whole, cut = empty(), empty()
    folder(whole).fold(AUDIT, events)
    fold = folder(cut)
    for batch in data.draw(batches(events)):
        fold.fold(AUDIT, batch)

    assert rows(cut) == rows(whole)
