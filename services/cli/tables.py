"""Tables: styled and fitted on a terminal, plain columns with all their text in a pipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from shutil import get_terminal_size
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from services.cli.output import clean, is_terminal, note, write

Row = Mapping[str, Any]

GAP = "  "
NARROWEST = 10
GIVES = (
    ("elastic", 24),
    ("folded", 28),
    ("elastic", 14),
    ("folded", NARROWEST),
    ("elastic", NARROWEST),
)
"""Which columns give how far where the terminal is too narrow, one kind after the other."""
WIDE = 110
"""A terminal of so many columns shows what is only nice to know, too."""


class Column(NamedTuple):
    """A column of a table: its title, what it shows of a row, and how.

    A *folded* one goes on in the next line where the terminal is too narrow, for what one wants to
    copy; an *elastic* one is cut there. *wide* ones are for wide terminals alone. *style* names the
    Rich style of a cell's text.
    """

    title: str
    show: Callable[[Row], object]
    right: bool = False
    folded: bool = False
    elastic: bool = False
    wide: bool = False
    style: Callable[[str], str] | str = ""


def write_table(rows: Sequence[Row], columns: Sequence[Column], *, empty: str = "") -> None:
    """Write *rows*, or say *empty* on stderr where there are none."""
    if not rows:
        if empty:
            note(empty)
        return
    width = get_terminal_size().columns if is_terminal() else None
    shown = [column for column in columns if not column.wide or (width or 0) >= WIDE]
    cells = [[clean(column.show(row)) for column in shown] for row in rows]
    titles = [column.title for column in shown]
    widths = [max(map(cell_len, texts)) for texts in zip(titles, *cells, strict=True)]
    if width is None:
        write("".join(f"{_line(line, shown, widths)}\n" for line in [titles, *cells]))
    else:
        write_text(_styled(cells, shown, fitted(shown, widths, width)))


def _line(line: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    return GAP.join(map(_aligned, line, columns, widths)).rstrip()


def _aligned(text: str, column: Column, width: int) -> str:
    space = " " * (width - cell_len(text))
    return space + text if column.right else text + space


def fitted(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """Return *widths* made to fit into *width*, as far as `GIVES` lets columns give."""
    fit = list(widths)
    over = sum(fit) + len(GAP) * (len(fit) - 1) - width
    for kind, least in GIVES:
        floors = {
            place: max(least, cell_len(column.title))
            for place, column in enumerate(columns)
            if getattr(column, kind)
        }
        while over > 0 and (wider := [place for place in floors if fit[place] > floors[place]]):
            fit[max(wider, key=fit.__getitem__)] -= 1
            over -= 1
    return fit


def _styled(
    cells: Sequence[Sequence[str]], columns: Sequence[Column], widths: Sequence[int]
) -> Text:
    text = Text()
    titles = [column.title for column in columns]
    text.append(_line(titles, columns, widths), "bold").append("\n")
    for line in cells:
        pieces = list(map(_pieces, line, columns, widths))
        for depth in range(max(map(len, pieces))):
            shown = Text()
            for cell, parts, column, width in zip(line, pieces, columns, widths, strict=True):
                style = column.style(cell) if callable(column.style) else column.style
                part = parts[depth] if depth < len(parts) else ""
                shown.append(_aligned(part, column, width), style).append(GAP)
            shown.rstrip()
            text.append_text(shown).append("\n")
    return text


def _pieces(cell: str, column: Column, width: int) -> list[str]:
    """Return *cell* in pieces of at most *width* cells: one, or as many as a folded one needs."""
    if cell_len(cell) <= width:
        return [cell]
    if not column.folded:
        return [set_cell_size(cell, width - 1) + "…"]
    pieces = []
    while cell:
        head = cell[:width]
        while cell_len(head) > width:
            head = head[:-1]
        if len(head) < len(cell):
            head = _breakable(head)
        pieces.append(head)
        cell = cell[len(head) :].lstrip(" ")
    return pieces


def _breakable(head: str) -> str:
    """Return *head* up to where it is best broken: behind a word, or else within one."""
    for marks, part in ((" ", 3), ("/-_:,", 2)):
        place = max(map(head.rfind, marks)) + 1
        if place > len(head) // part:
            return head[:place]
    return head


def write_record(fields: Sequence[tuple[str, object]]) -> None:
    """Write one thing as names and values, a line or more each; what is not known is left out."""
    shown = [(name, value) for name, value in fields if value not in (None, "", [], {})]
    indent = max((len(name) for name, _ in shown), default=0) + len(GAP)
    text = Text()
    for name, value in shown:
        text.append(name.ljust(indent), "bold")
        if isinstance(value, Text):  # styled, and safe already
            text.append_text(value).append("\n")
            continue
        lines = [part for line in str(value).split("\n") for part in wrapped(clean(line), indent)]
        text.append(f"\n{' ' * indent}".join(lines) + "\n")
    write_text(text)


def wrapped(line: str, indent: int = 0) -> list[str]:
    """Return *line* broken between words to fit beside *indent*; whole where no one looks."""
    width = max(get_terminal_size().columns - indent, NARROWEST)
    if not is_terminal() or cell_len(line) <= width:
        return [line]
    found = [""]
    for word in re.findall(r"\s*\S+", line):
        joined = found[-1] + word if found[-1] else word.lstrip()
        if cell_len(joined) <= width or not found[-1]:
            found[-1] = joined
        else:
            found.append(word.lstrip())
    return found


def write_text(text: Text) -> None:
    """Write *text*, which is safe already: with its styles on a terminal, plain in a pipe."""
    if is_terminal():
        Console(highlight=False, soft_wrap=True).print(text, end="")
    else:
        write(text.plain)
