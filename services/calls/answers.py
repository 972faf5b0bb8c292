"""What an error answer says: the codes and the words of its error object, whatever its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

CODE_KEYS = ("code", "reason", "type", "status", "error_code")
TEXT_KEYS = ("message", "error", "detail", "title", "msg")
INNER_KEYS = ("error", "errors", "details", "detail")
DEEPEST = 4
MOST_CODES = 20

_EDGE = re.compile(rb"\s*(?:<|error code: 1\d\d\d)")  # a page, or Cloudflare's refusal in one line


class Said(NamedTuple):
    """The codes of an error object, outermost first, its first words, and whether it is a page."""

    codes: tuple[str, ...]
    text: str | None
    edge: bool


def said(body: bytes) -> Said:
    """Return what *body* says. Never raises: what is no JSON says nothing, or is a page."""
    if _EDGE.match(body):
        return Said((), None, edge=True)
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Said((), None, edge=False)
    codes: list[str] = []
    texts: list[str] = []
    for node in _nodes(answer, 0):
        codes += [_code(node[key]) for key in CODE_KEYS if isinstance(node.get(key), str | int)]
        texts += [node[key] for key in TEXT_KEYS if isinstance(node.get(key), str)]
    text = next((text for text in texts if text.strip()), None)
    return Said(tuple(codes[:MOST_CODES]), text, edge=False)


def _nodes(value: object, depth: int) -> Iterator[dict[str, Any]]:
    if depth > DEEPEST:
        return
    if isinstance(value, list):
        for item in value[:MOST_CODES]:
            yield from _nodes(item, depth + 1)
    elif isinstance(value, dict):
        yield value
        for key in INNER_KEYS:
            if isinstance(value.get(key), dict | list):
                yield from _nodes(value[key], depth + 1)


def _code(value: str | int) -> str:
    return str(value)
