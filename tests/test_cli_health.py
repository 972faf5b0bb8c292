"""Health: what is shown of providers that are well and ill, and whether that is still true."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from services.cli.figures import age, bars, legend, millis, share, span, sparkline
from services.jetstream.setup import ensure
from services.jetstream.state import beat, rest
from tests.support.cli import Answer, modelog, on_terminal
from tests.support.logs import catalogue
from tests.support.nats import connected, running
from tests.support.vitals import DOWN, END, FACTS, OPERATIONS

pytestmark = pytest.mark.process

FIRST = ("provider", "enabled", "status", "status_cause", "status_since", "stale", "stale_reason")
CONTRACT = {
    *("provider", "uptime_24h", "uptime_7d", "uptime_30d", "coverage_24h", "latency_p50_ms"),
    *("latency_p95_ms", "last_check_at", "open_alerts"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalogue, and neither log nor server."""
    folder = tmp_path_factory.mktemp("health")
    catalogue(folder / ".modelog", FACTS, OPERATIONS)
    return folder


def test_each_provider_has_its_status_and_its_figures(folder: Path) -> None:
    answer = modelog("health", "--json", cwd=folder)
    acme, beta, delta, gamma = answer.json

    assert (answer.code, answer.err) == (0, "")
    assert tuple(acme)[: len(FIRST)] == FIRST
    assert set(acme) >= CONTRACT
    assert (acme["status"], acme["uptime_24h"], acme["uptime_30d"]) == ("active", 1.0, 1.0)
    assert acme["latency_p50_ms"] == pytest.approx(210, rel=0.02)
    assert (beta["status"], beta["status_cause"], beta["open_alerts"]) == ("error", "outage", 1)
    assert beta["uptime_24h"] == pytest.approx(1 - 10 / (24 * 60))
    assert (delta["status"], delta["uptime_24h"], delta["last_check_at"]) == (
        "inactive",
        None,
        None,
    )
    assert (gamma["stale"], gamma["stale_reason"]) == (True, "silent")
    assert [one["stale"] for one in (acme, beta, delta)] == [False, False, False]


def test_a_limit_cuts_the_list(folder: Path) -> None:
    assert [
        row["provider"] for row in modelog("health", "--json", "--limit", 2, cwd=folder).json
    ] == [
        "acme",
        "beta",
    ]


def test_the_totals_count_each_provider_once(folder: Path) -> None:
    told = modelog("health", "--summary", "--json", cwd=folder).json

    states = ("healthy", "degraded", "unhealthy", "blocked", "inactive")
    assert [told[name] for name in states] == [1, 1, 1, 0, 1]
    assert (told["total"], told["stale"], told["open_alerts"]) == (4, 1, 3)
    assert told["monitors_alive"] is None, "no server tells"
    assert modelog("health", "--summary", cwd=folder).out.startswith(
        "4 providers: 1 healthy, 1 degraded, 1 down, 1 inactive, 1 stale; "
    )


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_has_room_for_all(folder: Path, columns: int) -> None:
    screen = on_terminal("health", cwd=folder, columns=columns)

    assert screen.code == 0
    assert max(map(len, screen.lines)) <= columns
    for words in ("99.3%", "212ms", "(outage)", "stale, degraded", "3 open alerts (1"):
        assert words in screen.text
    assert ("█████▇▇▇▇▆" in screen.text) is (columns == 120)
    assert "whether a health monitor lives is unknown" in " ".join(screen.text.split())


def test_a_pipe_has_no_colour(folder: Path) -> None:
    answer = modelog("health", cwd=folder)

    assert "\x1b" not in answer.out + answer.err
    assert answer.out.splitlines()[0].split()[:3] == ["NAME", "STATUS", "SINCE"]


def test_one_provider_has_its_past(folder: Path) -> None:
    row = modelog("health", "beta", "--json", cwd=folder).json

    assert (row["provider"], row["status"], row["monitors_alive"]) == ("beta", "error", None)
    assert [one["status"] for one in row["history"]] == ["error", "active", "error", "active"]
    assert [one["verdict"] for one in row["checks"]] == ["FAIL", "OK"]
    assert [one["alert_id"] for one in row["alerts"]] == [DOWN.alert_id]
    assert [one["span"] for one in row["uptime"]] == ["1h", "24h", "7d", "30d", "90d"]
    assert (len(row["days"]), len(row["hours"])) == (30, 24)
    assert row["next_check_at"] == "2026-03-30T23:51:00.000Z"


