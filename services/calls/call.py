"""One bounded exchange with a provider becomes an Outcome, whatever happens.

Time limits here are real time, not the clock's: a demo's months do not make a socket faster.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import NamedTuple

import httpx

from events.base import Instant
from services.calls.answers import Said, said
from services.calls.body import BadBody, Body
from services.calls.classify import GROUPS, Group, of_exception, of_status
from services.calls.headers import fault
from services.calls.origin import Misdirected, address, host_of, onward, peer_of
from services.calls.phases import Phases, certificate_end
from services.calls.waiting import retry_after
from services.calls.wording import of_answer, of_failure, one_line
from services.clock import Clock
from services.keys import Secret
from services.providers import Request

Client = httpx.AsyncClient
"""What carries calls; made by `client`."""

MOST_REDIRECTS = 3
ERROR_BYTES = 65_536
"""How much of an error's body is read: its status has already said what it is."""
KEPT = 8
"""Idle connections that are kept, for the pages of one list: each costs time at every call."""
LATE = 2.0
"""Seconds by which our event loop may be late before a time-out is its own fault."""
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Outcome(NamedTuple):
    """How one call ended.

    *class_* and *group* are those of health.md, section 3. *status* is None where no status line
    came. *message* is one line without secrets, empty for a success. *headers* has lower-case
    names. *body* is inflated; of an error it is the beginning. *retry_after* is what the provider
    asked for, in seconds, unbounded; None where it did not say. *phases* has the milliseconds of
    ``connect``, ``tls``, ``first_byte`` and ``body``, as far as it came, where they were asked for.
    *expires_at* is the end of the server's certificate, where one was accepted.
    """

    class_: str
    group: Group
    status: int | None = None
    message: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    latency_ms: int = 0
    retry_after: float | None = None
    phases: Mapping[str, int] = {}
    expires_at: Instant | None = None


