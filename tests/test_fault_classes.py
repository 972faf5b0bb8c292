"""Every row of the table of classes (health.md, section 3), over real sockets.

The other side is the simulator; what it does is a script, and what comes of it is the outcome of
`call`, after the dialect has read the body.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from events.decide.providers import Settings
from services.calls.call import Client, Outcome, call, client
from services.calls.classify import GROUPS
from services.calls.decoding import decoded
from services.clock import Clock
from services.demo import faults
from services.demo.exchange import Step
from services.demo.faults import page, rate_limited, status
from services.demo.simulator import Simulator, Site
from services.providers import DIALECTS, Request
from tests.support.faulty import Certificates, resolving
from tests.support.http import free_port, full_backlog

SETTINGS = Settings(name="acme", dialect="openai", base_url="http://acme.example/v1")
MOST = 100_000

GROUP = {
    "ok": "OK",
    "invalid_response": "FAIL",
    "credential": "BLOCKED",
    "quota": "BLOCKED",
    "forbidden_edge": "BLOCKED",
    "endpoint_gone": "BLOCKED",
    "config": "BLOCKED",
    "rate_limited": "THROTTLED",
    "check_invalid": "NEUTRAL",
    "overloaded": "FAIL",
    "server": "FAIL",
    "connect": "FAIL",
    "timeout_connect": "FAIL",
    "timeout_read": "FAIL",
    "timeout_total": "FAIL",
    "dns_nx": "FAIL",
    "dns": "FAIL",
    "tls": "FAIL",
    "local": "UNKNOWN",
}
NOT_OF_A_CALL = {"slow", "empty", "shrunk", "check_error"}
"""Whoever knows the limits, the last list and our own bugs decides on these."""


class Row(NamedTuple):
    """What the provider does, and what it is called."""

    step: Step
    class_: str
    retry_after: float | None = None
    status: int | None = None
    worked: bool = False
    bounds: dict[str, Any] = {}


BODIES = {
    "a list": Row(faults.ok, "ok", status=200),
    "a list, late": Row(faults.delay(0.05), "ok", status=200),
    "a list in drops": Row(faults.drip(40, 0.001), "ok", status=200),
    "no model at all": Row(faults.empty_list(), "ok", status=200),
    "half a list": Row(faults.half_list(), "ok", status=200),
    "a page with 200": Row(page(), "invalid_response", status=200),
    "broken JSON": Row(faults.cut_list(), "invalid_response", status=200),
    "a wrong schema": Row(faults.wrong_schema(), "invalid_response", status=200),
    "no body": Row(faults.empty_body(), "invalid_response", status=200),
    "no content": Row(faults.empty_body(204), "invalid_response", status=204),
    "too large a body": Row(faults.huge(200_000), "invalid_response", status=200),
    "a bomb": Row(faults.bomb(1 << 22), "invalid_response", status=200),
    "bad gzip": Row(faults.bad_gzip(), "invalid_response", status=200),
    "an odd encoding": Row(faults.odd_encoding(), "invalid_response", status=200),
    "an error object with 200": Row(faults.refused_inside(), "invalid_response", status=200),
    "fewer bytes promised than there are": Row(faults.wrong_length(-5), "invalid_response"),
}
REFUSALS = {
    "401": Row(faults.FAULTS["401"](), "credential", status=401),
    "401 with a page": Row(page(401), "credential", status=401),
    "403 with JSON": Row(faults.FAULTS["403"](), "credential", status=403),
    "400 that names the key": Row(faults.no_such_key(), "credential", status=400),
    "402": Row(faults.FAULTS["402"](), "quota", status=402),
    "412 of a suspended account": Row(faults.FAULTS["412"](), "quota", status=412),
    "412 of anything else": Row(status(412), "check_invalid", status=412),
    "403 with a billing code": Row(status(403, type="billing_not_active"), "quota", status=403),
    "429 of an empty account": Row(faults.no_credit(), "quota", status=429),
    "403 with a page": Row(page(403), "forbidden_edge", status=403),
    "407": Row(faults.FAULTS["407"](), "forbidden_edge", status=407),
    "451": Row(faults.FAULTS["451"](), "forbidden_edge", status=451),
    "410": Row(faults.FAULTS["410"](), "endpoint_gone", status=410),
    "404 that worked before": Row(status(404), "endpoint_gone", status=404, worked=True),
    "405 that worked before": Row(status(405), "endpoint_gone", status=405, worked=True),
    "404": Row(status(404), "config", status=404),
    "405": Row(status(405), "config", status=405),
    "501": Row(status(501), "config", status=501),
    "505": Row(status(505), "config", status=505),
    "a circle of redirects": Row(faults.redirect_loop(), "config", status=307),
    "a redirect to another host": Row(
        faults.redirect("http://localhost:1/v1/models"), "config", status=302
    ),
    "a redirect to another port": Row(
        faults.redirect("http://127.0.0.1:1/v1/models", 308), "config", status=308
    ),
    "a redirect to nowhere": Row(faults.redirect("http://[::1"), "config"),
    "429": Row(rate_limited("none"), "rate_limited", status=429),
    "429 with a page": Row(page(429), "rate_limited", status=429),
    "400": Row(faults.FAULTS["400"](), "check_invalid", status=400),
    "400 with a page": Row(page(400), "check_invalid", status=400),
    "409": Row(status(409), "check_invalid", status=409),
    "422": Row(faults.FAULTS["422"](), "check_invalid", status=422),
    "499": Row(status(499), "check_invalid", status=499),
}
FAILURES = {
    "503": Row(faults.FAULTS["503"](), "overloaded", status=503),
    "503 that says when": Row(rate_limited("seconds", 7, 503), "overloaded", 7.0, status=503),
    "503 with a page": Row(page(503), "overloaded", status=503),
    "529": Row(faults.FAULTS["529"](), "overloaded", status=529),
    **{
        str(code): Row(status(code), "server", status=code)
        for code in (408, 425, 500, 502, 504, 507, 520, 521, 522, 523, 524, 527, 530, 599)
    },
    "502 with a page": Row(faults.FAULTS["502"](), "server", status=502),
    "500 that says when": Row(rate_limited("ms", 1.5, 500), "server", 1.5, status=500),
    "a status of no meaning": Row(status(700), "invalid_response", status=700),
    "a redirect without a place": Row(status(302), "invalid_response", status=302),
}
HASTE: dict[str, Any] = {"timeout": 0.25, "read_timeout": 0.1}
TRANSPORT = {
    "a connection that is reset at once": Row(faults.refuse(), "connect"),
    "a reset": Row(faults.reset(), "connect"),
    "a reset in the body": Row(faults.delivered(cut=9, reset=True), "connect"),
    "closed without an answer": Row(faults.hang_up(), "connect"),
    "closed early": Row(faults.truncate(), "connect", status=200),
    "closed before the body": Row(faults.truncate(0), "connect", status=200),
    "a wrong length": Row(faults.wrong_length(), "connect", status=200),
    "not HTTP": Row(faults.garbage(), "connect"),
    "bytes": Row(faults.garbage(bytes(range(256))), "connect"),
    "half a head": Row(faults.garbage(b"HTTP/1.1 200 OK\r\ncontent-"), "connect"),
    "silence": Row(faults.hang(), "timeout_read", bounds=HASTE),
    "silence after the head": Row(
        faults.hang_after_head(), "timeout_read", None, 200, bounds=HASTE
    ),
    "silence in the body": Row(faults.hang_after_head(9), "timeout_read", None, 200, bounds=HASTE),
    "silence to the end": Row(faults.hang(), "timeout_total", bounds={"timeout": 0.1}),
    "too late": Row(faults.delay(5), "timeout_total", bounds={"timeout": 0.1}),
    "a byte at a time": Row(faults.drip(1, 0.05), "timeout_total", None, 200, bounds=HASTE),
}
DAY = 86_400.0
WAITS = {
    "429 in seconds": Row(rate_limited("seconds", 7), "rate_limited", 7.0),
    "429 now": Row(rate_limited("seconds", 0), "rate_limited", 0.0),
    "429 in a fraction": Row(rate_limited("float", 1.25), "rate_limited", 1.25),
    "429 by date": Row(rate_limited("date", DAY), "rate_limited", DAY),
    "429 by date of RFC 850": Row(rate_limited("rfc850", 90), "rate_limited", 90.0),
    "429 by date of asctime": Row(rate_limited("asctime", 90), "rate_limited", 90.0),
    "429 by date of the past": Row(rate_limited("date", -90), "rate_limited", 0.0),
    "429 in milliseconds": Row(rate_limited("ms", 1.5), "rate_limited", 1.5),
    "429 in Azure's milliseconds": Row(rate_limited("azure_ms", 1.5), "rate_limited", 1.5),
    "429 absurdly long": Row(rate_limited("absurd"), "rate_limited", 31_536_000_000.0),
    "429 negative": Row(rate_limited("negative", 5), "rate_limited", 0.0),
    "429 that says nothing to be read": Row(rate_limited("garbage"), "rate_limited"),
    "529 by date": Row(rate_limited("date", 30, 529), "overloaded", 30.0),
    "401 that says when": Row(status(401, retry_after="9"), "credential", 9.0),
    "200 that says when": Row(
        lambda _, right: right._replace(headers={**right.headers, "retry-after": "9"}), "ok"
    ),
}
ROWS = {**BODIES, **REFUSALS, **FAILURES, **TRANSPORT, **WAITS}


@pytest.fixture
async def http() -> AsyncIterator[Client]:
    async with client(fresh=True) as opened:
        yield opened


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def site(simulator: Simulator) -> Site:
    site = simulator.provider("acme")
    site.models = [f"model-{number}" for number in range(9)]
    return site


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
async def https(certificates: Certificates) -> AsyncIterator[Client]:
    async with client(tls=certificates.trusting, fresh=True) as opened:
        yield opened


async def ask(
    http: Client,
    base_url: str,
    *,
    headers: dict[str, str] | None = None,
    **changes: Any,  # noqa: ANN401 - bounds of `call`
) -> Outcome:
    """Ask for the list as a check does."""
    bounds: dict[str, Any] = {
        "timeout": 5.0,
        "connect_timeout": 2.0,
        "max_bytes": MOST,
        "secrets": [],
        "clock": Clock(),
        **changes,
    }
    url = f"{base_url}/models"
    outcome = await call(http, Request(url, headers=headers or {}), **bounds)
    if outcome.class_ != "ok" or outcome.status == 304:
        return outcome
    page = decoded(DIALECTS["openai"], outcome, url, SETTINGS)
    return page if isinstance(page, Outcome) else outcome


def said(outcome: Outcome) -> tuple[str, str, float | None]:
    return outcome.class_, outcome.group, outcome.retry_after


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_what_a_provider_does_has_its_class(
    http: Client, simulator: Simulator, site: Site, row: Row
) -> None:
    simulator.script("acme", row.step)
    outcome = await ask(http, site.base_url, worked=row.worked, **row.bounds)

    assert said(outcome) == (row.class_, GROUP[row.class_], row.retry_after)
    assert row.status in {None, outcome.status}
    assert (outcome.message == "") == (row.class_ == "ok")
    assert not row.bounds or 100 <= outcome.latency_ms < 2000


async def test_what_was_not_modified_is_a_list(http: Client, site: Site) -> None:
    site.etag = True
    tag = (await ask(http, site.base_url)).headers["etag"]
    outcome = await ask(http, site.base_url, headers={"if-none-match": tag})

    assert (outcome.status, *said(outcome)) == (304, "ok", "OK", None)


async def test_304_to_whoever_did_not_ask_for_changes_is_no_list(
    http: Client, simulator: Simulator, site: Site
) -> None:
    simulator.script("acme", status(304))

    assert said(await ask(http, site.base_url)) == ("invalid_response", "FAIL", None)


async def test_a_refused_connection(http: Client, site: Site) -> None:
    site.refuse()
    refused = await ask(http, site.base_url)
    site.accept()

    assert (refused.class_, refused.group, refused.status) == ("connect", "FAIL", None)
    assert "refused" in refused.message.lower()
    assert (await ask(http, site.base_url)).class_ == "ok"


async def test_a_connection_that_is_not_taken(http: Client) -> None:
    async with full_backlog() as url:
        outcome = await ask(http, url, connect_timeout=0.2)

    assert said(outcome) == ("timeout_connect", "FAIL", None)
    assert outcome.message == "no connection to 127.0.0.1 within 0.2 s"


@pytest.mark.parametrize(
    ("number", "class_"),
    [
        (socket.EAI_NONAME, "dns_nx"),
        (socket.EAI_NODATA, "dns_nx"),
        (socket.EAI_AGAIN, "dns"),
        (socket.EAI_FAIL, "dns"),
    ],
    ids=["no such name", "no address", "try again", "the resolver failed"],
)
async def test_a_name_that_is_not_found(http: Client, site: Site, number: int, class_: str) -> None:
    site.host = "acme.example"
    with resolving({"acme.example": number}):
        outcome = await ask(http, site.base_url)

    assert said(outcome) == (class_, "FAIL", None)
    assert "acme.example" in outcome.message
    with resolving({"acme.example": "127.0.0.1"}):
        assert (await ask(http, site.base_url)).class_ == "ok"


@pytest.mark.parametrize(
    ("which", "reason"),
    [("expired", "expired"), ("wrong_host", "127.0.0.1"), ("untrusted", "issuer")],
    ids=["expired", "of another host", "untrusted"],
)
async def test_a_certificate_that_is_not_to_be_trusted(
    https: Client, site: Site, certificates: Certificates, which: str, reason: str
) -> None:
    site.tls = certificates.good
    site.faults.next(faults.certificate(getattr(certificates, which)))
    outcome = await ask(https, site.base_url)

    assert said(outcome) == ("tls", "FAIL", None)
    assert reason in outcome.message
    assert site.requests == []
    assert (await ask(https, site.base_url)).class_ == "ok"


async def test_a_redirect_away_from_tls_is_not_followed(
    https: Client, simulator: Simulator, site: Site, certificates: Certificates
) -> None:
    site.tls = certificates.good
    simulator.script("acme", [faults.redirect_to_http()])
    outcome = await ask(https, site.base_url)

    assert (outcome.status, *said(outcome)) == (301, "config", "BLOCKED", None)
    assert len(site.requests) == 1


async def test_no_route_is_ours(http: Client) -> None:
    outcome = await ask(http, "http://127.255.255.255:1")  # a broadcast: no TCP leads there

    assert said(outcome) == ("local", "UNKNOWN", None)


@contextmanager
def no_more_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as lowest:  # of the numbers that were free
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_socket_is_ours(http: Client, site: Site) -> None:
    url = site.base_url
    with no_more_files():
        outcome = await ask(http, url)

    assert said(outcome) == ("local", "UNKNOWN", None)
    assert outcome.message == "127.0.0.1: Too many open files"


async def test_a_proxy_that_is_not_there_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    async with client() as proxied:
        found = [await ask(proxied, f"{scheme}://acme.example") for scheme in ("http", "https")]

    assert [said(outcome) for outcome in found] == [("local", "UNKNOWN", None)] * 2
    assert found[0].message.startswith("the proxy 127.0.0.1: ")


async def test_a_proxy_that_lets_nobody_through_is_ours(
    monkeypatch: pytest.MonkeyPatch, simulator: Simulator, site: Site
) -> None:
    simulator.script("acme", faults.FAULTS["407"]())
    monkeypatch.setenv("https_proxy", site.origin)
    async with client() as proxied:
        outcome = await ask(proxied, "https://acme.example")

    assert said(outcome) == ("local", "UNKNOWN", None)


def test_no_class_of_a_call_is_left_out() -> None:
    assert GROUP.keys() == GROUPS.keys() - NOT_OF_A_CALL
    rows = {row.class_ for row in ROWS.values()}
    assert GROUP.keys() - rows == {"timeout_connect", "dns_nx", "dns", "tls", "local"}
