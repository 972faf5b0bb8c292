"""The demo on a terminal: who lists how many models now, how fast events come, what has changed.

What providers say is data: control characters and the like never reach the terminal.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from events.base import Instant, elapsed, later
from services.clock import Clock
from services.demo.feed import Feed, Line, Tally
from services.demo.recorded import Recording

SECONDS = 120.0
"""How long the whole recording takes at speed 1."""
TAIL = timedelta(days=3)
"""Time after the last change in which holds run out."""
FRAME = 0.15
"""Seconds between two frames on a terminal ..."""
LINE_EVERY = 5.0
"""... and between two lines where there is none."""
NARROW, WIDE = 58, 100
"""Columns below which there is room for one number alone, and from which on there is for all."""
LEAST = 10
"""Columns below which the last one is left out."""
LONGEST_NAME = 20

STYLES = {
    "added": ("+", "green"),
    "updated": ("~", "cyan"),
    "missing": ("?", "yellow"),
    "returned": ("+", "green"),
    "removed": ("-", "red"),
    "failed": ("!", "red"),
    "quarantined": ("!", "magenta"),
    "ok": ("", "green"),
    "waiting": ("", "dim"),
}


class Scene(NamedTuple):
    """What stands still while the demo plays."""

    start: Instant
    end: Instant

    def done(self, now: Instant) -> float:
        """Return how much of the time is over, from 0 to 1."""
        return min(1.0, max(0.0, elapsed(self.start, now) / elapsed(self.start, self.end)))


def scene(recording: Recording) -> Scene:
    """Return the time that is played: the recording, and the days in which holds run out."""
    return Scene(recording.start, later(recording.end, TAIL))


def clock_text(played: Scene, *, speed: float, origin: float) -> str:
    """Return the MODELOG_CLOCK that plays *played* in two minutes, *speed* times as fast.

    *origin* is the real moment of its start, in Unix seconds.
    """
    rate = elapsed(played.start, played.end).total_seconds() / SECONDS * speed
    return f"{origin},{rate},{datetime.fromisoformat(played.start).timestamp()}"


def printable(text: str) -> str:
    """Return *text* in one line, with every character that does not print as its code."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def screen(  # noqa: PLR0913 - the state, the moment on two clocks, and the room for it
    feed: Feed, played: Scene, *, now: Instant, seconds: float, width: int, height: int
) -> RenderableType:
    """Draw the demo at modelled time *now*, loop time *seconds*, in *width* times *height*."""
    table = providers_table(feed, width)
    room = height - len(feed.providers) - 7
    lines = [as_text(line, width) for line in list(feed.latest)[-max(room, 3) :]]
    head = headline(feed, now, seconds)
    head.truncate(width - 1, overflow="ellipsis")
    return Group(
        head,
        ProgressBar(total=1.0, completed=played.done(now), width=width - 1),
        Text(),
        table,
        Text(),
        Text("latest changes", style="bold"),
        *lines,
    )


