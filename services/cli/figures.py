"""Figures of health in few characters: spans, shares, latencies, and small charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta

from rich.text import Text

from events.base import Instant, elapsed
from services.durations import format_duration

HEIGHTS = "▁▂▃▄▅▆▇█"
NOTHING = "·"
CLASSES = {
    "down": ("░", "red"),
    "blocked": ("▒", "magenta"),
    "degraded": ("▓", "yellow"),
    "up": ("█", "green"),
    "maintenance": ("m", "blue"),
}
"""How a day or an hour is drawn: by the first of these that it had any time in."""

_COARSE = ((86_400, 3_600), (3_600, 60), (60, 1))
FEW = 10
"""So many of a unit say enough without a finer one."""


def age(since: Instant | None, now: Instant) -> str:
    """Return how long ago *since* is, empty where it is not known."""
    return "" if since is None else span(elapsed(since, now) / timedelta(seconds=1))


def span(seconds: float) -> str:
    """Return *seconds* in five characters or little more: ``3d4h``, ``23h``, ``45s``."""
    whole = max(int(seconds), 0)
    large, small = next((units for units in _COARSE if whole >= units[0]), (1, 1))
    fine = large if whole >= FEW * large else small
    return format_duration(whole - whole % fine) if whole else "0s"


def share(of: float | None, digits: int = 1) -> str:
    """Return a share in per cent, rounded down: what was down at all never reads 100%."""
    if of is None:
        return ""
    scale = 10**digits
    cut = math.floor(of * 100 * scale + 1e-9) / scale
    return f"{cut:.{digits}f}".rstrip("0").rstrip(".") + "%" if digits else f"{cut:.0f}%"


def millis(ms: float | None) -> str:
    """Return a latency: ``3ms``, ``120ms``, ``1.2s``."""
    if ms is None:
        return ""
    return f"{ms:.0f}ms" if ms < 999.5 else f"{ms / 1000:.1f}s"  # noqa: PLR2004 - rounds to 1 s


def sparkline(values: Sequence[float | None]) -> str:
    """Return a block a value: the highest is full, and nothing is known of a dot."""
    known = [value for value in values if value is not None]
    top = max(known, default=0.0)
    return "".join(NOTHING if value is None else HEIGHTS[_height(value, top)] for value in values)


def _height(value: float, top: float) -> int:
    return max(math.ceil(value / top * len(HEIGHTS)), 1) - 1 if top > 0 else 0


def bars(spans: Sequence[Mapping[str, float]]) -> Text:
    """Return a block a span, each of which is given as its shares of classes."""
    text = Text()
    for shares in spans:
        mark, style = next(
            (drawn for name, drawn in CLASSES.items() if shares.get(name)), (NOTHING, "dim")
        )
        text.append(mark, style)
    return text


def legend(spans: Sequence[Mapping[str, float]]) -> Text:
    """Return what the blocks of `bars` mean, those that are there."""
    text = Text()
    drawn = bars(spans).plain
    for name, (mark, style) in CLASSES.items():
        if mark in drawn:
            text.append(f"{mark} ", style).append(f"{name}  ", "dim")
    if NOTHING in drawn:
        text.append(f"{NOTHING} nothing known", "dim")
    text.rstrip()
    return text
