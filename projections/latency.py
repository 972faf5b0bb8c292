"""How long a provider takes: a log histogram that can be added up, and the quantiles of one.

Source: health.md, section 9: DDSketch's buckets (Masson, Rim, Lee, VLDB 2019) of 1 ms to 60 s. A
bucket's value lies within 1 % of all that is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import ceil, log

GAMMA = 1.02
SLOWEST_MS = 60_000
FEWEST = {50: 1, 95: 20, 99: 100}
"""Calls below which a percentile says nothing."""
END = (
    "(SELECT max(at) FROM (SELECT max(at) AS at FROM moments"
    " UNION ALL SELECT max(last_check_at) FROM provider_checks))"
)
"""The newest `at` of the log: where every span of time ends, so that no view needs a clock."""
DAY = f"strftime('%Y-%m-%dT%H:00:00.000Z', {END}, '-23 hours')"
"""The first of the 24 newest hours."""

_LN_GAMMA = log(GAMMA)
_BITS = range((ceil(log(SLOWEST_MS) / _LN_GAMMA)).bit_length())


def _value(bucket: str) -> str:
    """Return `value` of a column in SQL, which has no powers everywhere."""
    powers = (f"iif({bucket} & {1 << bit}, {GAMMA ** (1 << bit)!r}, 1)" for bit in _BITS)
    return f"iif({bucket} IS NULL, NULL, {2 / (GAMMA + 1)!r} * {' * '.join(powers)})"


DDL = f"""
CREATE VIEW provider_latency AS
WITH
  counted AS (
    SELECT c.provider, CAST(b.key AS INTEGER) AS bucket, sum(b.value) AS calls
    FROM provider_checks AS c
    CROSS JOIN check_hours AS h ON h.provider = c.provider AND h.hour >= {DAY}
    LEFT JOIN json_each(h.latency) AS b
    GROUP BY 1, 2
  ),
  ranked AS (
    SELECT provider, bucket, sum(calls) OVER (PARTITION BY provider ORDER BY bucket) AS rank,
      sum(calls) OVER (PARTITION BY provider) AS calls
    FROM counted
  ),
  found AS (
    SELECT provider, coalesce(max(calls), 0) AS calls,
      min(bucket) FILTER (WHERE 100 * rank >= 50 * calls) AS p50,
      min(bucket) FILTER (WHERE 100 * rank >= 95 * calls AND calls >= {FEWEST[95]}) AS p95,
      min(bucket) FILTER (WHERE 100 * rank >= 99 * calls AND calls >= {FEWEST[99]}) AS p99
    FROM ranked GROUP BY provider
  ),
  beside AS (
    SELECT found.*,
      (SELECT sum(latency_total_ms) FROM check_hours AS h
       WHERE h.provider = found.provider AND hour >= {DAY}) AS total,
      (SELECT sum(timeouts) FROM check_hours AS h
       WHERE h.provider = found.provider AND hour >= {DAY}) AS timeouts,
      (SELECT sum(blips) FROM check_hours AS h
       WHERE h.provider = found.provider AND hour >= {DAY}) AS blips
    FROM found
  )
SELECT provider, calls, 1.0 * total / calls AS latency_avg_ms,
  {_value("p50")} AS latency_p50_ms,
  {_value("p95")} AS latency_p95_ms,
  {_value("p99")} AS latency_p99_ms,
  1.0 * timeouts / (calls + timeouts) AS timeout_share, blips
FROM beside;
"""  # noqa: S608 - built of our own words


def clamped(ms: int) -> int:
    """Return *ms* as the histogram knows it: from 1 ms to 60 s."""
    return min(max(ms, 1), SLOWEST_MS)


def bucket(ms: int) -> int:
    """Return the bucket of *ms*."""
    return ceil(log(clamped(ms)) / _LN_GAMMA)


def value(bucket: int) -> float:
    """Return the milliseconds that a bucket stands for."""
    return 2 * GAMMA**bucket / (GAMMA + 1)


def merged(histograms: Iterable[Mapping[int, int]]) -> Counter[int]:
    """Return the histogram of all calls of *histograms*, which count calls by bucket."""
    total = Counter[int]()
    for one in histograms:
        total.update(one)
    return total


def percentile(histogram: Mapping[int, int], per_cent: int) -> float | None:
    """Return a percentile of `FEWEST` by nearest rank, None where there are too few calls."""
    calls = sum(histogram.values())
    if calls < FEWEST[per_cent]:
        return None
    places = sorted(histogram)
    ranks = accumulate(histogram[place] for place in places)
    return next(
        value(place)
        for place, rank in zip(places, ranks, strict=True)
        if 100 * rank >= per_cent * calls
    )
