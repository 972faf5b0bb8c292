"""How long each phase of a call took, and until when the certificate is good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.calls.call import Client, Outcome, call, client
from services.clock import Clock
from services.demo import faults
from services.demo.simulator import Simulator, Site
from services.providers import Request
from tests.support.faulty import Certificates
from tests.support.http import full_backlog

END = datetime(2044, 2, 29, 12, 30, tzinfo=UTC)
SLOW = 0.15
LONG = SLOW * 900
"""Milliseconds that what takes `SLOW` takes at least: clocks and rounding are a little off."""


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
async def http(certificates: Certificates) -> AsyncIterator[Client]:
    async with client(tls=certificates.trusting) as opened:
        yield opened


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Simulator() as simulator:
        site = simulator.provider("acme")
        site.models = ["one", "two"]
        yield site


async def ask(http: Client, base_url: str, *, phases: bool = True, **changes: float) -> Outcome:
    bounds: dict[str, Any] = {"timeout": 5.0, "connect_timeout": 2.0, "max_bytes": 1000, **changes}
    return await call(
        http, Request(f"{base_url}/models"), secrets=[], clock=Clock(), phases=phases, **bounds
    )


async def test_without_tls_there_are_three_phases(http: Client, site: Site) -> None:
    outcome = await ask(http, site.base_url)

    assert set(outcome.phases) == {"connect", "first_byte", "body"}
    assert sum(outcome.phases.values()) <= outcome.latency_ms + 2  # each is rounded
    assert outcome.expires_at is None


async def test_with_tls_there_is_one_more(
    http: Client, site: Site, certificates: Certificates
) -> None:
    site.tls = certificates.good

    assert set((await ask(http, site.base_url)).phases) == {"connect", "tls", "first_byte", "body"}


async def test_a_connection_that_is_kept_has_no_phase_of_its_own(http: Client, site: Site) -> None:
    await ask(http, site.base_url)

    assert set((await ask(http, site.base_url)).phases) == {"first_byte", "body"}


async def test_who_does_not_ask_gets_no_phases(http: Client, site: Site) -> None:
    assert (await ask(http, site.base_url, phases=False)).phases == {}


async def test_waiting_for_the_answer_is_the_first_bytes(http: Client, site: Site) -> None:
    site.faults.next(faults.delay(SLOW))
    phases = (await ask(http, site.base_url)).phases

    assert phases["first_byte"] >= LONG


async def test_waiting_for_the_rest_is_the_bodys(http: Client, site: Site) -> None:
    site.faults.next(faults.drip(40, SLOW))
    phases = (await ask(http, site.base_url)).phases

    assert phases["body"] >= LONG


async def test_a_call_that_fails_says_how_far_it_came(http: Client, site: Site) -> None:
    site.faults.next(faults.hang_after_head())
    cut = await ask(http, site.base_url, timeout=SLOW)
    site.faults.next(faults.hang())
    silent = await ask(http, site.base_url, timeout=SLOW)
    async with full_backlog() as url:
        unconnected = await ask(http, url, connect_timeout=SLOW)

    assert list(cut.phases) == ["connect", "first_byte", "body"]
    assert list(silent.phases) == ["connect", "first_byte"]
    assert list(unconnected.phases) == ["connect"]
    assert min(sum(each.phases.values()) for each in (cut, silent, unconnected)) >= LONG


async def test_redirects_add_up(http: Client, site: Site) -> None:
    place = site.base_url + "/models"

    def moved(*what: Any) -> Any:  # noqa: ANN401 - a fault's
        return faults.delay(SLOW)(what[0], faults.redirect(place)(*what))

    site.faults.next(moved, times=2)
    outcome = await ask(http, site.base_url)

    assert outcome.status == 200
    assert outcome.phases["first_byte"] >= 2 * LONG


async def test_nothing_sent_has_no_phases(http: Client) -> None:
    assert (await ask(http, "ftp://127.0.0.1")).phases == {}


async def test_the_certificates_end_is_told(
    http: Client, site: Site, certificates: Certificates
) -> None:
    site.tls = certificates.issued("127.0.0.1", until=END)
    site.faults.next(faults.status(500), times=1)
    failed, right = [await ask(http, site.base_url, phases=False) for _ in range(2)]

    assert (failed.class_, failed.expires_at) == ("server", "2044-02-29T12:30:00.000Z")
    assert (right.class_, right.expires_at) == ("ok", "2044-02-29T12:30:00.000Z")


async def test_a_certificate_that_was_refused_has_no_end(
    http: Client, site: Site, certificates: Certificates
) -> None:
    site.tls = certificates.expired
    outcome = await ask(http, site.base_url)

    assert (outcome.class_, outcome.expires_at) == ("tls", None)
    assert set(outcome.phases) == {"connect", "tls"}
