"""Windows in which nobody is told: one with an end, or the same hours of every week."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from events.base import millis_of
from services.durations import parse_duration
from services.health_lists import DAYS


class Window(NamedTuple):
    """A window of maintenance: its id, and its start and end in milliseconds."""

    id: str
    start: int
    end: int


def window_at(windows: Iterable[Mapping[str, Any]], now: int) -> Window | None:
    """Return the window that *now* lies in, the one that ends last; None where it lies in none."""
    around = [one for table in windows for one in _around(table, now) if one.start <= now < one.end]
    return max(around, key=lambda one: one.end, default=None)


def _around(table: Mapping[str, Any], now: int) -> Iterator[Window]:
    """Yield the windows of *table* that may hold *now*."""
    if "start" in table:
        yield Window(f"{table['start']}", millis_of(table["start"]), millis_of(table["end"]))
        return
    zone = ZoneInfo(table.get("zone", "UTC"))
    hour, minute = (int(part) for part in table["at"].split(":"))
    length = timedelta(seconds=parse_duration(table["duration"]))
    today = datetime.fromtimestamp(now / 1000, tz=UTC).astimezone(zone)
    for back in range(-1, length.days + 2):
        day = today - timedelta(days=back)
        if DAYS[day.weekday()] not in table["days"]:
            continue
        # wall time of the zone; the length is real time, also where clocks are put forward
        start = day.replace(hour=hour, minute=minute, second=0, microsecond=0).astimezone(UTC)
        begun = round(start.timestamp() * 1000)
        id_ = f"{day:%Y-%m-%d}T{table['at']}"
        yield Window(id_, begun, begun + round(length.total_seconds() * 1000))
