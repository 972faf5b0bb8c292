"""Faults of the body behind a status 200: no list, half a list, or far too much."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

from services.demo.exchange import Answer, Asked, Fault, in_json
from services.demo.refusals import says


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


def half_list() -> Fault:
    """Answer 200 with the first half of the list alone."""

    def fault(_: Asked, answer: Answer) -> Answer:
        return _rewritten(answer, lambda document: _shortened(document, None))

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


def bad_gzip() -> Fault:
    """Claim that the list is gzip, which it is not."""
    return odd_encoding("gzip")


def wrong_schema() -> Fault:
    """Answer 200 with proper JSON that is another document."""
    return says(in_json({"status": "ok", "version": "1.2.3"}))


def _rewritten(answer: Answer, change: Callable[[Any], Any]) -> Answer:
    return answer._replace(body=json.dumps(change(answer.document())).encode())


def _shortened(document: Any, keep: int | None) -> Any:  # noqa: ANN401 - any JSON document
    def first(rows: list[Any]) -> list[Any]:
        return rows[: len(rows) // 2 if keep is None else keep]

    if isinstance(document, list):
        return first(document)
    kept = {k: first(v) if isinstance(v, list) else v for k, v in document.items()}
    rows = next((rows for rows in kept.values() if isinstance(rows, list)), [])
    ends: dict[str, Any] = {
        "has_more": False,
        "total_count": len(rows),
        "links": {"next": None},
        "first_id": rows[0].get("id") if rows else None,
        "last_id": rows[-1].get("id") if rows else None,
    }
    return {k: ends.get(k, v) for k, v in kept.items() if k != "nextPageToken"}
