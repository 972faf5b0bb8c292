"""Whether a scheduled refresh runs, given what the monitors say of the provider."""

from __future__ import annotations

import pytest

from events.health import Status
from services.refresher.gate import Vital, gate, panicking

DOWN = Vital("error", "outage")
UP = Vital("active", None)


@pytest.mark.parametrize(
    ("status", "cause", "expected"),
    [
        ("active", None, "run"),
        ("degraded", "throttled", "run"),
        ("degraded", "flapping", "run"),
        ("inactive", "unchecked", "run"),
        ("error", "outage", "down"),
        ("error", "error_rate", "down"),
        ("error", "credential", "blocked"),
        ("error", "quota", "blocked"),
        ("error", "endpoint_gone", "blocked"),
        ("error", "config", "blocked"),
    ],
)
def test_what_is_down_or_blocked_waits(status: Status, cause: str | None, expected: str) -> None:
    assert gate(Vital(status, cause), alive=True, panic=False) == expected


def test_where_nothing_is_known_everything_runs() -> None:
    assert gate(None, alive=True, panic=False) == "run"


def test_what_has_not_been_seen_for_long_runs() -> None:
    assert gate(DOWN._replace(stale=True), alive=True, panic=False) == "run"


def test_without_a_living_monitor_everything_runs() -> None:
    assert gate(DOWN, alive=False, panic=False) == "run"


def test_in_a_panic_who_is_down_runs_and_who_is_blocked_does_not() -> None:
    assert gate(DOWN, alive=True, panic=True) == "panic"
    assert gate(Vital("error", "quota"), alive=True, panic=True) == "blocked"


@pytest.mark.parametrize(
    ("vitals", "expected"),
    [
        ([DOWN] * 3, False),
        ([DOWN] * 3 + [UP], True),
        ([DOWN] * 2 + [UP] * 2, False),
        ([DOWN] * 7 + [UP] * 3, True),
        ([DOWN] * 3 + [None], True),
        ([DOWN._replace(stale=True)] * 4, False),
        ([Vital("error", "quota")] * 4, False),
    ],
    ids=["three", "3 of 4", "2 of 4", "7 of 10", "one unknown", "stale", "blocked"],
)
def test_seven_in_ten_of_four_or_more_are_a_panic(
    vitals: list[Vital | None], *, expected: bool
) -> None:
    assert panicking(vitals) is expected
