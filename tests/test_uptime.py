from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.base import instant_at, millis_of
from events.codec import FactEvent
from events.health import (
    HealthCoverageLost,
    HealthCoverageRestored,
    HealthMaintenanceEnded,
    HealthMaintenanceStarted,
)
from events.subjects import AUDIT, FACTS
from projections.uptime import CLASSES, HOUR_MS, SPANS
from tests.support.builders import batches, catalogue, configured, empty, folder, rows, stored
from tests.support.cycles import MINUTE, T0, became, cycle

DAY_MS = 24 * HOUR_MS
SECOND = 1000


def lost(ms: int, since: int, provider: str = "acme") -> HealthCoverageLost:
    return HealthCoverageLost(
        at=instant_at(T0 + ms), provider=provider, since=instant_at(T0 + since), reason="silent"
    )


def restored(ms: int, since: int, until: int, provider: str = "acme") -> HealthCoverageRestored:
    return HealthCoverageRestored(
        at=instant_at(T0 + ms),
        provider=provider,
        since=instant_at(T0 + since),
        until=instant_at(T0 + until),
        reason="silent",
    )


def maintenance(ms: int, until: int, *, ended: bool = False, window: str = "w") -> FactEvent:
    kind = HealthMaintenanceEnded if ended else HealthMaintenanceStarted
    return kind(
        at=instant_at(T0 + ms), provider="acme", window_id=window, until=instant_at(T0 + until)
    )


def test_uptime_is_weighed_by_time() -> None:
    """The vector of health.md, section 9: 24 h with 600 s down, 300 degraded and so on."""
    facts = [
        configured(at=instant_at(T0)),
        became("active", 0),
        became("error", 3600 * SECOND, "outage", detected=3700 * SECOND),
        became("degraded", 4200 * SECOND, "partial"),
        became("active", 4500 * SECOND),
        became("error", 9000 * SECOND, "credential"),
        became("active", 10_200 * SECOND),
        lost(20_100 * SECOND, 20_000 * SECOND),
        restored(20_950 * SECOND, 20_000 * SECOND, 20_900 * SECOND),
    ]
    with catalogue(facts, [cycle(24 * 60)]) as opened:
        spans = {one.span: one for one in opened.provider_uptime("acme")}
        [figures] = opened.provider_health()

    day = spans["24h"]
    assert round(day.uptime or 0, 5) == 0.99288
    assert round(day.fully_healthy or 0, 5) == 0.98932
    assert round(day.coverage, 5) == 0.97569
    assert (day.down_ms, day.degraded_ms) == (600 * SECOND, 300 * SECOND)
    assert (day.blocked_ms, day.unknown_ms) == (1200 * SECOND, 900 * SECOND)
    assert (day.inactive_ms, day.maintenance_ms) == (0, 0)
    assert list(spans) == list(SPANS)
    assert (figures.uptime_24h, figures.fully_healthy_24h) == (day.uptime, day.fully_healthy)
    assert figures.coverage_24h == day.coverage
    assert figures.uptime_7d is figures.uptime_30d is None
    assert spans["7d"].inactive_ms == 6 * DAY_MS


@pytest.mark.parametrize(("minutes", "known"), [(29, False), (30, True)])
def test_below_half_coverage_there_is_no_uptime(minutes: int, known: bool) -> None:  # noqa: FBT001 - a case
    with catalogue([configured(at=instant_at(T0)), became("active", 0)], [cycle(minutes)]) as one:
        hour = one.provider_uptime("acme")[0]

    assert (hour.uptime is not None, hour.fully_healthy is not None) == (known, known)
    assert hour.coverage == minutes / 60


def test_maintenance_is_over_unknown_and_both_are_over_a_status() -> None:
    facts = [
        configured(at=instant_at(T0)),
        became("error", 0, "outage"),
        lost(10 * MINUTE, 10 * MINUTE),
        lost(12 * MINUTE, 12 * MINUTE),  # of another monitor: told already
        maintenance(20 * MINUTE, 50 * MINUTE),
        restored(30 * MINUTE, 10 * MINUTE, 30 * MINUTE),
        maintenance(40 * MINUTE, 40 * MINUTE, ended=True),
        maintenance(41 * MINUTE, 41 * MINUTE, ended=True, window="of which nothing is known"),
    ]
    with catalogue(facts, [cycle(60)]) as opened:
        hour = opened.provider_uptime("acme")[0]
        [first, *_, last] = opened.uptime_bars("acme")

    assert (hour.down_ms, hour.unknown_ms) == (30 * MINUTE, 10 * MINUTE)
    assert hour.maintenance_ms == 20 * MINUTE
    assert last.shares == {"down": 0.5, "maintenance": 1 / 3, "unknown": 1 / 6}
    assert (last.at, last.until) == (instant_at(T0), instant_at(T0 + HOUR_MS))
    assert first.shares == {"inactive": 1.0}


