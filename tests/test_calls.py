"""One call over real sockets: whatever the other side does, it ends as an outcome and in time.

What each fault is called stands in `test_fault_classes.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Any

import httpx
import pytest
import trustme

from services.calls.call import Client, Outcome, call, client
from services.clock import Clock
from services.keys import Secret
from services.providers import Request
from tests.support.http import (
    Act,
    Asked,
    free_port,
    gzipped,
    hang,
    raw,
    redirect,
    reply,
    serving,
)

KEY = "sk-a-planted-secret-0123456789"
MOST = 1000


@pytest.fixture
async def http() -> AsyncIterator[Client]:
    async with client() as opened:
        yield opened


async def ask(
    http: Client, url: str, *, request: Request | None = None, **changes: object
) -> Outcome:
    bounds: dict[str, Any] = {
        "timeout": 5.0,
        "connect_timeout": 2.0,
        "max_bytes": MOST,
        "secrets": [Secret(KEY)],
        "clock": Clock(),
    }
    bounds.update(changes)
    async with asyncio.timeout(20):
        return await call(http, request or Request(url), **bounds)


async def outcome_of(http: Client, act: Act, **changes: object) -> Outcome:
    async with serving(act) as server:
        return await ask(http, server.url, request=None, **changes)


async def test_an_answer_is_its_status_headers_and_body(http: Client) -> None:
    outcome = await outcome_of(http, reply(b'{"data":[]}', headers={"ETag": '"x"'}))

    assert (outcome.class_, outcome.group, outcome.status) == ("ok", "OK", 200)
    assert (outcome.body, outcome.message) == (b'{"data":[]}', "")
    assert outcome.headers["etag"] == '"x"'
    assert outcome.latency_ms >= 0
    assert outcome.retry_after is None


async def test_what_is_sent_is_what_was_asked_for_and_gzip_alone(http: Client) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Accept-Encoding": "br", "X-Own": "1"}
    async with serving(reply(b"{}")) as server:
        request = Request(f"{server.url}/v1/show?a=b", "POST", headers, b'{"model":"x"}')
        await ask(http, server.url, request=request)
        (asked,) = server.asked

    assert (asked.method, asked.target, asked.body) == ("POST", "/v1/show?a=b", b'{"model":"x"}')
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["accept-encoding"] == "gzip"
    assert asked.headers["x-own"] == "1"
    assert asked.headers["user-agent"].startswith("modelog")


async def test_no_cookie_is_kept(http: Client) -> None:
    async with serving(reply(b"{}", headers={"set-cookie": "a=b; Path=/"})) as server:
        await ask(http, server.url)
        await ask(http, server.url)

        assert [asked.headers.get("cookie") for asked in server.asked] == [None, None]


FAULTS: dict[str, tuple[Act, str, int | None]] = {
    "cut in a chunk": (
        raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{", close=True),
        "connect",
        200,
    ),
    "no chunk": (
        raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}", close=True),
        "connect",
        200,
    ),
    "longer than it says": (
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", close=True),
        "connect",
        None,
    ),
    "endless header": (raw(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000), "connect", None),
}


@pytest.mark.parametrize(("act", "class_", "status"), FAULTS.values(), ids=FAULTS)
async def test_a_broken_exchange_is_a_failed_connection(
    http: Client, act: Act, class_: str, status: int | None
) -> None:
    outcome = await outcome_of(http, act)

    assert (outcome.class_, outcome.group, outcome.status) == (class_, "FAIL", status)
    assert outcome.message


async def test_nobody_listens_on_any_address(http: Client) -> None:
    outcome = await ask(http, f"http://localhost:{free_port()}")

    assert outcome.class_ in {"connect", "local"}  # local: where ::1 cannot even be tried


async def test_a_request_body_that_nobody_reads(http: Client) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = "http://{}:{}".format(*listener.getsockname())
        request = Request(url, "POST", {}, b"x" * 50_000_000)
        outcome = await ask(http, url, request=request, read_timeout=0.2)

    assert outcome.class_ == "timeout_read"


async def test_our_own_lateness_is_not_the_providers_fault(http: Client) -> None:
    async with serving(hang) as server:
        asking = asyncio.create_task(ask(http, server.url, timeout=1.0))
        async with asyncio.timeout(5):
            await server.arrived.wait()
        held = asyncio.get_running_loop().time() + 3.5
        while asyncio.get_running_loop().time() < held:
            pass  # a callback that blocks the loop
        outcome = await asking

    assert (outcome.class_, outcome.group) == ("local", "UNKNOWN")


async def test_a_cancelled_call_is_cancelled(http: Client) -> None:
    async with serving(hang) as server:
        asking = asyncio.create_task(ask(http, server.url))
        async with asyncio.timeout(5):
            await server.arrived.wait()
        asking.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_name_that_does_not_exist(http: Client) -> None:
    outcome = await ask(http, "http://no-such-host.invalid")

    assert outcome.class_ in {"dns_nx", "dns"}  # a resolver may be out of reach
    assert "no-such-host.invalid" in outcome.message


@pytest.mark.parametrize(
    ("url", "class_"),
    [
        ("ftp://127.0.0.1/", "config"),
        ("127.0.0.1/v1", "config"),
        ("http://", "config"),
        ("http://[::1", "config"),
        ("http://127.0.0.1:99999/", "config"),
    ],
)
async def test_an_address_that_is_none_is_ours_to_mend(http: Client, url: str, class_: str) -> None:
    assert (await ask(http, url)).class_ == class_


@pytest.mark.parametrize(
    ("headers", "class_"),
    [
        ({"authorization": f"Bearer {KEY}\n"}, "credential"),
        ({"x-a": "\u00fc"}, "config"),
        ({"x a": "b"}, "config"),
    ],
)
async def test_a_header_that_cannot_be_sent_is_not_sent(
    http: Client, headers: dict[str, str], class_: str
) -> None:
    async with serving(reply(b"{}")) as server:
        outcome = await ask(http, server.url, request=Request(server.url, headers=headers))

        assert (outcome.class_, outcome.group, server.asked) == (class_, "BLOCKED", [])
        assert KEY not in outcome.message


@pytest.mark.parametrize("line", ["101 Switching Protocols", "099 Odd", "700 Odd", "200", "204 No"])
async def test_an_odd_status_line_is_an_outcome_too(http: Client, line: str) -> None:
    outcome = await outcome_of(http, raw(f"HTTP/1.1 {line}\r\n\r\n".encode(), close=True))

    assert outcome.class_ in {"ok", "connect", "invalid_response"}
    assert (outcome.class_ == "ok") == line.startswith("20")


async def test_codes_of_the_dialect_and_of_a_list_that_worked(http: Client) -> None:
    suspended = reply(b'{"error":{"code":"SUSPENDED"}}', 412)

    assert (await outcome_of(http, suspended, codes={"SUSPENDED": "quota"})).class_ == "quota"
    assert (await outcome_of(http, reply(b"", 404), worked=True)).class_ == "endpoint_gone"


async def test_a_page_of_the_edge_is_not_the_providers_word(http: Client) -> None:
    outcome = await outcome_of(http, reply(b"<html><body>Access denied", 403))

    assert outcome.class_ == "forbidden_edge"
    assert outcome.message == "HTTP 403 Forbidden: a page, not an answer of the API"


async def test_the_message_is_one_safe_line_without_secrets(http: Client) -> None:
    said = f'{{"error":{{"message":"bad key {KEY}\\n\\u001b[31mred\\u202e {"y" * 500}"}}}}'
    outcome = await outcome_of(http, reply(said, 401))

    assert outcome.message.startswith("HTTP 401 Unauthorized: bad key")
    assert KEY not in outcome.message
    assert outcome.message.isprintable()
    assert len(outcome.message) == 200


async def test_a_date_without_a_date_is_taken_against_the_clock(http: Client) -> None:
    clock = Clock()
    until = clock.utcnow() + timedelta(seconds=100)
    header = until.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    outcome = await outcome_of(http, reply(b"", 503, {"Retry-After": header}), clock=clock)

    assert outcome.retry_after is not None
    assert 90 < outcome.retry_after <= 100


async def test_an_error_may_be_as_long_or_as_broken_as_it_likes(http: Client) -> None:
    long = await outcome_of(http, reply(b"x" * 300_000, 500))
    broken = await outcome_of(http, reply(b"no gzip", 429, {"content-encoding": "gzip"}))

    assert (long.class_, len(long.body) <= MOST) == ("server", True)
    assert broken.class_ == "rate_limited"


REDIRECTED = [301, 302, 303, 307, 308]


@pytest.mark.parametrize("status", REDIRECTED)
async def test_a_redirect_within_the_origin_is_followed_with_the_key(
    http: Client, status: int
) -> None:
    def script(asked: Asked) -> Act:
        return redirect("/there", status) if asked.target == "/here" else reply(b"{}")

    async with serving(script) as server:
        url = f"{server.url}/here"
        outcome = await ask(http, url, request=Request(url, headers={"x-api-key": KEY}))

        assert (outcome.class_, outcome.status, outcome.body) == ("ok", 200, b"{}")
        assert [asked.headers["x-api-key"] for asked in server.asked] == [KEY, KEY]


async def test_three_redirects_are_followed_and_no_fourth(http: Client) -> None:
    def script(asked: Asked) -> Act:
        left = int(asked.target[1:])
        return redirect(f"/{left - 1}") if left else reply(b"{}")

    async with serving(script) as server:
        three = await ask(http, f"{server.url}/3")
        four = await ask(http, f"{server.url}/4")

    assert (three.class_, four.class_, four.group) == ("ok", "config", "BLOCKED")


async def test_no_credential_leaves_its_origin(http: Client) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    async with serving(reply(b"{}")) as elsewhere:
        places = [
            f"{elsewhere.url}/x",
            f"//127.0.0.1:{elsewhere.port}/x",
            f"http://localhost:{elsewhere.port}/x",
            f"https://127.0.0.1:{elsewhere.port}/x",
        ]
        for place in places:
            async with serving(redirect(place)) as server:
                request = Request(server.url, headers=headers)
                outcome = await ask(http, server.url, request=request)

            assert (outcome.class_, outcome.status) == ("config", 302)
            assert "another origin" in outcome.message
        async with serving(
            lambda _: redirect(f"http://user:pw@127.0.0.1:{server.port}/")
        ) as server:
            outcome = await ask(http, server.url)

        assert outcome.class_ == "config"
        assert elsewhere.asked == []


@pytest.mark.parametrize("place", ["http://[::1", "ftp://127.0.0.1/", "http://", "\x00"])
async def test_a_redirect_to_nowhere_is_not_followed(http: Client, place: str) -> None:
    outcome = await outcome_of(http, redirect(place))

    assert outcome.class_ in {"config", "connect"}  # h11 takes no NUL in a header


async def test_a_redirect_without_a_place_is_no_answer(http: Client) -> None:
    assert (await outcome_of(http, reply(b"", 302))).class_ == "invalid_response"


async def test_what_was_posted_is_not_posted_elsewhere(http: Client) -> None:
    async with serving(redirect("/there", 307)) as server:
        outcome = await ask(http, server.url, request=Request(server.url, "POST", {}, b"{}"))

        assert (outcome.class_, len(server.asked)) == ("config", 1)


WHOLE = b"x" * MOST


async def test_a_body_may_be_as_large_as_the_limit(http: Client) -> None:
    assert (await outcome_of(http, reply(WHOLE))).body == WHOLE
    assert (await outcome_of(http, gzipped(WHOLE))).body == WHOLE
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n%s\r\n0\r\n\r\n" % WHOLE
    assert (await outcome_of(http, raw(chunked))).body == WHOLE
    closed = b"HTTP/1.0 200 OK\r\n\r\n" + WHOLE
    assert (await outcome_of(http, raw(closed, close=True))).body == WHOLE


def members(count: int) -> bytes:
    return gzip.compress(b"") * count


BAD_BODIES: dict[str, Act] = {
    "a byte too many": reply(WHOLE + b"x"),
    "endless": reply(b"x" * 500_000),
    "a byte too many when inflated": gzipped(WHOLE + b"x"),
    "a bomb": gzipped(b"\0" * 50_000_000),
    "a bomb in small members": reply(
        gzip.compress(b"\0" * 900) * 20, headers={"content-encoding": "gzip"}
    ),
    "gzip cut short": gzipped(WHOLE, cut=-4),
    "gzip without its trailer": gzipped(WHOLE, cut=-8),
    "noise after gzip": gzipped(b"{}", more=b"noise"),
    "zeros after gzip": gzipped(b"{}", more=b"\0" * 8),
    "no gzip at all": reply(b"{}", headers={"content-encoding": "gzip"}),
    "damaged gzip": reply(
        gzip.compress(WHOLE)[:12] + b"\xff" * 9, headers={"content-encoding": "gzip"}
    ),
    "deflate": reply(zlib.compress(b"{}"), headers={"content-encoding": "deflate"}),
    "brotli": reply(b"\x0b\x01\x80{}\x03", headers={"content-encoding": "br"}),
    "zstd": reply(b"(\xb5/\xfd\x04\x00", headers={"content-encoding": "zstd"}),
    "two at once": reply(gzip.compress(b"{}"), headers={"content-encoding": "gzip, gzip"}),
}


@pytest.mark.parametrize("act", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_too_large_or_badly_encoded_is_no_answer(http: Client, act: Act) -> None:
    outcome = await outcome_of(http, act)

    assert (outcome.class_, outcome.group, outcome.status) == ("invalid_response", "FAIL", 200)
    assert len(outcome.body) <= MOST + 1


async def test_too_many_gzip_members_are_refused(http: Client) -> None:
    act = reply(members(2000), headers={"content-encoding": "gzip"})

    assert (await outcome_of(http, act, max_bytes=1_000_000)).class_ == "invalid_response"


async def test_gzip_may_have_members_and_identity_is_no_encoding(http: Client) -> None:
    two = reply(gzip.compress(b"{") + gzip.compress(b"}"), headers={"content-encoding": "GZIP"})
    plain = reply(b"{}", headers={"content-encoding": "identity"})

    assert (await outcome_of(http, two)).body == b"{}"
    assert (await outcome_of(http, plain)).body == b"{}"


async def test_whether_a_body_decodes_is_for_the_caller_to_judge(http: Client) -> None:
    assert (await outcome_of(http, reply(b"<html>"))).class_ == "ok"
    assert (await outcome_of(http, reply(b"", 204))).class_ == "ok"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
async def https(authority: trustme.CA) -> AsyncIterator[Client]:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with client(tls=trusting, fresh=True) as opened:
        yield opened


async def test_a_trusted_certificate_is_trusted(authority: trustme.CA, https: Client) -> None:
    async with serving(reply(b"{}"), tls=server_tls(authority, "127.0.0.1")) as server:
        assert (await ask(https, server.url)).class_ == "ok"


async def test_a_server_without_tls(https: Client) -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        outcome = await ask(https, f"https://127.0.0.1:{port}")

    assert (outcome.class_, outcome.status) == ("tls", None)


async def test_a_handshake_that_never_ends(https: Client) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = "https://{}:{}".format(*listener.getsockname())

        assert (await ask(https, url, connect_timeout=0.2)).class_ == "timeout_connect"


async def test_a_server_that_wants_our_certificate(authority: trustme.CA, https: Client) -> None:
    context = server_tls(authority, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    async with serving(reply(b"{}"), tls=context) as server:
        outcome = await ask(https, server.url)

    assert outcome.class_ in {"tls", "connect"}  # the alert may come with a reset


async def test_the_pool_and_the_proxy_are_local_faults() -> None:
    def full(_: httpx.Request) -> httpx.Response:
        raise httpx.PoolTimeout("full")

    def proxy(_: httpx.Request) -> httpx.Response:
        raise httpx.ProxyError("407")

    for handler in (full, proxy):
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as faulty:
            outcome = await ask(faulty, "http://127.0.0.1/")

        assert (outcome.class_, outcome.group) == ("local", "UNKNOWN")


async def test_loopback_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with client() as proxied, serving(reply(b"{}")) as server:
        assert (await ask(proxied, server.url)).class_ == "ok"
