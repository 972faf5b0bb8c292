"""Why a projector stops: a read model that skips is wrong and does not know it."""

from __future__ import annotations


class CannotFold(Exception):
    """An event that does not follow, decode or apply; the checkpoint stands before it."""


class MissingRow(CannotFold):
    """An event about a row that the events before it did not make."""


class Fenced(CannotFold):
    """The checkpoint is not where this writer left it: another one writes to the same file."""


def one_row(changed: int, what: str, *about: str) -> None:
    """Raise MissingRow unless exactly one row was *changed*: *what* became of what."""
    if changed != 1:
        raise MissingRow(f"{what} {'/'.join(about)}: {changed} rows instead of one")
