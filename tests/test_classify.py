"""What one call's observation is called, and what that means."""

from __future__ import annotations

import errno
import json
import socket
import ssl

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.calls.answers import said
from services.calls.body import BadBody
from services.calls.classify import BY_CODE, GROUPS, of_codes, of_exception, of_status

OPENAI_QUOTA = {"error": {"message": "You exceeded…", "code": "insufficient_quota", "param": None}}
GEMINI_KEY = {
    "error": {
        "code": 400,
        "message": "API key not valid.",
        "status": "INVALID_ARGUMENT",
        "details": [{"@type": "…ErrorInfo", "reason": "API_KEY_INVALID"}],
    }
}
CLOUDFLARE = {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}


def caused(error: Exception, *causes: Exception) -> Exception:
    """Chain as httpx, httpcore and anyio do: one cause, or a group of several."""
    if len(causes) == 1:
        error.__cause__ = causes[0]
    elif causes:
        error.__cause__ = OSError("All connection attempts failed")
        error.__cause__.__cause__ = ExceptionGroup("several", list(causes))
    return error


def connecting(*causes: Exception) -> Exception:
    return caused(httpx.ConnectError("failed"), *causes)


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
NO_ROUTE = OSError(errno.ENETUNREACH, "unreachable")
NO_NAME = socket.gaierror(socket.EAI_NONAME, "no such name")
NO_RESOLVER = socket.gaierror(socket.EAI_AGAIN, "try again")
EXPIRED = ssl.SSLCertVerificationError(1, "certificate has expired")


@pytest.mark.parametrize(
    ("error", "class_"),
    [
        (httpx.ConnectTimeout(""), "timeout_connect"),
        (httpx.ReadTimeout(""), "timeout_read"),
        (httpx.WriteTimeout(""), "timeout_read"),
        (TimeoutError(), "timeout_total"),
        (httpx.PoolTimeout(""), "local"),
        (connecting(EXPIRED), "tls"),
        (connecting(ssl.SSLError(1, "wrong version number")), "tls"),
        (connecting(NO_NAME), "dns_nx"),
        (connecting(NO_RESOLVER), "dns"),
        *(
            (connecting(OSError(number, "ours")), "local")
            for number in (
                errno.ENETUNREACH,
                errno.EADDRNOTAVAIL,
                errno.EMFILE,
                errno.ENFILE,
                errno.ENOBUFS,
                errno.ENOMEM,
            )
        ),
        (connecting(REFUSED), "connect"),
        (connecting(), "connect"),
        (connecting(REFUSED, EXPIRED), "tls"),
        (connecting(NO_NAME, REFUSED), "connect"),
        (connecting(NO_ROUTE, REFUSED), "connect"),
        (connecting(NO_ROUTE, NO_NAME), "dns_nx"),
        (connecting(NO_ROUTE, NO_ROUTE), "local"),
        (httpx.ReadError(""), "connect"),
        (httpx.WriteError(""), "connect"),
        (httpx.CloseError(""), "connect"),
        (httpx.RemoteProtocolError(""), "connect"),
        (httpx.DecodingError(""), "invalid_response"),
        (msgspec.DecodeError(""), "invalid_response"),
        (msgspec.ValidationError(""), "invalid_response"),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "no"), "invalid_response"),
        (RecursionError(), "invalid_response"),
        (BadBody(""), "invalid_response"),
        (httpx.TooManyRedirects(""), "config"),
        (httpx.UnsupportedProtocol(""), "config"),
        (httpx.InvalidURL(""), "config"),
        (UnicodeError("label too long"), "config"),
        (caused(httpx.RemoteProtocolError(""), httpx.InvalidURL("")), "config"),
        (httpx.ProxyError(""), "local"),
        (ssl.SSLError(1, "certificate required"), "tls"),
        (ExceptionGroup("", [REFUSED, NO_ROUTE]), "connect"),
        (ExceptionGroup("", [REFUSED, ZeroDivisionError()]), "check_error"),
        (httpx.LocalProtocolError(""), "check_error"),
        (ZeroDivisionError(), "check_error"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value)[:40],
)
def test_an_exception_has_a_class_by_its_type_then_by_its_leaves(
    error: Exception, class_: str
) -> None:
    assert of_exception(error) == class_


def test_a_leaf_is_found_through_contexts_that_httpcore_suppresses() -> None:
    error = httpx.ConnectError("")
    error.__context__ = NO_NAME
    error.__suppress_context__ = True

    assert of_exception(error) == "dns_nx"


