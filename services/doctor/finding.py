"""What an examination says: how things are, and where they are not well, what mends them."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "note", "bad"]


class Finding(msgspec.Struct, frozen=True):
    """How *what* is; a *note* is worth knowing, a *bad* one is to be mended by *remedy*."""

    what: str
    level: Level
    message: str
    remedy: str | None = None


def many(count: int, noun: str) -> str:
    """Return *count* of what *noun* names."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def fine(what: str, message: str) -> Finding:
    """Return that *what* is well."""
    return Finding(what, "ok", message)


def note(what: str, message: str, remedy: str | None = None) -> Finding:
    """Return what one ought to know of *what*."""
    return Finding(what, "note", message, remedy)


def bad(what: str, message: str, remedy: str) -> Finding:
    """Return what is wrong with *what*."""
    return Finding(what, "bad", message, remedy)
