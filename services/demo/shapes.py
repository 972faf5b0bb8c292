"""What surrounds the rows in each dialect: where the list is, who may read it, its pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from services.demo.exchange import Answer, Asked, in_json
from services.demo.rows import SHOW, Row


class Listing(NamedTuple):
    """What a list is answered from: *page_size* bounds a page, *stamp* is Unix seconds, now."""

    rows: Sequence[Row]
    page_size: int | None
    stamp: int


class Shape(NamedTuple):
    """A dialect as a server speaks it.

    *prefix* belongs to the base URL, *path* is the list's after it, *named* the key of a row's
    identity; *details* answers the requests beside the list, by *method*.
    """

    prefix: str
    path: str
    named: str
    listed: Callable[[Asked, Listing], Answer]
    presented: Callable[[Asked], str | None]
    details: Mapping[str, Callable[[Asked, Listing], Answer]] = {}
    method: str = "POST"


def refusal(status: int, kind: str, message: str) -> Answer:
    """Refuse in a form in which every dialect finds its own words."""
    error = {"type": kind, "code": status, "status": kind.upper(), "message": message}
    return in_json({"type": "error", "error": error}, status)


def bearer(asked: Asked) -> str | None:
    """Return the key that a request brings as a bearer token."""
    scheme, _, key = asked.headers.get("authorization", "").partition(" ")
    return key if scheme.lower() == "bearer" else None


def _plain(_: Asked, listing: Listing) -> Answer:
    return in_json({"object": "list", "data": listing.rows})


def _mistral(_: Asked, listing: Listing) -> Answer:
    rows = [{**row, "created": listing.stamp} for row in listing.rows]
    return in_json({"object": "list", "data": rows})


def _anthropic(asked: Asked, listing: Listing) -> Answer:
    """Pages by `after_id`; 20 rows by default, 1000 at most, which is refused beyond."""
    size = number(asked.one("limit"), 20)
    if "anthropic-version" not in asked.headers:
        return refusal(400, "invalid_request_error", "anthropic-version: header is required")
    if size is None or not 1 <= size <= 1000:  # noqa: PLR2004 - their limit
        return refusal(400, "invalid_request_error", "limit: must be from 1 to 1000")
    ids = [row["id"] for row in listing.rows]
    after = asked.one("after_id")
    if after is not None and after not in ids:
        return refusal(400, "invalid_request_error", "after_id: no such model")
    start = 0 if after is None else ids.index(after) + 1
    rows = listing.rows[start : start + min(size, listing.page_size or size)]
    return in_json(
        {
            "data": rows,
            "has_more": start + len(rows) < len(ids),
            "first_id": rows[0]["id"] if rows else None,
            "last_id": rows[-1]["id"] if rows else None,
        }
    )


def _gemini(asked: Asked, listing: Listing) -> Answer:
    """Pages by `pageToken`; 50 rows by default, 1000 at most, to which more is cut.

    A token names the row before the page, so that a list that changes meanwhile does not shift.
    """
    size = number(asked.one("pageSize"), 50)
    start = _start(asked.one("pageToken"), listing.rows)
    if not size or start is None:
        return refusal(400, "INVALID_ARGUMENT", "bad pageSize or pageToken")
    end = start + min(size, 1000, listing.page_size or size)
    document: dict[str, Any] = {"models": listing.rows[start:end]}
    if end < len(listing.rows):
        last = listing.rows[end - 1]["name"]
        document["nextPageToken"] = base64.urlsafe_b64encode(last.encode()).decode()
    return in_json(document)


def _openrouter(asked: Asked, listing: Listing) -> Answer:
    """Everything at once, unless a `limit` or the server's own page size bounds it."""
    total = len(listing.rows)
    start = number(asked.one("offset"), 0)
    size = number(asked.one("limit"), listing.page_size or total or 1)
    if start is None or not size:
        return refusal(400, "invalid_request", "bad offset or limit")
    end = start + min(size, listing.page_size or size)
    onward = None
    if end < total:
        kept = {key: value for key, value in asked.query.items() if key not in {"offset", "limit"}}
        query = urlencode({**kept, "offset": end, "limit": end - start}, doseq=True)
        onward = f"http://{asked.headers.get('host', '')}{asked.path}?{query}"
    rows = listing.rows[start:end]
    return in_json({"data": rows, "links": {"next": onward}, "total_count": total})


def _ollama(_: Asked, listing: Listing) -> Answer:
    tags = [{key: value for key, value in row.items() if key != SHOW} for row in listing.rows]
    return in_json({"models": tags})


def _show(asked: Asked, listing: Listing) -> Answer:
    try:
        wanted = Answer(body=asked.body).document().get("model")
    except (ValueError, AttributeError):
        return in_json({"error": "invalid request body"}, 400)
    for row in listing.rows:
        if row["name"] == wanted and SHOW in row:
            return in_json(row[SHOW])
    return in_json({"error": f"model '{wanted}' not found"}, 404)


SHAPES: dict[str, Shape] = {
    "openai": Shape("/v1", "/models", "id", _plain, bearer),
    "openrouter": Shape("/api/v1", "/models", "id", _openrouter, bearer),
    "mistral": Shape("/v1", "/models", "id", _mistral, bearer),
    "anthropic": Shape("", "/v1/models", "id", _anthropic, lambda a: a.headers.get("x-api-key")),
    "gemini": Shape(
        "/v1beta", "/models", "name", _gemini, lambda a: a.headers.get("x-goog-api-key")
    ),
    "ollama": Shape("", "/api/tags", "name", _ollama, bearer, {"/api/show": _show}),
}


def number(text: str | None, default: int) -> int | None:
    """Read a whole number; None where it is none."""
    if text is None:
        return default
    return int(text) if text.isascii() and text.isdigit() else None


def _start(token: str | None, rows: Sequence[Row]) -> int | None:
    """Return the place behind the row that *token* names; None where there is no such row."""
    if token is None:
        return 0
    try:
        name = base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return next((place + 1 for place, row in enumerate(rows) if row["name"] == name), None)
