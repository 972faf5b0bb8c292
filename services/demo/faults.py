"""What can go wrong with an answer, by script: each fault turns the right answer into a wrong one.

A fault is a function of the request and the right answer, so that tests can write their own.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from datetime import timedelta
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, Literal

from services.demo.exchange import Answer, Asked, Delivery, in_json

Fault = Callable[[Asked, Answer], Answer]

PAGE = b"<!DOCTYPE html>\n<html><head><title>%b</title></head><body><h1>%b</h1></body></html>\n"


# How it is sent


def delivered(**how: Any) -> Fault:  # noqa: ANN401 - the fields of Delivery
    """Send the right answer in a wrong way."""

    def fault(_: Asked, answer: Answer) -> Answer:
        return answer._replace(delivery=Delivery(**how))

    return fault


def hang() -> Fault:
    """Take the request and never answer."""
    return delivered(silent=True, hang=True)


def hang_after_head(sent: int = 0) -> Fault:
    """Send the head and *sent* bytes of the body, then nothing more."""
    return delivered(cut=sent, hang=True)


def reset() -> Fault:
    """Answer with RST."""
    return delivered(silent=True, reset=True)


def hang_up() -> Fault:
    """Close the connection without a byte."""
    return delivered(silent=True)


def delay(seconds: float) -> Fault:
    """Answer rightly, *seconds* later."""
    return delivered(delay=seconds)


def drip(size: int = 1, pause: float = 0.05) -> Fault:
    """Send the right body *size* bytes at a time, with a pause after each."""
    return delivered(drip=(size, pause))


def truncate(share: float = 0.5) -> Fault:
    """Close the connection after that share of the body."""

    def fault(_: Asked, answer: Answer) -> Answer:
        cut = int(len(answer.body) * share)
        return answer._replace(packed=False, delivery=Delivery(cut=cut))

    return fault


def wrong_length(by: int = 100) -> Fault:
    """Claim *by* bytes more (or fewer, where negative) than the body has."""

    def fault(_: Asked, answer: Answer) -> Answer:
        claimed = max(0, len(answer.body) + by)
        return answer._replace(packed=False, delivery=Delivery(length=claimed))

    return fault


# What it says


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


RetryAfter = Literal["seconds", "date", "ms", "azure_ms", "none", "garbage"]


def rate_limited(form: RetryAfter = "seconds", seconds: float = 1, code: int = 429) -> Fault:
    """Answer 429 (or 503, 529) and ask to wait, in one of the forms that providers use."""
    until = parsedate_to_datetime(formatdate(usegmt=True)) + timedelta(seconds=seconds)
    headers = {
        "seconds": {"retry_after": f"{seconds:g}"},
        "date": {"retry_after": formatdate(until.timestamp(), usegmt=True)},
        "ms": {"retry_after_ms": f"{seconds * 1000:g}"},
        "azure_ms": {"x_ms_retry_after_ms": f"{seconds * 1000:g}"},
        "none": {},
        "garbage": {"retry_after": "soon"},
    }[form]
    return status(code, "too many requests", type="rate_limit_exceeded", **headers)


def empty_body(code: int = 200) -> Fault:
    """Answer with no byte of body."""
    return says(Answer(code, b"", {"content-type": "application/json"}))


def refused_inside() -> Fault:
    """Answer 200 with an error object instead of a list."""
    return says(in_json({"error": {"message": "internal error", "code": 500}}))


def cut_list(share: float = 0.5) -> Fault:
    """Answer with proper HTTP around a list that breaks off: no JSON any more."""

    def fault(_: Asked, answer: Answer) -> Answer:
        return answer._replace(body=answer.body[: int(len(answer.body) * share)])

    return fault


def empty_list() -> Fault:
    """Answer 200 with the right envelope around no model at all."""

    def fault(_: Asked, answer: Answer) -> Answer:
        return _rewritten(answer, lambda document: _shortened(document, 0))

    return fault


def shrunken_list(keep: int) -> Fault:
    """Answer 200 with the first *keep* models of the list alone."""

    def fault(_: Asked, answer: Answer) -> Answer:
        return _rewritten(answer, lambda document: _shortened(document, keep))

    return fault


def repeated_cursor() -> Fault:
    """Say on every page that there is another one, and name the same one."""

    def fault(asked: Asked, answer: Answer) -> Answer:
        again = asked.one("pageToken") or "again"

        def onward(document: Any) -> Any:  # noqa: ANN401 - any JSON document
            if "has_more" in document:
                last = asked.one("after_id") or document.get("last_id")
                return {**document, "has_more": True, "last_id": last}
            if "links" in document:
                return {**document, "links": {"next": asked.target}}
            return {**document, "nextPageToken": again}

        return _rewritten(answer, onward)

    return fault


def redirect(to: str, code: int = 302) -> Fault:
    """Send the client elsewhere."""
    return says(Answer(code, b"", {"location": to}))


def redirect_loop() -> Fault:
    """Send the client to where it already is."""
    return lambda asked, _right: Answer(307, b"", {"location": asked.target})


def bomb(size: int = 1 << 28) -> Fault:
    """Answer with gzip that inflates to *size* bytes of blanks."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * (1 << 20)
    packed = b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()
    return says(Answer(200, packed, {"content-encoding": "gzip"}))


