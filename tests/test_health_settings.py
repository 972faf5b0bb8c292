from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.config import Config, ConfigError, format_duration, load
from services.effective import table_of
from services.health_settings import HEALTH, RELATIONS, Health, checking
from tests.support.offering import offer


@pytest.fixture(autouse=True, scope="module")
def _offered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        offer(tmp_path_factory.mktemp("acme"), patch, acme_answer="acme_checks:answer")
        yield


ACME = '[[providers]]\nname = "acme"\ndialect = "openai"\nbase_url = "https://acme.example/v1"\n'
EVERYTHING = """
[health]
enabled = true
interval = "60s"
confirm_interval = "20s"
timeout = "10s"
connect_timeout = "5s"
slow_after = "5s"
cycle_deadline = "25s"
check_retries = 1
failure_threshold = 3
recovery_threshold = 2
unhealthy_threshold = 0.5
degraded_threshold = 0.2
window = "10m"
min_samples = 10
partial_threshold = 2
block_threshold = 2
throttle_threshold = 3
throttle_hold = "10m"
flap_high = 30
flap_low = 20
relapse_window = "30m"
relapse_cap = 16
blocked_interval = "15m"
down_slow_after = "30m"
down_interval = "120s"
endpoints = ["/health", "https://acme.example/status"]
critical = false
depends_on = []
max_concurrency = 16
per_host = 2
rate_limit = "30/60s"
stale_factor = 2.5
witnesses = ["https://one.example", "https://two.example"]
[[health.checks]]
name = "front page"
type = "http"
path = "/"
statuses = [200, 204]
body = "ok|fine"
timeout = "5s"
interval = "5m"
weight = 0.5
critical = true
[[health.checks]]
name = "a real answer"
type = "python"
entry_point = "acme-answer"
billed = true
cost_note = "a cent"
interval = "15m"
[[health.maintenance]]
start = 2026-01-31T08:00:00+01:00
end = "2026-01-31T09:00:00Z"
[[health.maintenance]]
days = ["sun"]
at = "03:30"
duration = "1h"
zone = "Europe/Berlin"
"""


def configured(text: str, folder: Path) -> Config:
    file = folder / "modelog.toml"
    file.write_text(text)
    return load(file, environ={}, cwd=folder)


