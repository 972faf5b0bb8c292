"""How long to wait, and until when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.calls.waiting import asked, backoff, not_before, retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def most(_: float, high: float) -> float:
    return high


def least(low: float, _: float) -> float:
    return low


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "99999999"}, 99999999.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"x-ms-retry-after-ms": "1500.5"}, 1.5005),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sunday, 01-Mar-26 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun Mar  1 12:00:30 2026"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        (
            {
                "retry-after": "Sun, 01 Mar 2026 15:00:30 GMT",
                "date": "Sun, 01 Mar 2026 15:00:00 GMT",
            },
            30.0,
        ),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT", "date": "yesterday"}, 30.0),
    ],
    ids=str,
)
def test_retry_after_is_read_in_all_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, now=NOW) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "nan", "inf", "1e3", "0x10", "1_0", "٣", "9" * 400, "1 2", "Sun, 99 Mar", "+5"],
)
def test_a_malformed_retry_after_counts_as_absent(text: str) -> None:
    assert retry_after({"retry-after": text}, now=NOW) is None


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text()))
def test_reading_retry_after_never_raises(headers: dict[str, str]) -> None:
    seconds = retry_after(headers, now=NOW)

    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("class_", "status", "said", "low", "high"),
    [
        ("rate_limited", 429, 10.0, 10.0, 11.0),
        ("rate_limited", 429, None, 30.0, 33.0),
        ("rate_limited", 429, 1e9, 3600.0, 3600.0),
        ("quota", 429, None, 30.0, 33.0),
        ("overloaded", 503, 10.0, 10.0, 11.0),
        ("overloaded", 503, None, 0.0, 0.0),
        ("overloaded", 503, 1e9, 300.0, 300.0),
        ("connect", None, None, 0.0, 0.0),
    ],
)
def test_what_they_ask_for_is_waited_and_a_little_more_within_bounds(
    class_: str, status: int | None, said: float | None, low: float, high: float
) -> None:
    assert asked(class_, status, said, least) == low
    assert asked(class_, status, said, most) == high


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 1.0), (2, 2.0), (5, 16.0), (6, 30.0)])
def test_backoff_is_anything_up_to_its_ceiling_at_the_cap_too(attempt: int, ceiling: float) -> None:
    plan = {"base_delay": 1.0, "max_delay": 30.0, "multiplier": 2.0}

    assert backoff(attempt, **plan, draw=most) == ceiling
    assert backoff(attempt, **plan, draw=least) == 0.0


def test_backoff_after_very_many_attempts_is_still_the_cap() -> None:
    assert backoff(10_000, base_delay=1, max_delay=30, multiplier=10, draw=most) == 30


@given(current=st.none() | st.floats(0, 1e6), now=st.floats(0, 1e6), wait=st.floats(0, 3600))
def test_a_later_wait_extends_and_never_shortens(
    current: float | None, now: float, wait: float
) -> None:
    until = not_before(current, now, wait)

    assert until >= now + wait
    assert current is None or until >= current
    assert until in {now + wait, current}
