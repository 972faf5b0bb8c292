"""A fetch is made again where it failed in passing: how often, and after which wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import pytest

from events.decide.providers import Settings
from events.record import ModelRecord
from services.calls.call import Client, client
from services.calls.fetching import classes, fetch_with_retries
from services.calls.limits import Limits
from services.calls.pages import Fetched
from services.calls.tokens import Tokens
from services.clock import Clock
from services.keys import Secret
from services.providers import Dialect, Exchange, Page, Request, Row
from tests.support.http import Act, Server, answer, free_port, hang, reply, reset, serving


class Skipping(Clock):
    """A clock whose sleeps take no time and are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ahead += seconds


def parse(body: bytes, _: str, __: Settings) -> Page:
    ids = msgspec.json.decode(body, type=list[str])
    return Page([Row(ModelRecord(id=each, name=each), frozenset({"id"})) for each in ids])


def headers(_: Settings, secrets: Mapping[str, Secret]) -> dict[str, str]:
    token = secrets.get("access_token") or secrets.get("api_key")
    return {} if token is None else {"authorization": f"Bearer {token.reveal()}"}


DIALECT = Dialect("test", lambda settings: [f"{settings.base_url}/models"], parse, headers)
RETRY_ON = ["connect", "timeout", "dns", "server", "overloaded", "rate_limited"]
LIST = answer(["a"])
DOWN = reply(b"", 500)


@pytest.fixture
async def http() -> AsyncIterator[Client]:
    async with client() as opened:
        yield opened


class Run:
    """What one run came to."""

    def __init__(self, fetched: Fetched, attempts: int, clock: Skipping, limits: Limits) -> None:
        self.class_ = fetched.outcome.class_
        self.attempts = attempts
        self.slept = clock.slept
        self.limits = limits


async def run_at(
    url: str,
    http: Client,
    dialect: Dialect = DIALECT,
    *,
    clock: Skipping | None = None,
    secrets: Mapping[str, Secret] | None = None,
    **changes: object,
) -> Run:
    clock = clock or Skipping()
    bounds: dict[str, Any] = {
        "client": http,
        "limits": Limits(5, clock=clock),
        "timeout": 5.0,
        "max_bytes": 1000,
        "validators": None,
        "clock": clock,
        "attempts": 3,
        "base_delay": 1.0,
        "max_delay": 30.0,
        "multiplier": 2.0,
        "retry_on": RETRY_ON,
        "deadline": 120.0,
        "draw": lambda _, high: high,
    }
    bounds.update(changes)
    settings = Settings(name="demo", dialect="test", base_url=url)
    async with asyncio.timeout(20):
        fetched, attempts = await fetch_with_retries(dialect, settings, secrets or {}, **bounds)
    return Run(fetched, attempts, clock, bounds["limits"])


async def run(http: Client, *acts: Act, **changes: object) -> Run:
    async with serving(acts) as server:
        made = await run_at(server.url, http, DIALECT, clock=None, secrets=None, **changes)

        assert len(server.asked) == made.attempts
    return made


async def test_a_list_that_is_there_is_asked_for_once(http: Client) -> None:
    made = await run(http, LIST)

    assert (made.class_, made.attempts, made.slept) == ("ok", 1, [])


async def test_a_passing_fault_is_passed_over(http: Client) -> None:
    made = await run(http, DOWN, reset, LIST)

    assert (made.class_, made.attempts, made.slept) == ("ok", 3, [1.0, 2.0])


async def test_after_so_many_attempts_the_last_outcome_stands(http: Client) -> None:
    made = await run(http, DOWN, DOWN, reply(b"", 503), LIST)

    assert (made.class_, made.attempts, made.slept) == ("overloaded", 3, [1.0, 2.0])


async def test_every_attempt_has_a_whole_time_limit(http: Client) -> None:
    made = await run(http, hang, hang, LIST, timeout=0.3)

    assert (made.class_, made.attempts) == ("ok", 3)


@pytest.mark.parametrize(
    "act",
    [reply(b"", 401), reply(b"", 402), reply(b"", 400), reply(b"", 404), reply(b"<html>")],
    ids=["credential", "quota", "check_invalid", "config", "invalid_response"],
)
async def test_what_will_not_pass_is_not_asked_again(http: Client, act: Act) -> None:
    made = await run(http, act, LIST)

    assert (made.attempts, made.slept) == (1, [])


async def test_retries_go_by_the_class_that_the_user_allows(http: Client) -> None:
    none = await run(http, DOWN, LIST, retry_on=[])
    other = await run(http, DOWN, LIST, retry_on=["connect"])
    refused = await run_at(f"http://127.0.0.1:{free_port()}", http, retry_on=["connect"])

    assert (none.attempts, other.attempts, refused.attempts) == (1, 1, 3)
    assert classes(["timeout", "dns", "server"]) == {
        "timeout_connect",
        "timeout_read",
        "timeout_total",
        "dns",
        "dns_nx",
        "server",
    }


async def test_retry_after_counts_and_is_spread_but_backoff_may_be_longer(http: Client) -> None:
    busy = reply(b"", 429, {"Retry-After": "10"})
    longer = await run(http, busy, LIST)
    shorter = await run(http, busy, LIST, base_delay=20.0)
    unsaid = await run(http, reply(b"", 429), LIST)

    assert (longer.class_, longer.slept) == ("ok", [11.0])
    assert shorter.slept == [20.0]
    assert unsaid.slept == [33.0]