def errors(text: str, folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        configured(text, folder)
    return caught.value.errors


def test_every_key_can_be_written(tmp_path: Path) -> None:
    config = configured(EVERYTHING + ACME, tmp_path)
    health = Health.from_settings(config.providers[0])

    assert set(config.health) == set(HEALTH)
    assert health.maintenance[0] == {
        "start": "2026-01-31T07:00:00.000Z",
        "end": "2026-01-31T09:00:00.000Z",
    }
    assert health.checks[0]["timeout"] == "5s"


def test_what_was_written_is_written_again(tmp_path: Path) -> None:
    settings = configured(EVERYTHING + ACME, tmp_path).providers[0]
    given_ = table_of(settings)["health"]

    assert given_["confirm_interval"] == "20s"
    assert given_["checks"] == settings.health["checks"]


def test_the_defaults_are_those_of_the_design() -> None:
    health = checking({})

    assert (health.interval, health.timeout, health.confirm_interval) == (60, 10, 20)
    assert (health.connect_timeout, health.slow_after, health.cycle_deadline) == (5, 5, 25)
    assert (health.window, health.min_samples) == (600, 10)
    assert (health.flap_high, health.flap_low) == (30, 20)
    assert (health.blocked_interval, health.down_interval) == (900, 120)


@given(st.integers(10, 10_000_000))
def test_any_interval_alone_fits(seconds: int) -> None:
    health = checking({"interval": float(seconds)})

    assert [one.key for one in RELATIONS if not one.fits(health)] == []


@given(
    st.sampled_from(["unhealthy_threshold", "flap_high", "recovery_threshold"]),
    st.integers(1, 100),
)
def test_any_threshold_alone_fits(key: str, number: int) -> None:
    value = number / 100 if key == "unhealthy_threshold" else number
    health = checking({key: value})

    assert [one.key for one in RELATIONS if not one.fits(health)] == []


@given(st.integers(60, 10_000_000))
def test_any_window_of_an_interval_or_more_alone_fits(seconds: int) -> None:
    health = checking({"window": float(seconds)})

    assert [one.key for one in RELATIONS if not one.fits(health)] == []


@given(st.integers(1, 59))
def test_any_timeout_below_the_interval_alone_is_accepted(
    tmp_path_factory: pytest.TempPathFactory, seconds: int
) -> None:
    text = f'[health]\ntimeout = "{format_duration(seconds)}"\n'

    assert configured(text, tmp_path_factory.mktemp("c")).health == {"timeout": seconds}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("interval = '9s'", 'interval: "9s" is too short; at least "10s"'),
        ("timeout = '60s'", 'timeout: "1m" does not fit: timeout must be below interval'),
        ("timeout = '30s'\ninterval = '20s'", 'timeout: "30s" does not fit'),
        ("connect_timeout = '11s'", 'connect_timeout: "11s" does not fit'),
        ("slow_after = '11s'", 'slow_after: "11s" does not fit'),
        ("confirm_interval = '9s'", 'confirm_interval: "9s" does not fit'),
        ("confirm_interval = '61s'", "must be from timeout to interval"),
        ("cycle_deadline = '49s'", "must be from timeout to 0.8 x interval"),
        ("cycle_deadline = '9s'", 'cycle_deadline: "9s" does not fit'),
        ("check_retries = 4", "check_retries: 4 is not a whole number from 0 to 3"),
        ("failure_threshold = 0", "failure_threshold: 0 is not a whole number of at least 1"),
        ("recovery_threshold = 0", "recovery_threshold: 0 is not"),
        ("unhealthy_threshold = 1.1", "unhealthy_threshold: 1.1 is not a number above 0"),
        ("degraded_threshold = 0.5", "degraded_threshold: 0.5 does not fit"),
        ("window = '59s'", 'window: "59s" does not fit: window must be at least interval'),
        ("window = '5m'\nmin_samples = 6", "min_samples: 6 does not fit"),
        ("min_samples = 0", "min_samples: 0 is not"),
        ("partial_threshold = 0", "partial_threshold: 0 is not"),
        ("block_threshold = 0", "block_threshold: 0 is not"),
        ("throttle_threshold = 0", "throttle_threshold: 0 is not"),
        ("throttle_hold = '59s'", 'throttle_hold: "59s" does not fit'),
        ("flap_high = 0", "flap_high: 0 is not a number above 0"),
        ("flap_low = 30", "flap_low: 30.0 does not fit: flap_low must be below flap_high"),
        ("relapse_window = '59s'", 'relapse_window: "59s" does not fit'),
        ("relapse_cap = 1", "relapse_cap: 1 does not fit"),
        ("blocked_interval = '59s'", 'blocked_interval: "59s" does not fit'),
        ("down_slow_after = '59s'", 'down_slow_after: "59s" does not fit'),
        ("down_interval = '59s'", 'down_interval: "59s" does not fit'),
        ("critical = 1", "critical: 1 is neither true nor false"),
        ("max_concurrency = 0", "max_concurrency: 0 is not"),
        ("per_host = 0", "per_host: 0 is not"),
        ("rate_limit = '30'", 'rate_limit: "30" is no rate; write COUNT/SPAN'),
        ("rate_limit = '1/60s'", "rate_limit must be at least 2 calls per interval"),
        ("stale_factor = 1", "stale_factor: 1 is not a number above 1"),
        ("witnesses = ['https://a']", "one witness cannot be doubted"),
        ("witnesses = ['https://a/1', 'https://a/2']", "witnesses[2]: "),
        ("endpoints = '/health'", 'endpoints: "/health" is no list'),
        ("endpoints = ['health']", 'endpoints[1]: "health" is no path'),
        ("endpoints = ['//other/health']", "endpoints[1]: "),
        ("endpoints = ['/a', '/a']", 'endpoints[2]: "/a" is the name of another endpoint'),
        ("depends_on = ['nobody']", 'depends_on[1]: "nobody" is no provider'),
        ("maintenance = [{ start = 2026-01-02, end = 2026-01-01 }]", "[1].end: 2026-01-01T00:00"),
        ("maintenance = [{ start = 'soon', end = 2026-01-01 }]", 'start: "soon" is no time'),
        ("maintenance = [{ start = 2026-01-01 }]", "maintenance[1].end: missing"),
        ("maintenance = [{ days = ['sun'], at = '3:00', duration = '1h' }]", "no time of day"),
        ("maintenance = [{ days = ['so'], at = '03:00', duration = '1h' }]", "days[1]: "),
        (
            "maintenance = [{ days = ['sun'], at = '03:00', duration = '1h', zone = 'Mars/X' }]",
            'maintenance[1].zone: "Mars/X" is no time zone',
        ),
        ("checks = [{ name = 'a', type = 'http' }]", "checks[1].path: missing"),
        ("checks = [{ name = 'a', type = 'tcp' }]", 'checks[1].type: "tcp" is unknown'),
        ("checks = [{ name = 'a', type = 'python' }]", "checks[1].entry_point: missing"),
        (
            "checks = [{ name = 'a', type = 'python', entry_point = 'other' }]",
            'checks[1].entry_point: "other" is offered by no installed package',
        ),
        ("checks = ['a']", 'checks[1]: "a" is no table'),
    ],
)
def test_what_is_not_allowed_is_named(lines: str, says: str, tmp_path: Path) -> None:
    found = errors(f"[health]\n{lines}\n", tmp_path)

    assert len(found) == 1
    assert found[0].startswith("modelog.toml: health.")
    assert says in found[0]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("weight = 0", "checks[1].weight: 0 is not a number above 0"),
        ("wieght = 1", 'checks[1].wieght: unknown key; did you mean "weight"?'),
        ("timeout = '26s'", "each with a timeout of at most cycle_deadline"),
        ("interval = '30s'", "each with an interval of at least that of the provider"),
        ("statuses = [99]", "checks[1].statuses[1]: 99 is not a whole number from 100 to 599"),
        ("body = '('", 'checks[1].body: "(" is no regular expression'),
        ("billed = true", "checks[1].cost_note: missing"),
        ("billed = true, cost_note = 'x', interval = '14m'", 'at least "15m"'),
    ],
)
def test_a_check_that_is_not_allowed_is_named(more: str, says: str, tmp_path: Path) -> None:
    found = errors(
        f"[health]\nchecks = [{{ name = 'a', type = 'http', path = '/', {more} }}]\n", tmp_path
    )

    assert len(found) == 1
    assert says in found[0]


