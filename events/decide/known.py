"""What is known of a provider's models: the fold of its facts and of its runs' outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, assert_never

from events.audit import RefreshFailed, RefreshOutcome, RefreshQuarantined, RefreshSucceeded
from events.base import Instant
from events.decide.quarantine import Absences, awaited
from events.models import (
    CapabilityGained,
    CapabilityLost,
    ModelAdded,
    ModelEvent,
    ModelMissing,
    ModelRemoved,
    ModelReturned,
    ModelUpdated,
)
from events.record import ModelRecord


class KnownModel(NamedTuple):
    """A model that is listed, or missing since a moment and in so many complete lists.

    *proven_at* is when a quarantine ended with the proof that it is missing.
    """

    record: ModelRecord
    missing_since: Instant | None = None
    scans: int = 0
    proven_at: Instant | None = None


class Hold(NamedTuple):
    """Which leaves of which models are kept although they are no longer sent, and since when."""

    since: Instant
    paths: frozenset[str]
    models: frozenset[str]


class Known(NamedTuple):
    """Everything that deciding about a provider's next list needs."""

    models: dict[str, KnownModel] = {}
    holds: tuple[Hold, ...] = ()
    absences: Absences = {}


NOTHING = Known()


class MissingModel(LookupError):
    """An event about a model that the log did not add before it."""


def evolve(known: Known, event: ModelEvent | RefreshOutcome) -> Known:
    """Return *known* after *event*; raise MissingModel where the two do not fit together."""
    return fold(known, (event,))


def fold(known: Known, events: Iterable[ModelEvent | RefreshOutcome]) -> Known:
    """Return *known* after *events*, in the order of each stream.

    The facts of a run come before its outcome, and what an outcome awaits is told by the models
    known then. A complete, believed list counts as one more scan without each model that was
    missing before it.
    """
    models = dict(known.models)
    holds, absences = known.holds, dict(known.absences)
    for event in events:
        match event:
            case ModelAdded():
                models[event.model.id] = KnownModel(event.model)
            case ModelUpdated():
                known_as = _known(models, event, event.model.id)
                models[event.model.id] = known_as._replace(record=event.model)
            case ModelMissing():
                record = _known(models, event, event.model_id).record
                since = event.missing_since
                proven_at = None if since is None else event.at
                models[event.model_id] = KnownModel(
                    record, since or event.at, event.scans, proven_at
                )
                absences.pop(event.model_id, None)
            case ModelReturned():
                models[event.model_id] = KnownModel(_known(models, event, event.model_id).record)
            case ModelRemoved():
                _known(models, event, event.model_id)
                del models[event.model_id]
                absences.pop(event.model_id, None)
            case RefreshSucceeded() | RefreshQuarantined():
                holds = _holds(event)
                absences = awaited(event.absent, models)
                if _is_believed(event) and event.observed_at is not None:
                    _count(models, event.observed_at)
            case CapabilityGained() | CapabilityLost() | RefreshFailed():
                pass
            case _:
                assert_never(event)
    return Known(models, holds, absences)


def counted(known: Known, earlier: Iterable[RefreshOutcome]) -> Known:
    """Return *known* after outcomes before the last one: all that is left of them is the count."""
    after = fold(known, earlier)
    return after._replace(holds=known.holds, absences=known.absences)


def _known(models: dict[str, KnownModel], event: ModelEvent, id_: str) -> KnownModel:
    try:
        return models[id_]
    except KeyError:
        what = f"{event.provider}: {type(event).__name__} of {id_!r}"
        raise MissingModel(f"{what}, which is not there") from None


def _is_believed(event: RefreshSucceeded | RefreshQuarantined) -> bool:
    """Whether the list of *event* is one more without each model that it lacks."""
    if isinstance(event, RefreshQuarantined):
        return event.complete and event.absent is not None and event.absent.believed
    return event.complete


def _count(models: dict[str, KnownModel], observed_at: Instant) -> None:
    """Count one more scan for every model that went missing before *observed_at*."""
    for id_, model in models.items():
        noticed = model.proven_at or model.missing_since
        if noticed is not None and noticed < observed_at:
            models[id_] = model._replace(scans=model.scans + 1)


def _holds(event: RefreshSucceeded | RefreshQuarantined) -> tuple[Hold, ...]:
    return tuple(
        Hold(held.since, frozenset(held.paths), frozenset(held.models)) for held in event.held
    )
