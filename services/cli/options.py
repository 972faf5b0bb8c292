"""Options that many commands share, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from events.base import Instant
from services import clock, config
from services.cli.failures import WRONG, Refusal
from services.config import Config
from services.moment import moment

LARGEST = 2**63 - 1
"""The largest number of rows that SQLite can count to."""


def countable(rows: int | None) -> int | None:
    """Return *rows*, or as many as can be counted where it is more."""
    return None if rows is None else min(rows, LARGEST)


ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The configuration to use.")
]
DataDir = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The data directory to use.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]
Provider = Annotated[
    str | None, typer.Option("--provider", metavar="NAME", help="Of one provider.")
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="N", help="Print at most N rows.", callback=countable),
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="TIME|SEQ", help="The catalogue as it was at a moment."),
]


def settings(file: Path | None, data: Path | None) -> Config:
    """Return the effective configuration; raises ConfigError."""
    return config.load(file, data=data, environ=config.environment(), cwd=Path.cwd())


def when(text: str | None, option: str) -> int | Instant | None:
    """Read the TIME or SEQ of *option*, None where it is not given."""
    return None if text is None else at(text, option)


def at(text: str, option: str) -> int | Instant:
    """Read the TIME or SEQ of *option*."""
    try:
        return moment(text, now=clock.system().now())
    except ValueError as error:
        raise Refusal(f"{option}: {error}", WRONG) from error


def words(given: Iterable[str], known: Sequence[str], what: str) -> list[str]:
    """Return *given*, each of which must be one of *known*; *what* names the kind of word."""
    found = list(given)
    for word in found:
        if word not in known:
            raise Refusal(f'"{word}" is no {what}; {nearest(word, known)}', WRONG)
    return found


def word(given: str | None, known: Sequence[str], what: str) -> str | None:
    """Return *given*, which must be one of *known* where it is given at all."""
    return None if given is None else words([given], known, what)[0]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the way out of a wrong *word*: the nearest known one, or all where none is near."""
    names = list(known)
    near = close(word, names)
    if near:
        return f'did you mean "{near}"?'
    return f"take one of: {', '.join(names)}" if names else "there is none yet"


def close(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is nearest to *word*, if one is near."""
    return next(iter(get_close_matches(word.lower(), known, n=1)), None)
