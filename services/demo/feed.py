"""What the demo has heard so far: counts by provider, the rate, the latest changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from events import Change, Event
from events.audit import RefreshFailed, RefreshQuarantined, RefreshSucceeded
from events.base import Instant
from events.models import ModelAdded, ModelMissing, ModelRemoved, ModelReturned, ModelUpdated
from services.demo.recorded import Incident

KEPT = 200
"""How many of the latest changes are kept."""
WINDOW = 3.0
"""Real seconds over which the rate is taken."""
FIRST = ("prices.input", "prices.output", "context_window", "lifecycle.state", "name")
"""Which of many changed fields are told, in this order; after them any other."""
LONGEST = 24


class Line(NamedTuple):
    """One change, or several of one kind on one day: *about* are ids, the one of *detail* first."""

    at: Instant
    provider: str
    kind: str
    about: tuple[str, ...]
    detail: str = ""
    weight: int = 0


class Tally(NamedTuple):
    """What is known of one provider."""

    models: int = 0
    added: int = 0
    updated: int = 0
    removed: int = 0
    refreshes: int = 0
    failures: int = 0
    outcome: str = "waiting"
    detail: str = ""
    at: Instant = ""


class Feed:
    """Takes every public event once, and keeps what `screen` shows."""

    def __init__(self, providers: Iterable[str] = (), incidents: Sequence[Incident] = ()) -> None:
        self.providers: dict[str, Tally] = {name: Tally() for name in providers}
        self.events = 0
        self.changes = 0
        self.latest: deque[Line] = deque(maxlen=KEPT)
        self._incidents = incidents
        self._arrivals: deque[tuple[float, int]] = deque()

    @property
    def models(self) -> int:
        """How many models all providers list."""
        return sum(tally.models for tally in self.providers.values())

    def rate(self, seconds: float) -> float:
        """Return events per real second; *seconds* is the moment on the loop's clock."""
        self._forget(seconds)
        return sum(count for _, count in self._arrivals) / WINDOW

    def take(self, subject: str, event: Event, seconds: float) -> None:
        """Count *event*, heard under its public *subject* at *seconds* of the loop's clock."""
        self.events += 1
        self.changes += not subject.startswith("modelog.audit.")
        self._arrived(seconds)
        match event:
            case ModelAdded():
                self._count(event.provider, added=1)
                self._tell(Line(event.at, event.provider, "added", (event.model.id,)))
            case ModelUpdated():
                self._count(event.provider, updated=1)
                self._tell(_updated(event))
            case ModelMissing():
                self._tell(Line(event.at, event.provider, "missing", (event.model_id,)))
            case ModelReturned():
                self._tell(Line(event.at, event.provider, "returned", (event.model_id,)))
            case ModelRemoved():
                self._count(event.provider, removed=1)
                self._tell(Line(event.at, event.provider, "removed", (event.model_id,)))
            case RefreshSucceeded() | RefreshFailed() | RefreshQuarantined():
                self._end(event)
            case _:  # other events are counted, and not told one by one
                pass

    def _end(self, event: RefreshSucceeded | RefreshFailed | RefreshQuarantined) -> None:
        tally = self.providers.get(event.provider, Tally())
        good = isinstance(event, RefreshSucceeded)
        outcome, detail = _outcome(event)
        staged = self._staged(event.provider, event.at)
        listed = event.models if good and event.models else tally.models
        self.providers[event.provider] = tally._replace(
            models=0 if good and not event.models and not event.not_modified else listed,
            refreshes=tally.refreshes + 1,
            failures=tally.failures + (not good),
            outcome=outcome,
            detail=f"{detail} (staged)" if staged else detail,
            at=event.at,
        )
        if not good and tally.outcome != outcome:
            told = f"{detail} (staged: {staged})" if staged else detail
            self._tell(Line(event.at, event.provider, outcome, (), told))

    def _staged(self, provider: str, at: Instant) -> str:
        """Return what of ours goes on at *provider*, or nothing."""
        return next(
            (i.note for i in self._incidents if i.provider == provider and i.start <= at < i.end),
            "",
        )

    def _count(self, provider: str, *, added: int = 0, updated: int = 0, removed: int = 0) -> None:
        tally = self.providers.get(provider, Tally())
        self.providers[provider] = tally._replace(
            added=tally.added + added,
            updated=tally.updated + updated,
            removed=tally.removed + removed,
        )

    def _tell(self, line: Line) -> None:
        """Add a line; models of one kind on one day share one, the weightiest first."""
        for place in range(len(self.latest) - 1, -1, -1):
            last = self.latest[place]
            if last.at[:10] != line.at[:10]:
                break
            if line.about and (last.provider, last.kind) == (line.provider, line.kind):
                first, then = (line, last) if line.weight < last.weight else (last, line)
                self.latest[place] = first._replace(about=first.about + then.about)
                return
        self.latest.append(line)

    def _arrived(self, seconds: float) -> None:
        if self._arrivals and seconds - self._arrivals[-1][0] < WINDOW / 20:
            moment, count = self._arrivals.pop()
            self._arrivals.append((moment, count + 1))
        else:
            self._arrivals.append((seconds, 1))
        self._forget(seconds)

    def _forget(self, seconds: float) -> None:
        while self._arrivals and self._arrivals[0][0] < seconds - WINDOW:
            self._arrivals.popleft()


def _outcome(event: RefreshSucceeded | RefreshFailed | RefreshQuarantined) -> tuple[str, str]:
    match event:
        case RefreshSucceeded():
            return "ok", ""
        case RefreshFailed():
            error = event.error
            if error is None:
                return "failed", ""
            return "failed", f"{error.class_} {error.status}" if error.status else error.class_
        case RefreshQuarantined():
            count = event.absent.count if event.absent else 0
            return "quarantined", f"{count} gone, not believed" if count else "not believed"


def _updated(event: ModelUpdated) -> Line:
    weight = min(map(_weight, event.changed), default=len(FIRST))
    told = in_words(event.changed)
    return Line(event.at, event.provider, "updated", (event.model.id,), told, weight)


def in_words(changed: Sequence[Change]) -> str:
    """Return the change that matters most, and how many more there are."""
    if not changed:
        return ""
    first = min(changed, key=_weight)
    path = first.path.removeprefix("capabilities.").replace("prices.", "price ")
    told = f"{path.replace('_', ' ')} {_brief(first.old)} → {_brief(first.new)}"
    return told if len(changed) == 1 else f"{told} (+{len(changed) - 1})"


def _weight(change: Change) -> int:
    return FIRST.index(change.path) if change.path in FIRST else len(FIRST)


def _brief(value: object) -> str:
    match value:
        case None:
            return "?"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list():
            text = "+".join(map(str, value))
        case _:
            text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