def headline(feed: Feed, now: Instant, seconds: float) -> Text:
    """Return the line of numbers."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(now[:10], style="bold")
    text.append(f"   {feed.models:,} models", style="bold green")
    text.append(f" at {len(feed.providers)} providers")
    text.append(f"   {feed.events:,} events", style="bold")
    text.append(f", {feed.rate(seconds):,.0f}/s")
    return text


def providers_table(feed: Feed, width: int) -> Table:
    """Return the table of providers, one line each, in *width* columns."""
    numbers = ["models", "added", "updated", "removed", "refreshes"]
    numbers = numbers[: 1 if width < NARROW else 4 if width < WIDE else 5]
    longest = min(max((len(name) for name in feed.providers), default=0), LONGEST_NAME)
    names = max(longest, len("provider"))
    rest = width - 1 - names - sum(max(len(name), 7) + 2 for name in numbers) - 2
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("provider", width=names, no_wrap=True, overflow="ellipsis")
    for name in numbers:
        table.add_column(name, width=max(len(name), 7), justify="right", no_wrap=True)
    if rest >= LEAST:
        table.add_column("last refresh", width=rest, no_wrap=True, overflow="ellipsis")
    for name, tally in sorted(feed.providers.items()):
        cells: list[RenderableType] = [Text(printable(name))]
        cells += [_number(getattr(tally, number)) for number in numbers]
        cells += [_outcome(tally)] if rest >= LEAST else []
        table.add_row(*cells)
    return table


def _number(count: int) -> Text:
    return Text(f"{count:,}") if count else Text("·", style="dim")


def _outcome(tally: Tally) -> Text:
    text = Text(tally.outcome, style=STYLES[tally.outcome][1])
    if tally.detail:
        text.append(f": {printable(tally.detail)}", style="default")
    return text


def as_text(line: Line, width: int) -> Text:
    """Return a change in one line of at most *width* columns."""
    sign, style = STYLES[line.kind]
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{line.at[5:10]} ", style="dim")
    text.append(f"{printable(line.provider):<13}")
    text.append(f"{sign} ", style=f"bold {style}")
    text.append(_about(line), style=style)
    if line.detail:
        text.append(f"{'  ' if line.about else ': '}{printable(line.detail)}")
    if len(line.about) > 1 and line.detail:
        text.append(f"  and {len(line.about) - 1} more models", style="dim")
    text.truncate(width - 1, overflow="ellipsis")
    return text


def _about(line: Line) -> str:
    if not line.about:
        return line.kind
    if len(line.about) == 1 or line.detail:
        quiet = line.kind in {"added", "removed", "updated"}
        return printable(line.about[0]) + ("" if quiet else f" {line.kind}")
    return f"{len(line.about)} models {line.kind}: {printable(', '.join(line.about[:12]))}"


def plain(feed: Feed, now: Instant, seconds: float) -> str:
    """Return the demo in one line, for where there is no terminal."""
    last = f"; {as_text(feed.latest[-1], 80).plain}" if feed.latest else ""
    return f"{headline(feed, now, seconds).plain}{last}"


async def play(feed: Feed, played: Scene, clock: Clock, console: Console) -> None:
    """Show *feed* until *clock* has reached the end of *played*.

    Somebody else feeds it meanwhile, in the same event loop.
    """
    loop = asyncio.get_running_loop()
    if not console.is_terminal:
        while clock.now() < played.end:
            await asyncio.sleep(min(LINE_EVERY, _left(played, clock)))
            _say(console, plain(feed, min(clock.now(), played.end), loop.time()))
        return

    def draw() -> RenderableType:
        size = console.size
        now = min(clock.now(), played.end)
        return screen(
            feed, played, now=now, seconds=loop.time(), width=size.width, height=size.height
        )

    with Live(draw(), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while clock.now() < played.end:
            await asyncio.sleep(min(FRAME, _left(played, clock)))
            live.update(draw(), refresh=True)


def finale(feed: Feed, *, command: str, data: str) -> list[str]:
    """Return what is said at the end: what there is now, and three commands to try."""
    tries = [
        "models list --min-context 1M --sort price_input",
        "models history qwen/qwen3-max",
        "watch 'modelog.model.*.removed.>' --since 2026-01-01",
    ]
    return [
        f"{feed.events:,} events, {feed.models:,} models at {len(feed.providers)} providers.",
        "Three incidents were staged; services/demo/data/README.md tells what is real.",
        "",
        "Try next; no server needs to run:",
        "",
        *(f"  {command} {one} --data {shlex.quote(data)}" for one in tries),
    ]


def say(console: Console, lines: Sequence[str]) -> None:
    """Write lines as they are: not wrapped, not marked up."""
    for line in lines:
        _say(console, line)


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _left(played: Scene, clock: Clock) -> float:
    """Return the real seconds until the end, and a little more, so that it is then over."""
    left = elapsed(clock.now(), played.end).total_seconds()
    return clock.real_seconds(max(0.0, left)) + 0.01