def test_one_provider_fits_a_terminal(folder: Path) -> None:
    screen = on_terminal("health", "beta", cwd=folder)
    short = on_terminal("health", "beta", "--limit", 1, cwd=folder)

    assert max(map(len, screen.lines)) <= 80
    for words in (
        "status      error (outage) since 2026-03-30 23:50:00",
        "99.305% in 24h",
        "█████████░███████████████████░  ░ down  █ up",
        "3h  error   outage",
        "HTTP 500\\x1b[2J Internal Server",
    ):
        assert words in screen.text
    assert "\x1b[2J" not in screen.raw
    assert short.text.count("outage") < screen.text.count("outage")


def test_a_stale_provider_says_why(folder: Path) -> None:
    screen = on_terminal("health", "gamma", cwd=folder)

    assert "stale, degraded (throttled)" in screen.text
    assert "no check has counted for too long" in screen.text


def test_a_provider_that_was_never_checked_can_be_shown(folder: Path) -> None:
    screen = on_terminal("health", "delta", cwd=folder)

    assert screen.code == 0
    assert "not known yet" in screen.text
    assert "never" in screen.text


def test_an_unknown_provider_does_not_exist(folder: Path) -> None:
    answer = modelog("health", "akme", cwd=folder)

    assert (answer.code, answer.err) == (3, 'there is no provider "akme"; did you mean "acme"?\n')


def test_the_totals_are_of_all(folder: Path) -> None:
    assert modelog("health", "acme", "--summary", cwd=folder).code == 2


def test_without_a_catalogue_it_says_so(tmp_path: Path) -> None:
    assert modelog("health", cwd=tmp_path).code == 4


@pytest.mark.nats
async def test_without_a_living_monitor_all_is_stale(folder: Path, tmp_path: Path) -> None:
    """A heartbeat decides: none, one, and none again as soon as that one has ended."""

    async def asked(env: Mapping[str, str], *words: str) -> Answer:
        return await asyncio.to_thread(modelog, "health", *words, cwd=folder, env=env)

    async with running(tmp_path / "nats") as server, connected(server.url) as nc:
        env = {"MODELOG_NATS_URL": server.url}
        _, before, _ = await asked(env, "--summary", "--json")
        await ensure(nc, audit_max_age=None, monitor_url=None)
        await beat(nc, "health-monitor", "one")
        _, living, _ = await asked(env, "--summary")
        await rest(nc, "health-monitor", "one")
        _, rows, _ = await asked(env, "--json")
        _, one, why = await asked(env, "acme")

    assert '"monitors_alive": 0' in before
    assert "stale" in living
    assert "no health monitor" not in living
    assert rows.count('"stale":true,"stale_reason":"no_monitor"') == 4
    assert "stale, active" in one
    assert "no health monitor has been heard for 15 s; start one with `modelog up`" in why


@pytest.mark.chaos
async def test_a_server_that_cannot_be_reached_leaves_it_unknown(folder: Path) -> None:
    env = {"MODELOG_NATS_URL": "nats://127.0.0.1:9"}
    answer = await asyncio.to_thread(modelog, "health", cwd=folder, env=env)

    assert answer.code == 0
    assert "whether a health monitor lives is unknown" in answer.err


# figures


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"), (0, "0s"), (45.9, "45s"), (65, "1m5s"), (599, "9m59s"), (660, "11m"),
        (3_600, "1h"), (7_500, "2h5m"), (50_000, "13h"), (100_000, "1d3h"), (9e6, "104d"),
    ],
)  # fmt: skip
def test_a_span_has_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_an_age_that_is_not_known_is_empty() -> None:
    assert age(None, END) == ""
    assert age("2026-03-30T23:59:00.000Z", END) == "1m"


@pytest.mark.parametrize(
    ("of", "digits", "text"),
    [
        (None, 1, ""), (1.0, 1, "100%"), (0.99999, 1, "99.9%"), (0.99999, 3, "99.999%"),
        (0.5, 0, "50%"), (0.0, 1, "0%"), (0.07, 1, "7%"), (0.29, 2, "29%"),
    ],
)  # fmt: skip
def test_a_share_is_never_rounded_up(of: float | None, digits: int, text: str) -> None:
    assert share(of, digits) == text


def test_a_latency_is_short() -> None:
    assert [millis(ms) for ms in (None, 0.99, 120.4, 999.7, 12_345)] == [
        *("", "1ms", "120ms", "1.0s", "12.3s")
    ]


def test_a_sparkline_has_a_place_for_each_value() -> None:
    assert sparkline([None, 1, 4, 8]) == "·▁▄█"
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([]) == ""


def test_a_day_is_drawn_by_the_worst_of_it() -> None:
    days = [{"up": 1.0}, {"up": 0.99, "down": 0.01}, {"degraded": 0.5, "up": 0.5}, {"unknown": 1.0}]

    assert bars(days).plain == "█░▓·"
    assert legend(days).plain == "░ down  ▓ degraded  █ up  · nothing known"
    assert legend([{"up": 1.0}]).plain == "█ up"