class _Answer:
    """What has arrived so far, also when the rest never comes."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""
        self.expires_at: Instant | None = None


FAULTS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    OSError,
    UnicodeError,
    ExceptionGroup,
    BadBody,
    Misdirected,
)
"""All that an exchange may raise through no fault of this module."""


def client(*, tls: ssl.SSLContext | None = None, fresh: bool = False) -> Client:
    """Return what carries the calls of a process; close it with ``aclose``.

    It keeps no cookies, reads no password file, follows no redirect and retries nothing. Proxies
    are those of the environment, but never for loopback. *fresh*: a connection for each call, as a
    kept one hides faults of DNS and TLS. *tls*: whom to trust, where that is not the usual.
    """
    jar = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(
        verify=True if tls is None else tls,
        cookies=jar,
        headers={"user-agent": "modelog", "accept": "application/json", "accept-encoding": "gzip"},
        limits=httpx.Limits(
            max_connections=None,
            max_keepalive_connections=0 if fresh else KEPT,
            keepalive_expiry=5.0,
        ),
        mounts={f"all://{host}": None for host in LOOPBACK},
        follow_redirects=False,
    )


async def call(  # noqa: PLR0913 - the bounds of one call
    client: Client,
    request: Request,
    *,
    timeout: float,  # noqa: ASYNC109 - the bound of the call, an outcome and no exception
    connect_timeout: float,
    max_bytes: int,
    secrets: Sequence[Secret],
    clock: Clock,
    read_timeout: float | None = None,
    codes: Mapping[str, str] | None = None,
    worked: bool = False,
    phases: bool = False,
) -> Outcome:
    """Make one exchange within *timeout* seconds, and say how it ended.

    *connect_timeout* bounds connecting, *read_timeout* (unset: the whole time) each silence.
    *max_bytes* bounds the body, on the wire and inflated. *codes* are the dialect's meanings of
    error codes, *worked* says that this URL has answered before. A redirect is followed up to three
    times, for GET and within the origin only, so headers never leave it. *phases* asks for those of
    the outcome. Whether the body decodes is for the caller to judge. A provider's fault is never
    raised.
    """
    if (unsendable := fault(request.headers, secrets)) is not None:
        class_, message = unsendable
        return Outcome(class_, GROUPS[class_], message=one_line(message, secrets))
    loop = asyncio.get_running_loop()
    started = loop.time()
    answer, trace = _Answer(), Phases(loop.time)
    limits = httpx.Timeout(read_timeout or timeout, connect=connect_timeout)
    error: Exception | None = None
    try:
        async with asyncio.timeout(timeout):
            await _exchange(
                client, request, limits, max_bytes=max_bytes, answer=answer, trace=trace
            )
    except FAULTS as raised:
        error = raised
    took = loop.time() - started
    if error is None:
        outcome = _judged(request, answer, codes, worked=worked)
    else:
        class_ = "config" if isinstance(error, Misdirected) else of_exception(error)
        if class_.startswith("timeout") and took > timeout + LATE:
            class_ = "local"
        host = host_of(request.url)
        if trace.unreached is not None and trace.unreached != peer_of(request.url):
            class_, host = "local", f"the proxy {trace.unreached[0]}"
        message = of_failure(
            class_, error, host=host, timeout=timeout, connect_timeout=connect_timeout
        )
        outcome = Outcome(class_, GROUPS[class_], message=message)
    asks = answer.status is not None and answer.status >= 400  # noqa: PLR2004 - an error's status
    return outcome._replace(
        status=answer.status,
        message=one_line(outcome.message, secrets),
        headers=answer.headers,
        body=answer.body,
        latency_ms=round(took * 1000),
        retry_after=retry_after(answer.headers, now=clock.utcnow()) if asks else None,
        phases=trace.milliseconds() if phases else {},
        expires_at=answer.expires_at,
    )


async def _exchange(  # noqa: PLR0913 - the bounds of one call
    client: Client,
    request: Request,
    limits: httpx.Timeout,
    *,
    max_bytes: int,
    answer: _Answer,
    trace: Phases,
) -> None:
    url = address(request.url)
    headers = httpx.Headers(dict(request.headers))
    headers["accept-encoding"] = "gzip"
    for _ in range(MOST_REDIRECTS + 1):
        answer.status, answer.headers = None, {}
        sent = client.build_request(
            request.method,
            url,
            headers=headers,
            content=request.body,
            timeout=limits,
            extensions={"trace": trace},
        )
        response = await client.send(sent, stream=True)
        try:
            answer.status = response.status_code
            answer.headers = dict(response.headers.items())
            answer.expires_at = certificate_end(response)
            if not response.has_redirect_location:
                await _read(response, max_bytes, answer)
                return
            url = onward(request.method, url, response.headers["location"])
        finally:
            await response.aclose()
    raise Misdirected(f"more than {MOST_REDIRECTS} redirects")


async def _read(response: httpx.Response, max_bytes: int, answer: _Answer) -> None:
    failed = not response.is_success
    limit = min(max_bytes, ERROR_BYTES) if failed else max_bytes
    body = Body(response.headers.get("content-encoding", ""), limit)
    try:
        async for chunk in response.aiter_raw():
            body.feed(chunk)
        answer.body = body.end()
    except BadBody:
        answer.body = body.so_far()
        if not failed:
            raise


def _judged(
    request: Request, answer: _Answer, codes: Mapping[str, str] | None, *, worked: bool
) -> Outcome:
    status = answer.status or 0
    conditional = any(
        name.lower() in {"if-none-match", "if-modified-since"} for name in request.headers
    )
    failed = status >= 400  # noqa: PLR2004 - an error's status
    found = said(answer.body) if failed else Said((), None, edge=False)
    class_ = of_status(
        status,
        codes=found.codes,
        known_codes=codes,
        edge=found.edge,
        conditional=conditional,
        worked=worked,
    )
    message = "" if class_ == "ok" else of_answer(status, found)
    return Outcome(class_, GROUPS[class_], message=message)
