from __future__ import annotations

import pytest

from services.moment import NoMoment, moment

NOW = "2026-07-01T12:00:00.500Z"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("0", 0),
        ("1234", 1234),
        ("20260101", 20260101),
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("2026-01-31T12:00", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31t12:00:00.123456789z", "2026-01-31T12:00:00.123Z"),
        ("2026-01-31 12:00:00+02:00", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31T23:30:00-01:00", "2026-02-01T00:30:00.000Z"),
        ("0s", NOW),
        ("7d", "2026-06-24T12:00:00.500Z"),
        ("1h30m", "2026-07-01T10:30:00.500Z"),
        ("500ms", "2026-07-01T12:00:00.000Z"),
        (" 7d ", "2026-06-24T12:00:00.500Z"),
    ],
)
def test_a_moment_is_a_sequence_a_time_or_a_span_back(text: str, read: int | str) -> None:
    assert moment(text, now=NOW) == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "-7d",
        "7 d",
        "1.5",
        "2026-13-01",
        "2026-02-30",
        "2026-01-01T25:00:00Z",
        "2026-W01-1",
        "20260101T120000Z",
        "9999999d",
        "0001-01-01T00:00:00+10:00",
        "\u0663",
    ],
)
def test_what_is_no_moment_says_what_one_is(text: str) -> None:
    with pytest.raises(NoMoment) as refused:
        moment(text, now=NOW)

    assert str(refused.value) == (
        f'"{text}" is no moment; write a sequence (1234), a date (2026-01-31), a time'
        " (2026-01-31T12:00:00Z) or a span back from now (7d, 12h)"
    )