def test_a_window_that_nobody_ended_ends_as_planned_and_a_gap_lasts() -> None:
    facts = [
        configured(at=instant_at(T0)),
        became("active", 0),
        maintenance(0, 15 * MINUTE),
        restored(20 * MINUTE, 15 * MINUTE, 20 * MINUTE),
        lost(40 * MINUTE, 40 * MINUTE),
    ]
    with catalogue(facts, [cycle(60)]) as opened:
        hour = opened.provider_uptime("acme")[0]

    assert (hour.maintenance_ms, hour.unknown_ms) == (15 * MINUTE, 25 * MINUTE)
    assert hour.up_ms == 20 * MINUTE


def test_bars_are_hours_of_few_days_and_days_of_many() -> None:
    facts = [configured(at=instant_at(T0)), became("active", 0), became("degraded", DAY_MS, "slow")]
    with catalogue(facts, [cycle(36 * 60)]) as opened:
        hours, days = opened.uptime_bars("acme", 2), opened.uptime_bars("acme", 3)
        assert opened.uptime_bars("acme", 0) == []
        [nobody] = {tuple(bar.shares.items()) for bar in opened.uptime_bars("nobody", 3)}

    assert len(hours) == 48
    assert [bar.shares for bar in hours[11:13]] == [{"inactive": 1.0}, {"up": 1.0}]
    assert [bar.shares for bar in days] == [
        {"inactive": 1.0},
        {"inactive": 0.5, "up": 0.5},
        {"degraded": 0.5, "up": 0.5},
    ]
    assert nobody == (("inactive", 1.0),)


def test_an_empty_log_has_no_time() -> None:
    with catalogue() as opened:
        assert opened.uptime_bars("acme") == []
        assert opened.provider_uptime("acme") == []
        assert opened.provider_health() == []


@dataclass
class Walk:
    """Any facts of health of two providers, whose moments may go back."""

    facts: list[FactEvent]
    end: int


moments = st.integers(-200 * 24, 10).map(lambda hours: hours * HOUR_MS // 2)
STATUSES = [
    *(("active", None), ("degraded", "slow"), ("inactive", "disabled")),
    *(("error", "outage"), ("error", "quota")),
]


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    facts: list[FactEvent] = [configured(at=instant_at(T0 - 200 * DAY_MS))]
    since = -200 * DAY_MS
    for kind in draw(st.lists(st.sampled_from("sslrme"), max_size=12)):
        at, other = draw(moments), draw(moments)
        match kind:
            case "s":
                status, cause = draw(st.sampled_from(STATUSES))
                since = max(since, at)
                facts.append(became(status, since, cause))  # type: ignore[arg-type]
            case "l":
                facts.append(lost(at, other))
            case "r":
                facts.append(restored(at, other, at))
            case "m":
                facts.append(maintenance(at, other, window=draw(st.sampled_from("vw"))))
            case _:
                window = draw(st.sampled_from("vw"))
                facts.append(maintenance(at, other, ended=True, window=window))
    return Walk(facts, draw(st.integers(0, 20)))


@settings(max_examples=60, deadline=None)
@given(walks())
def test_the_times_of_all_classes_sum_to_the_span(walk: Walk) -> None:
    with catalogue(walk.facts, [cycle(walk.end)]) as opened:
        spans = opened.provider_uptime("acme")
        bars = opened.uptime_bars("acme", 1)
        [summary] = opened.query("SELECT uptime_avg FROM health_summary").rows

    for one in spans:
        spent = {name: getattr(one, f"{name}_ms") for name in CLASSES}
        known = spent["up"] + spent["degraded"] + spent["down"]

        assert sum(spent.values()) == SPANS[one.span] * HOUR_MS
        assert min(spent.values()) >= 0
        assert one.coverage == known / (SPANS[one.span] * HOUR_MS)
        assert (one.uptime is None) == (one.coverage < 0.5)
        if one.uptime is not None:
            assert one.fully_healthy is not None
            assert 0 <= one.fully_healthy <= one.uptime <= 1
    total = Counter[str]()
    for bar in bars:
        assert sum(bar.shares.values()) == pytest.approx(1)
        total.update({name: round(share * HOUR_MS) for name, share in bar.shares.items()})
    day = msgspec.structs.asdict(spans[1])
    assert {name: total[name] for name in CLASSES} == {name: day[f"{name}_ms"] for name in CLASSES}
    assert millis_of(bars[-1].until) - millis_of(bars[0].at) == DAY_MS
    assert summary == (spans[1].uptime,)


@settings(max_examples=40, deadline=None)
@given(walks(), st.data())
def test_figures_are_the_same_however_the_log_is_batched(walk: Walk, data: st.DataObject) -> None:
    facts, checks = stored(walk.facts), stored([cycle(number) for number in range(0, 9000, 300)])
    whole, cut = empty(), empty()
    one = folder(whole)
    one.fold(FACTS, facts)
    one.fold(AUDIT, checks)
    other = folder(cut)
    for batch in data.draw(batches(checks)):
        other.fold(AUDIT, batch)
    for batch in data.draw(batches(facts)):
        other.fold(FACTS, batch)

    assert rows(cut) == rows(whole)
