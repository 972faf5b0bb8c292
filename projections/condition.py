"""How the providers are: the questions of health, answered from the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from events.base import Instant, instant_at, later, millis_of
from projections.health_rows import (
    Alert,
    Bar,
    Check,
    HealthSummary,
    Hour,
    ProviderHealth,
    Segment,
    Uptime,
)
from projections.latency import END, merged, percentile
from projections.reader import Reader
from projections.rows import Ask, Row, built, columns
from projections.uptime import PIECES, SPANS

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
HOURLY = 2
"""Days up to which bars are hours, not days."""

_END = f"SELECT {END}"
_HOURS = """
SELECT hour, calls, latency_total_ms, timeouts, latency FROM check_hours
WHERE provider = ? AND hour >= ?
"""


class Piece(NamedTuple):
    """Time of one class, in milliseconds since 1970."""

    class_: str
    at: int
    until: int


class Conditions(Reader):
    """The questions of health, of which every list is newest first."""

    def health_summary(self) -> HealthSummary:
        """Return the totals over all registered providers."""
        names = HealthSummary.__struct_encode_fields__
        [row] = self._ask(f"SELECT {columns(HealthSummary)} FROM health_summary")  # noqa: S608 - our own words
        return HealthSummary(**dict(zip(names, row, strict=True)))

    def provider_health(self, name: str | None = None) -> list[ProviderHealth]:
        """Return the figures of the registered providers, or of one, by name."""
        asked = {"provider = ?": name}
        return _rows(self._ask, ProviderHealth, "provider_health", asked, "provider")

    def provider_uptime(self, name: str) -> list[Uptime]:
        """Return how a registered provider's time was spent, the shortest span first."""
        asked = {"provider = ?": name}
        found = _rows(self._ask, Uptime, "provider_uptime", asked, "span")
        return sorted(found, key=lambda one: list(SPANS).index(one.span))

    def provider_history(
        self, name: str, *, limit: int | None = None, after: int | None = None
    ) -> list[Segment]:
        """Return the statuses of a provider: those before the sequence *after*, if given."""
        asked = {"provider = ?": name, "seq < ?": after}
        return _rows(self._ask, Segment, "provider_history", asked, "seq DESC", limit)

    def checks(
        self, name: str, *, limit: int | None = None, after: tuple[Instant, int] | None = None
    ) -> list[Check]:
        """Return the cycles of a provider: those before the `at` and `seq` of *after*, if given."""
        asked = {"provider = ?": name, "(at, seq) < (?, ?)": after}
        return _rows(self._ask, Check, "checks", asked, "at DESC, seq DESC", limit)

    def alerts(
        self,
        state: str | None = None,
        provider: str | None = None,
        *,
        limit: int | None = None,
        after: tuple[Instant, str] | None = None,
    ) -> list[Alert]:
        """Return the alerts, of one *state* (`open` `resolved`), of one provider, where given.

        Those before the `opened_at` and `alert_id` of *after*, if given.
        """
        asked = {
            "state = ?": state,
            "provider = ?": provider,
            "(opened_at, alert_id) < (?, ?)": after,
        }
        order = "opened_at DESC, alert_id DESC"
        return _rows(self._ask, Alert, "alerts", asked, order, limit)

    def alert(self, id: str) -> Alert | None:
        """Return one alert, None where there is none of that id."""
        found = _rows(self._ask, Alert, "alerts", {"alert_id = ?": id}, "alert_id")
        return found[0] if found else None

    def latency_series(self, name: str, hours: int = 24) -> list[Hour]:
        """Return how long calls took, oldest hour first, up to the newest event of the log.

        Hours without a call are there, too; nothing is where the log is empty.
        """
        end = self._end()
        if end is None or hours < 1:
            return []
        last = f"{end[:13]}:00:00.000Z"
        named = [later(last, -number * HOUR) for number in reversed(range(hours))]
        found = {row[0]: row[1:] for row in self._ask(_HOURS, (name, named[0]))}
        return [_hour(hour, *found.get(hour, ())) for hour in named]

    def uptime_bars(self, name: str, days: int = 1) -> list[Bar]:
        """Return how a provider's last *days* were spent, oldest first, up to the newest event.

        A bar is a day, or an hour where there are `HOURLY` days or fewer.
        """
        end = self._end()
        if end is None or days < 1:
            return []
        step, count = (HOUR, 24 * days) if days <= HOURLY else (DAY, days)
        begin = later(end, -count * step)
        pieces = [Piece(*row) for row in self._ask(PIECES, (begin, end, name))]
        width = step // timedelta(milliseconds=1)
        return list(_bars(pieces, range(millis_of(begin), millis_of(end), width)))

    def _end(self) -> Instant | None:
        [(end,)] = self._ask(_END)
        return None if end is None else str(end)


def _bars(pieces: Sequence[Piece], edges: range) -> Iterator[Bar]:
    place = 0
    for begins in edges:
        ends = begins + edges.step
        spent: dict[str, int] = {}
        while pieces[place].until < ends:
            _spend(spent, pieces[place], begins, ends)
            place += 1
        _spend(spent, pieces[place], begins, ends)
        part = {name: ms / edges.step for name, ms in sorted(spent.items())}
        yield Bar(at=instant_at(begins), until=instant_at(ends), shares=part)


def _spend(spent: dict[str, int], piece: Piece, begins: int, ends: int) -> None:
    if (ms := min(piece.until, ends) - max(piece.at, begins)) > 0:
        spent[piece.class_] = spent.get(piece.class_, 0) + ms


def _hour(
    hour: Instant, calls: int = 0, total: int = 0, timeouts: int = 0, counted: str = "{}"
) -> Hour:
    histogram = merged([msgspec.json.decode(counted, type=dict[int, int])])
    return Hour(
        hour=hour,
        calls=calls,
        latency_avg_ms=total / calls if calls else None,
        latency_p50_ms=percentile(histogram, 50),
        latency_p95_ms=percentile(histogram, 95),
        timeouts=timeouts,
    )


def _rows(  # noqa: PLR0913, PLR0917 - the parts of a question
    ask: Ask,
    kind: type[Row],
    table: str,
    asked: Mapping[str, Any],
    order: str,
    limit: int | None = None,
) -> list[Row]:
    """Return rows of *kind*; what is *asked* for are conditions, but for those given None."""
    given: list[Any] = []
    for one in asked.values():
        if one is not None:
            given += one if isinstance(one, tuple) else (one,)
    conditions = " AND ".join(sql for sql, one in asked.items() if one is not None)
    where = f" WHERE {conditions}" if conditions else ""
    sql = f"SELECT {columns(kind)} FROM {table}{where} ORDER BY {order} LIMIT ?"  # noqa: S608 - built of our own words
    return [built(kind, row) for row in ask(sql, [*given, -1 if limit is None else limit])]
