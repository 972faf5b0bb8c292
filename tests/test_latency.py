from __future__ import annotations

from collections import Counter
from itertools import chain
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.base import instant_at
from projections.latency import FEWEST, SLOWEST_MS, bucket, clamped, merged, percentile, value
from tests.support.builders import catalogue, configured
from tests.support.cycles import T0, cycle

times = st.integers(1, SLOWEST_MS)
histograms = st.lists(times).map(lambda taken: Counter(map(bucket, taken)))


@pytest.mark.parametrize(("ms", "place"), [(1, 0), (100, 233), (60_000, 556)])
def test_a_time_has_its_bucket(ms: int, place: int) -> None:
    assert bucket(ms) == place


@pytest.mark.parametrize(("ms", "known"), [(-5, 1), (0, 1), (7, 7), (10**18, SLOWEST_MS)])
def test_the_histogram_knows_one_millisecond_to_a_minute(ms: int, known: int) -> None:
    assert clamped(ms) == known
    assert bucket(ms) == bucket(known)


@given(times)
def test_a_bucket_stands_for_its_times_within_one_per_cent(ms: int) -> None:
    assert abs(value(bucket(ms)) - ms) <= 0.01 * ms


@given(histograms, histograms, histograms)
def test_histograms_are_added_in_any_order(
    a: Counter[int], b: Counter[int], c: Counter[int]
) -> None:
    assert merged([a, b]) == merged([b, a])
    assert merged([merged([a, b]), c]) == merged([a, merged([b, c])]) == merged([c, a, b])


@given(st.lists(st.lists(times, max_size=80), min_size=1, max_size=3), st.sampled_from([50, 95]))
def test_a_percentile_is_that_of_all_calls_within_one_per_cent(
    hours: list[list[int]], per_cent: int
) -> None:
    found = percentile(merged(Counter(map(bucket, hour)) for hour in hours), per_cent)
    calls = sorted(chain.from_iterable(hours))
    if len(calls) < FEWEST[per_cent]:
        assert found is None
    else:
        true = calls[ceil(per_cent * len(calls) / 100) - 1]

        assert found is not None
        assert abs(found - true) <= 0.01 * true


@pytest.mark.parametrize(("calls", "known"), [(0, 0), (1, 1), (19, 1), (20, 2), (99, 2), (100, 3)])
def test_few_calls_have_no_high_percentile(calls: int, known: int) -> None:
    found = [percentile({233: calls}, per_cent) for per_cent in (50, 95, 99)]

    assert sum(one is not None for one in found) == known

    told = [cycle(number, latency_ms=100) for number in range(calls)] or [cycle(0, latency_ms=None)]
    with catalogue([configured()], told) as opened:
        rows = opened.query(
            "SELECT latency_p50_ms, latency_p95_ms, latency_p99_ms FROM provider_latency"
        ).rows

    assert [pytest.approx(one) if one else None for one in found] == list(rows[0])


def test_latency_is_that_of_the_last_24_hours_and_timeouts_stand_beside() -> None:
    old = [cycle(number, latency_ms=9_000) for number in range(30)]
    new = [cycle(24 * 60 + number, latency_ms=100 + number) for number in range(30)]
    late = [cycle(24 * 60 + 40 + n, verdict="FAIL", class_="timeout_read") for n in range(10)]
    with catalogue([configured()], [*old, *new, *late]) as opened:
        [figures] = opened.provider_health("acme")
        [whole] = opened.query("SELECT calls, latency_avg_ms FROM provider_latency").rows
        series = opened.latency_series("acme")

    assert figures.latency_p50_ms == pytest.approx(114, rel=0.01)
    assert figures.latency_p95_ms == pytest.approx(128, rel=0.01)
    assert figures.timeout_share == 10 / 40
    assert whole == (30, 114.5)
    assert len(series) == 24
    assert (series[0].hour, series[-1].hour) == (instant_at(T0 + 3_600_000), later_hour(24))
    assert (series[-1].calls, series[-1].latency_avg_ms, series[-1].timeouts) == (30, 114.5, 10)
    assert series[-1].latency_p95_ms == pytest.approx(128, rel=0.01)
    assert series[0].calls == 0
    assert series[0].latency_p50_ms is None


def later_hour(number: int) -> str:
    return instant_at(T0 + number * 3_600_000)


def test_no_hour_is_nothing() -> None:
    with catalogue() as opened:
        assert opened.latency_series("acme") == []
    with catalogue([configured()]) as opened:
        assert opened.latency_series("acme", hours=0) == []
        assert [hour.calls for hour in opened.latency_series("acme", hours=2)] == [0, 0]
