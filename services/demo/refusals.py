"""Faults of what is said by a status: refusals and failures of every kind, and how long to wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime, formatdate, parsedate_to_datetime
from typing import Literal

from services.demo.exchange import Answer, Asked, Fault, in_json

PAGE = b"<!DOCTYPE html>\n<html><head><title>%b</title></head><body><h1>%b</h1></body></html>\n"


def says(answer: Answer) -> Fault:
    """Answer with *answer* whatever was asked."""
    return lambda _asked, _right: answer


def status(code: int, message: str = "simulated", *, type: str = "error", **headers: str) -> Fault:
    """Answer with a status and a JSON error; `retry_after="5"` gives the header Retry-After."""
    error = {"message": message, "type": type, "code": type}
    answer = in_json({"error": error}, code)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return says(answer._replace(headers={**answer.headers, **named}))


def page(code: int = 200, title: str = "Just a moment...") -> Fault:
    """Answer with an HTML page, as proxies and firewalls do."""
    body = PAGE % (title.encode(), title.encode())
    return says(Answer(code, body, {"content-type": "text/html; charset=utf-8"}))


def no_such_key() -> Fault:
    """Answer 400 as Gemini does for a key that it does not know."""
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    error = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}
    return says(in_json({"error": {**error, "details": [detail]}}, 400))


def no_credit() -> Fault:
    """Answer 429 as OpenAI does for an empty account: no throttling, whatever the status says."""
    return status(429, "You exceeded your current quota.", type="insufficient_quota")


def _plain(number: float) -> str:
    return f"{number:f}".rstrip("0").rstrip(".")


RetryAfter = Literal[
    "seconds", "float", "date", "rfc850", "asctime", "ms", "azure_ms",
    "absurd", "negative", "garbage", "none",
]  # fmt: skip
"""`date`, `rfc850` and `asctime` are the three forms of an HTTP date (RFC 9110, section 5.6.7)."""

HEADERS: dict[RetryAfter, Callable[[float, datetime], dict[str, str]]] = {
    "seconds": lambda seconds, _: {"retry-after": _plain(seconds)},
    "float": lambda seconds, _: {"retry-after": f"{seconds:.3f}"},
    "date": lambda _, until: {"retry-after": format_datetime(until, usegmt=True)},
    "rfc850": lambda _, until: {"retry-after": f"{until:%A, %d-%b-%y %H:%M:%S} GMT"},
    "asctime": lambda _, until: {"retry-after": f"{until:%a %b} {until.day:2} {until:%H:%M:%S %Y}"},
    "ms": lambda seconds, _: {"retry-after-ms": _plain(seconds * 1000)},
    "azure_ms": lambda seconds, _: {"x-ms-retry-after-ms": _plain(seconds * 1000)},
    "absurd": lambda _, __: {"retry-after": "31536000000"},
    "negative": lambda seconds, _: {"retry-after": f"-{_plain(seconds)}"},
    "garbage": lambda _, __: {"retry-after": "soon"},
    "none": lambda _, __: {},
}


def rate_limited(form: RetryAfter = "seconds", seconds: float = 1, code: int = 429) -> Fault:
    """Answer 429 (or 503, 529) and ask to wait, in one of the forms that providers use."""
    refuse = status(code, "too many requests", type="rate_limit_exceeded")

    def fault(asked: Asked, right: Answer) -> Answer:
        answer, sent = refuse(asked, right), formatdate(usegmt=True)
        until = parsedate_to_datetime(sent) + timedelta(seconds=seconds)
        headers = {"date": sent, **HEADERS[form](seconds, until)}
        return answer._replace(headers={**answer.headers, **headers})

    return fault


def redirect(to: str, code: int = 302) -> Fault:
    """Send the client elsewhere."""
    return says(Answer(code, b"", {"location": to}))


def redirect_loop() -> Fault:
    """Send the client to where it already is."""
    return lambda asked, _right: Answer(307, b"", {"location": asked.target})


def redirect_to_http() -> Fault:
    """Send the client to the same place without TLS."""
    return lambda asked, _right: Answer(
        301, b"", {"location": f"http://{asked.headers['host']}{asked.target}"}
    )
