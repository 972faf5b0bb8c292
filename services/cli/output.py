"""Answers on stdout, all else on stderr; JSON, and how far a long piece of work has come.

A provider's text never reaches the terminal raw: control characters, escape sequences and what
turns the reading direction around are shown as codes.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from services import clock

_DISGUISED = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_UNSAFE = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_DISGUISED}]")
_UNSAFE_IN_JSON = re.compile(f"[\x7f-\x9f{_DISGUISED}]")

LINE_EVERY = 10.0
"""Seconds between two lines of progress where no terminal shows a bar."""

Advance = Callable[[int, int], None]
"""Tell how much is done, of how much."""


def clean(text: object) -> str:
    """Return *text* in one line that is safe to print; None is empty."""
    return "" if text is None else _UNSAFE.sub(_code, str(text))


def _code(found: re.Match[str]) -> str:
    point = ord(found[0])
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"  # noqa: PLR2004 - a byte


def is_terminal() -> bool:
    """Tell whether stdout is read by a person."""
    return sys.stdout.isatty()


def write(text: str) -> None:
    """Write *text* to stdout; a reader who has seen enough ends the process in silence."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


def note(text: str) -> None:
    """Say *text* on stderr, beside the answer."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def write_array(items: Iterable[object]) -> None:
    """Write *items* as one JSON array, an item a line."""
    write(f"[{f',{chr(10)} '.join(map(_json, items))}]\n")


def write_object(value: object) -> None:
    """Write one JSON object, indented."""
    write(escaped(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()) + "\n")


def write_lines(values: Iterable[object]) -> None:
    """Write JSON objects, one a line."""
    write("".join(f"{_json(value)}\n" for value in values))


def _json(value: object) -> str:
    return escaped(msgspec.json.encode(value).decode())


def escaped(text: str) -> str:
    """Spell what a terminal would obey as JSON escapes; such characters stand in strings only."""
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show how far *what* has come: a bar with rate and time left, or a line every ten seconds."""
    if sys.stderr.isatty():
        yield from _bar(what)
        return
    system = clock.system()
    started = last = system.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal last
        now = system.monotonic()
        if now - last < LINE_EVERY:
            return
        last = now
        rate = done / (now - started)
        left = f"{(total - done) / rate:.0f} s left" if rate else "no end in sight"
        note(f"{what}: {done:,} of {total:,}, {rate:,.0f}/s, {left}")

    yield advance


def _bar(what: str) -> Iterator[Advance]:
    from rich import progress as bars  # noqa: PLC0415 - only a terminal pays for it
    from rich.console import Console  # noqa: PLC0415

    with bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(bar_width=None),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}", style="progress.data.speed"),
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=None, rate="")

        def advance(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:,.0f}/s" if speed else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield advance
