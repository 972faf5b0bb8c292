"""Stored events as lines: for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from shutil import get_terminal_size
from typing import Any
from urllib.parse import unquote

import msgspec
from rich.console import Console
from rich.text import Text

from events import BrokenEvent, UnknownEvent, decode
from events.envelope import MESSAGE_ID, about
from events.subjects import public
from services.cli.output import clean, is_terminal, write_lines
from services.cli.sentences import moment, sentence
from services.cli.tables import NARROWEST, write_text
from services.cli.tail import Placed

STYLES = {
    "added": "green",
    "returned": "green",
    "gained": "green",
    "succeeded": "green",
    "missing": "magenta",
    "removed": "red",
    "lost": "red",
    "failed": "red",
    "rejected": "red",
    "quarantined": "yellow",
}
TYPE = 21
"""Wide enough for most types; a longer one moves what follows."""
LINES = 4
"""An event takes no more of a terminal; `--json` has all of it."""


def write_events(events: Sequence[Placed], *, as_json: bool) -> None:
    """Write *events*, one a line."""
    if as_json:
        write_lines(map(as_object, events))
        return
    width = get_terminal_size().columns - 1 if is_terminal() else None
    text = Text()
    for event in events:
        head, rest = as_text(event)
        text.append_text(head).append_text(rest if width is None else _folded(rest, head, width))
        text.append("\n")
    write_text(text)


def _folded(rest: Text, head: Text, width: int) -> Text:
    """Return *rest* in lines that fit beside *head*, at most `LINES` of them."""
    lines = rest.wrap(Console(), max(width - head.cell_len, NARROWEST), overflow="fold")
    if len(lines) > LINES:
        lines[LINES - 1].append("…")
    return Text(f"\n{' ' * head.cell_len}").join(lines[:LINES])


def as_object(placed: Placed) -> dict[str, Any]:
    """Return the event with its place in the log, as the contract spells it."""
    stored = placed.stored
    correlation_id = stored.headers.get("correlationid")
    return {
        "stream": placed.stream,
        "seq": stored.seq,
        "subject": public(stored.subject),
        "recorded_at": stored.recorded_at,
        "id": stored.headers.get(MESSAGE_ID, ""),
        "correlationid": unquote(correlation_id) if correlation_id else None,
        "event": msgspec.json.decode(stored.payload),
    }


def as_text(placed: Placed) -> tuple[Text, Text]:
    """Return the event in words: when and what kind; whom it is about, and what happened."""
    stored = placed.stored
    try:
        event = decode(stored.payload)
    except (UnknownEvent, BrokenEvent) as error:
        head = Text(f"{moment(stored.recorded_at)}  ")
        return head, Text(f"{clean(public(stored.subject))}: {clean(error)}")
    kind = stored.headers.get("ce-type", "")
    _, what = sentence(event)
    style = STYLES.get(kind.rpartition(".")[2], "")
    head = Text.assemble(
        (f"{clean(moment(event.at))}  ", "dim"), (f"{clean(kind):<{TYPE}}  ", style)
    )
    told = f"  {clean(what)}" if what else ""
    return head, Text.assemble((clean(about(event)), "bold"), told)