def test_a_circle_of_causes_ends() -> None:
    error = httpx.ConnectError("")
    other = ValueError("")
    error.__cause__, other.__cause__ = other, error

    assert of_exception(error) == "connect"


def classed(
    status: int, body: object = None, *, worked: bool = False, conditional: bool = False
) -> str:
    found = said(body if isinstance(body, bytes) else json.dumps(body).encode())
    return of_status(
        status, codes=found.codes, edge=found.edge, worked=worked, conditional=conditional
    )


@pytest.mark.parametrize(
    ("status", "body", "class_"),
    [
        (200, {}, "ok"),
        (299, {}, "ok"),
        (304, b"", "invalid_response"),
        (300, b"", "invalid_response"),
        (401, {}, "credential"),
        (401, b"<html>", "credential"),
        (403, {"error": {"message": "no"}}, "credential"),
        (400, GEMINI_KEY, "credential"),
        (402, {}, "quota"),
        (403, {"error": {"code": "billing_not_active"}}, "quota"),
        (429, OPENAI_QUOTA, "quota"),
        (412, {"code": "account_suspended"}, "quota"),
        (412, {}, "check_invalid"),
        (403, b"<!DOCTYPE html><html>", "forbidden_edge"),
        (403, b"error code: 1010", "forbidden_edge"),
        (403, b"Forbidden", "credential"),
        (407, b"", "forbidden_edge"),
        (451, b"", "forbidden_edge"),
        (410, b"", "endpoint_gone"),
        (404, b"", "config"),
        (405, b"", "config"),
        (501, b"", "config"),
        (505, b"", "config"),
        (429, {}, "rate_limited"),
        (429, b"<html>", "rate_limited"),
        *((status, {}, "check_invalid") for status in (400, 406, 409, 422, 418, 499)),
        (503, b"", "overloaded"),
        (529, b"", "overloaded"),
        *((status, b"", "server") for status in (408, 425, 500, 502, 504, 520, 527, 530, 599)),
        (600, b"", "invalid_response"),
        (999, b"", "invalid_response"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_status_has_a_class_and_its_body_may_refine_it(
    status: int, body: object, class_: str
) -> None:
    assert classed(status, body) == class_


@pytest.mark.parametrize("status", [404, 405])
def test_a_list_that_worked_before_is_gone(status: int) -> None:
    assert classed(status, {}, worked=True) == "endpoint_gone"


def test_not_modified_is_an_answer_to_a_conditional_request_only() -> None:
    assert classed(304, b"", conditional=True) == "ok"


@given(status=st.integers(100, 999), body=st.binary(max_size=50))
def test_every_status_has_a_class_of_the_table(status: int, body: bytes) -> None:
    assert classed(status, body) in GROUPS


def test_a_dialects_code_counts_before_ours_but_changes_no_group() -> None:
    assert of_codes(["x"], {"x": "quota"}) == "quota"
    assert of_codes(["insufficient_quota"], {"insufficient_quota": "credential"}) == "credential"
    assert of_codes(["x"], {"x": "ok"}) is None
    assert of_codes(["x", "invalid_api_key"], {}) == "credential"
    assert {GROUPS[class_] for class_ in BY_CODE} == {"BLOCKED"}


@pytest.mark.parametrize(
    ("body", "codes", "text"),
    [
        (OPENAI_QUOTA, ("insufficient_quota",), "You exceeded…"),
        (GEMINI_KEY, ("400", "INVALID_ARGUMENT", "API_KEY_INVALID"), "API key not valid."),
        ([GEMINI_KEY], ("400", "INVALID_ARGUMENT", "API_KEY_INVALID"), "API key not valid."),
        (CLOUDFLARE, ("10000",), "Authentication error"),
        ({"detail": "Not authenticated"}, (), "Not authenticated"),
        ({"error": "gone", "code": "x"}, ("x",), "gone"),
        ({"message": " "}, (), None),
        ("text", (), None),
        (None, (), None),
    ],
    ids=str,
)
def test_an_error_object_is_read_in_any_shape(
    body: object, codes: tuple[str, ...], text: str | None
) -> None:
    found = said(json.dumps(body).encode())

    assert (found.codes, found.text, found.edge) == (codes, text, False)


@given(st.binary(max_size=200))
def test_reading_an_error_never_raises(body: bytes) -> None:
    said(body)


@pytest.mark.parametrize("body", [b'{"error":' * 50_000, b"[" * 50_000, b'"\xff"'])
def test_a_hostile_error_says_nothing(body: bytes) -> None:
    assert said(body) == ((), None, False)
