"""Stored events as lines: for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from shutil import get_terminal_size
from typing import Any
from urllib.parse import unquote

import msgspec
from rich.text import Text

from events import BrokenEvent, UnknownEvent, decode
from events.envelope import MESSAGE_ID, about
from events.subjects import public
from services.cli.output import clean, is_terminal, write_lines
from services.cli.sentences import moment, sentence
from services.cli.tables import write_text
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


def write_events(events: Sequence[Placed], *, as_json: bool) -> None:
    """Write *events*, one a line."""
    if as_json:
        write_lines(map(as_object, events))
        return
    width = get_terminal_size().columns if is_terminal() else None
    text = Text()
    for event in events:
        line = as_text(event)
        if width is not None:
            line.truncate(width - 1, overflow="ellipsis")
        text.append_text(line).append("\n")
    write_text(text)


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


def as_text(placed: Placed) -> Text:
    """Return the event in words: when, what kind, whom it is about, what happened."""
    stored = placed.stored
    try:
        event = decode(stored.payload)
    except (UnknownEvent, BrokenEvent) as error:
        return Text(
            f"{moment(stored.recorded_at)}  {clean(public(stored.subject))}: {clean(error)}"
        )
    kind = stored.headers.get("ce-type", "")
    _, what = sentence(event)
    style = STYLES.get(kind.rpartition(".")[2], "")
    return Text.assemble(
        (f"{clean(moment(event.at))}  ", "dim"),
        (f"{clean(kind):<{TYPE}}  ", style),
        (clean(about(event)), "bold"),
        f"  {clean(what)}" if what else "",
    )
