"""What can be asked of the catalogue, and the rows that answer it, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from events.alerts import SEVERITIES
from events.base import Instant
from events.queries import (
    AlertsQuery,
    DiffQuery,
    HealthQuery,
    HistoryQuery,
    ModelQuery,
    ModelsQuery,
    ProvidersQuery,
    Query,
    SchedulesQuery,
    StatusQuery,
)
from projections import Catalogue, ModelFilter
from projections.search import Place
from services.projector import alerts as selected
from services.projector.cursors import NO_CURSOR, BadCursor, Key
from services.projector.filters import STATUSES, check, model_filter, several
from services.projector.health import condition, conditions, summary
from services.projector.schedules import schedules, totals
from services.projector.status import status

Kind = TypeVar("Kind")


class NotFound(Exception):
    """What is asked for by its name does not exist."""


class Surroundings(NamedTuple):
    """What the catalogue does not know: the time, whose log it is, and how far that reaches.

    *monitors* is how many instances of the health monitor live, None where that is not known.
    """

    now: Instant
    installation: str | None = None
    data: Path = Path()
    url: str | None = None
    last: Mapping[str, int | None] = {}
    monitors: int | None = None


class Asked(NamedTuple):
    """A question: its moments are sequences by now; its page begins behind the row of *after*.

    The reply has *totals* and a *summary* besides its items, where an answer puts any there.
    """

    request: Any
    after: Key | None
    limit: int
    here: Surroundings
    totals: dict[str, Any]
    summary: dict[str, Any]

    def behind(self, kind: type[Kind]) -> Kind | None:
        """Return the key behind which the page begins, which must be a *kind*; raises BadCursor."""
        if self.after is None:
            return None
        try:
            return msgspec.convert(self.after, kind)
        except msgspec.ValidationError as error:
            raise BadCursor(NO_CURSOR) from error


Row = msgspec.Struct | dict[str, Any]
Rows = Iterable[tuple[Key, Row]]
"""Each row with what it is ordered by; there may be more of them than the page has room for."""


def listed(rows: Iterable[Row], asked: Asked, *order: str) -> Iterator[tuple[Key, Row]]:
    """Yield those of *rows*, a whole list, that stand behind *asked*'s, in the order of *order*."""
    after = asked.behind(list[str])
    for row in rows:
        fields = msgspec.to_builtins(row)
        key = [str(fields[name]) for name in order]
        if after is None or key > after:
            yield [*key], row


def models(catalogue: Catalogue, asked: Asked) -> Rows:
    """Answer `models`."""
    request: ModelsQuery = asked.request
    return _models(catalogue, asked, model_filter(request, asked.here.now))


def model(catalogue: Catalogue, asked: Asked) -> Rows:
    """Answer `model`; raises NotFound."""
    request: ModelQuery = asked.request
    found = list(_models(catalogue, asked, ModelFilter(id=request.id, provider=request.provider)))
    if not found and asked.after is None:
        raise _no_model(request.id, request.provider)
    return found


def _models(catalogue: Catalogue, asked: Asked, wanted: ModelFilter) -> Rows:
    after = asked.behind(Place)
    page = msgspec.structs.replace(wanted, limit=asked.limit + 1, after=after)
    for place, found in catalogue.placed(page, as_of=asked.request.as_of):
        yield [*place], found


def history(catalogue: Catalogue, asked: Asked) -> Rows:
    """Answer `history`; raises NotFound."""
    request: HistoryQuery = asked.request
    after = asked.behind(tuple[str, int])
    found = catalogue.history(request.id, request.provider, after=after, limit=asked.limit + 1)
    if not found and after is None:
        raise _no_model(request.id, request.provider)
    return [([one.provider, one.seq], one) for one in found]


def diff(catalogue: Catalogue, asked: Asked) -> Rows:
    """Answer `diff`."""
    request: DiffQuery = asked.request
    after = asked.behind(tuple[str, str])
    to = catalogue.seq() if request.to is None else request.to
    for one in catalogue.differences(request.from_, to, request.provider, after):
        yield [one.provider, one.model_id], one


def providers(catalogue: Catalogue, asked: Asked) -> Rows:
    """Answer `providers`."""
    request: ProvidersQuery = asked.request
    wanted = check(several(request.status), STATUSES, "status")
    found = [one for one in catalogue.providers() if not wanted or one.status in wanted]
    return listed(found, asked, "name")


def all_schedules(catalogue: Catalogue, asked: Asked) -> Rows:
    """Answer `schedules`."""
    rows = schedules(catalogue, asked.here.installation, asked.here.now)
    asked.totals.update(totals(rows))
    return listed(rows, asked, "name")


def health(catalogue: Catalogue, asked: Asked) -> Rows:
    """Answer `health`; raises NotFound."""
    request: HealthQuery = asked.request
    name, monitors = request.provider, asked.here.monitors
    if name is None:
        if request.part is not None:
            raise ValueError("part: goes with the name of a provider")
        asked.summary.update(summary(catalogue, monitors))
        return listed(conditions(catalogue, monitors), asked, "provider")
    if catalogue.provider(name) is None:
        raise NotFound(f'there is no provider "{name}"')
    if request.part == "history":
        place = asked.behind(tuple[int])
        before = None if place is None else place[0]
        segments = catalogue.provider_history(name, limit=asked.limit + 1, after=before)
        return (([one.seq], one) for one in segments)
    if request.part == "checks":
        behind = asked.behind(tuple[str, int])
        cycles = catalogue.checks(name, limit=asked.limit + 1, after=behind)
        return (([one.at, one.seq], one) for one in cycles)
    asked.summary.update(summary(catalogue, monitors))
    found = condition(catalogue, name, monitors)
    return [] if found is None else [([], found)]


def alerts(catalogue: Catalogue, asked: Asked) -> Rows:
    """Answer `alerts`."""
    request: AlertsQuery = asked.request
    [state] = check([request.state], selected.STATES, "state")
    kinds = check(several(request.kind), selected.KINDS, "kind")
    severities = check(several(request.severity), SEVERITIES, "severity")
    found = selected.alerts(catalogue, state, request.provider, kinds, severities)
    return listed(found, asked, "provider", "alert_id")


def one_status(catalogue: Catalogue, asked: Asked) -> Rows:
    """Answer `status`."""
    here = asked.here
    return [([], status(catalogue, here.data, here.url, here.last))]


class Question(NamedTuple):
    """What is read of a request, and how it is answered."""

    kind: type[Query]
    rows: Callable[[Catalogue, Asked], Rows]


QUESTIONS: dict[str, Question] = {
    "models": Question(ModelsQuery, models),
    "model": Question(ModelQuery, model),
    "history": Question(HistoryQuery, history),
    "diff": Question(DiffQuery, diff),
    "providers": Question(ProvidersQuery, providers),
    "schedules": Question(SchedulesQuery, all_schedules),
    "health": Question(HealthQuery, health),
    "alerts": Question(AlertsQuery, alerts),
    "status": Question(StatusQuery, one_status),
}
"""Every question by the rest of its subject."""


def _no_model(id: str, provider: str | None) -> NotFound:
    of = f" of {provider}" if provider else ""
    return NotFound(f'there is no model "{id}"{of}')