async def test_a_wait_that_does_not_fit_is_not_begun(http: Client) -> None:
    made = await run(http, reply(b"", 429, {"Retry-After": "3600"}), LIST)

    assert (made.class_, made.attempts, made.slept) == ("rate_limited", 1, [])
    assert made.limits.retries.tokens == 10.0


async def test_waits_add_up_to_the_deadline(http: Client) -> None:
    made = await run(
        http, reply(b"", 429, {"Retry-After": "50"}), attempts=10, base_delay=0.0, deadline=120.0
    )

    assert (made.attempts, made.slept) == (3, [55.0, 55.0])


async def test_an_attempt_has_no_more_time_than_the_run(http: Client) -> None:
    made = await run(http, hang, LIST, timeout=30.0, deadline=0.3)

    assert (made.class_, made.attempts) == ("timeout_total", 1)


async def test_an_outage_of_many_spends_the_budget_once(http: Client) -> None:
    limits = Limits(5, clock=Clock())
    made = [await run(http, DOWN, limits=limits) for _ in range(20)]

    assert sum(each.attempts for each in made) <= 20 + 10 + 20 * 0.1
    assert made[-1].attempts == 1
    assert limits.retries.refused > 0


async def test_a_cancelled_run_is_cancelled_at_once(http: Client) -> None:
    async with serving(hang) as server:
        running = asyncio.create_task(run_at(server.url, http))
        async with asyncio.timeout(5):
            await server.arrived.wait()
        running.cancel()

        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(server.asked) == 1


def exchanging(server: Server) -> Dialect:
    def exchange(_: Settings, secrets: Mapping[str, Secret], __: datetime) -> Exchange | None:
        if "client_secret" not in secrets:
            return None
        body = secrets["client_secret"].reveal().encode()

        def read(answered: bytes) -> tuple[str, float]:
            token = msgspec.json.decode(answered, type=dict[str, str])
            return token["token"], 3600.0

        return Exchange(Request(f"{server.url}/token", "POST", {}, body), read)

    return DIALECT._replace(exchange=exchange)


SECRETS = {"client_secret": Secret("planted")}


async def test_a_token_is_fetched_once_and_goes_to_the_provider_alone(http: Client) -> None:
    clock = Skipping()
    tokens = Tokens(clock)
    async with serving(answer({"token": "t1"})) as issuer, serving(LIST) as server:
        dialect = exchanging(issuer)

        async def once() -> Run:
            return await run_at(
                server.url, http, dialect, clock=clock, tokens=tokens, secrets=SECRETS
            )

        first = await once()
        await once()
        clock.ahead += 3299.0
        await once()
        early = len(issuer.asked)
        clock.ahead += 2.0
        await once()

        assert (first.class_, early, len(issuer.asked)) == ("ok", 1, 2)
        assert issuer.asked[0].body == b"planted"
        assert "authorization" not in issuer.asked[0].headers
        assert {each.headers["authorization"] for each in server.asked} == {"Bearer t1"}
        assert all(b"planted" not in each.body for each in server.asked)


async def test_a_token_that_is_refused_is_forgotten(http: Client) -> None:
    tokens = Tokens(Clock())
    async with (
        serving([answer({"token": "t1"}), answer({"token": "t2"})]) as issuer,
        serving([reply(b"", 401), LIST]) as server,
    ):
        dialect = exchanging(issuer)
        refused = await run_at(server.url, http, dialect, tokens=tokens, secrets=SECRETS)
        taken = await run_at(server.url, http, dialect, tokens=tokens, secrets=SECRETS)

        assert (refused.class_, taken.class_) == ("credential", "ok")
        assert server.asked[1].headers["authorization"] == "Bearer t2"


@pytest.mark.parametrize(
    ("act", "class_"),
    [
        (reply(b"{}", 400), "credential"),
        (reply(b"{}", 401), "credential"),
        (reply(b"{}", 500), "server"),
        (reply(b"<html>"), "invalid_response"),
    ],
)
async def test_a_token_endpoint_that_gives_none(http: Client, act: Act, class_: str) -> None:
    async with serving(act) as issuer, serving(LIST) as server:
        made = await run_at(server.url, http, exchanging(issuer), secrets=SECRETS, attempts=1)

        assert (made.class_, server.asked) == (class_, [])


async def test_credentials_of_no_form_are_not_quoted(http: Client) -> None:
    def exchange(_: Settings, secrets: Mapping[str, Secret], __: datetime) -> Exchange | None:
        raise ValueError(secrets["client_secret"].reveal())

    async with serving(LIST) as server:
        dialect = DIALECT._replace(exchange=exchange)
        made = await run_at(server.url, http, dialect, secrets=SECRETS)

        assert (made.class_, server.asked) == ("credential", [])


async def test_each_attempt_is_signed_anew(http: Client) -> None:
    def sign(
        request: Request, _: Settings, secrets: Mapping[str, Secret], at: datetime
    ) -> dict[str, str]:
        return {"X-Signed": f"{request.method} {at.year} {secrets['api_key'].reveal()}"}

    async with serving([DOWN, LIST]) as server:
        secrets = {"api_key": Secret("k")}
        await run_at(server.url, http, DIALECT._replace(sign=sign), secrets=secrets)

        assert [each.headers["x-signed"] for each in server.asked] == [
            f"GET {Clock().utcnow().year} k"
        ] * 2