def huge(size: int = 1 << 25) -> Fault:
    """Answer with *size* bytes of blanks after the list."""
    return lambda _asked, right: right._replace(body=right.body + b" " * size)


def odd_encoding(name: str = "br") -> Fault:
    """Claim an encoding that nobody asked for."""

    def fault(_: Asked, answer: Answer) -> Answer:
        headers = {**answer.headers, "content-encoding": name}
        return answer._replace(headers=headers, packed=False)

    return fault


FAULTS: dict[str, Callable[[], Fault]] = {
    "hang": hang,
    "hang after head": hang_after_head,
    "reset": reset,
    "hang up": hang_up,
    "delay": lambda: delay(0.05),
    "drip": drip,
    "truncate": truncate,
    "wrong length": wrong_length,
    "400": lambda: status(400, "bad request", type="invalid_request_error"),
    "401": lambda: status(401, "invalid api key", type="authentication_error"),
    "402": lambda: status(402, "insufficient balance", type="insufficient_quota"),
    "403 page": lambda: page(403, "Attention Required!"),
    "404": lambda: status(404, "not found", type="not_found"),
    "408": lambda: status(408, "request timeout"),
    "410": lambda: status(410, "gone", type="gone"),
    "412": lambda: status(412, "account suspended", type="account_suspended"),
    "429": rate_limited,
    "500": lambda: status(500, "internal error", type="server_error"),
    "502": lambda: page(502, "502 Bad Gateway"),
    "503": lambda: status(503, "service unavailable", type="unavailable"),
    "529": lambda: status(529, "overloaded", type="overloaded_error"),
    "page": page,
    "empty body": empty_body,
    "empty list": empty_list,
    "cut list": cut_list,
    "error with 200": refused_inside,
    "repeated cursor": repeated_cursor,
    "redirect loop": redirect_loop,
}
"""Every fault that needs no argument, by name: for tables of tests and for the data file."""


def _rewritten(answer: Answer, change: Callable[[Any], Any]) -> Answer:
    return answer._replace(body=json.dumps(change(answer.document())).encode())


def _shortened(document: Any, keep: int) -> Any:  # noqa: ANN401 - any JSON document
    if isinstance(document, list):
        return document[:keep]
    kept = {k: v[:keep] if isinstance(v, list) else v for k, v in document.items()}
    rows = next((rows for rows in kept.values() if isinstance(rows, list)), [])
    ends: dict[str, Any] = {
        "has_more": False,
        "total_count": len(rows),
        "links": {"next": None},
        "first_id": rows[0].get("id") if rows else None,
        "last_id": rows[-1].get("id") if rows else None,
    }
    return {k: ends.get(k, v) for k, v in kept.items() if k != "nextPageToken"}