def test_two_checks_do_not_share_a_name(tmp_path: Path) -> None:
    check = "{ name = 'a', type = 'http', path = '/' }"
    found = errors(f"[health]\nchecks = [{check}, {check}]\n", tmp_path)

    assert found == [
        'modelog.toml: health.checks[2].name: "a" is the name of another check already'
    ]


def test_an_endpoint_is_on_the_provider_s_own_host(tmp_path: Path) -> None:
    found = errors(
        ACME + 'health = { endpoints = ["https://acme.example/a", "https://other.example/b"] }\n',
        tmp_path,
    )

    (line,) = found
    assert line.startswith('modelog.toml: providers[1] "acme": health.endpoints[2]: "https://other')
    assert line.endswith("is not on the provider's own https://acme.example")


def test_relations_are_judged_on_what_holds_for_each_provider(tmp_path: Path) -> None:
    usual = '[health]\ntimeout = "15s"\n'

    (line,) = errors(usual + ACME + 'health = { interval = "12s" }\n', tmp_path)

    assert line.startswith('modelog.toml: providers[1] "acme": health.interval: "12s" does not fit')
    assert line.endswith("timeout must be below interval (timeout 15s, interval 12s)")
    assert configured(usual + ACME + 'health = { interval = "30s" }\n', tmp_path).providers


def _dependent(**needs: list[str]) -> str:
    return "".join(
        ACME.replace("acme", name, 1) + f"health = {{ depends_on = {needed} }}\n"
        for name, needed in needs.items()
    )


@pytest.mark.parametrize(
    ("needs", "places"),
    [
        ({"a": ["b"], "b": []}, []),
        ({"a": ["b"], "b": ["a"]}, ['providers[1] "a"', 'providers[2] "b"']),
        ({"a": ["a"]}, ['providers[1] "a"']),
        ({"a": ["c"], "b": ["a"]}, ['providers[1] "a"']),
    ],
    ids=["a chain", "a circle", "oneself", "nobody"],
)
def test_providers_depend_on_others_without_a_circle(
    needs: dict[str, list[str]], places: list[str], tmp_path: Path
) -> None:
    if not places:
        assert len(configured(_dependent(**needs), tmp_path).providers) == len(needs)
        return

    assert [line.split(": ")[1] for line in errors(_dependent(**needs), tmp_path)] == places


def test_all_may_depend_on_one_that_is_among_them(tmp_path: Path) -> None:
    text = '[health]\ndepends_on = ["acme"]\n' + ACME + "[[providers]]\nname = 'openai'\n"

    assert len(configured(text, tmp_path).providers) == 2
