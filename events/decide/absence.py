"""Missing at once, removed late: a list without a model is a hint, many over a time are proof."""

from __future__ import annotations

from datetime import timedelta

from events.base import Instant, elapsed
from events.decide.known import KnownModel
from events.decide.quarantine import Absence
from events.models import (
    CapabilityLost,
    ModelEvent,
    ModelMissing,
    ModelRemoved,
    ModelReturned,
    RemovalReason,
)
from events.record import ModelRecord


def absent(
    provider: str, model: KnownModel, now: Instant, *, scans: int, hold: timedelta
) -> list[ModelEvent]:
    """Return what one more complete list without *model* amounts to.

    It is missing with the first such list, and removed once it was missing in at least *scans* of
    them in a row over at least *hold*; between the two, nothing. One that a quarantine has proven
    is removed with the next list. A list of the moment at which the model went missing, or of one
    before it, is no further proof.
    """
    if model.missing_since is None:
        first = missing(provider, model, now)
        if scans > 1 or hold:
            return [first]
        gone = model._replace(missing_since=now, scans=1)
        return [first, *removed(provider, gone, now, reason="delisted")]
    count = model.scans + 1
    if model.proven_at is not None:
        scans, hold = 0, timedelta(0)
    noticed = model.proven_at or model.missing_since
    early = now <= noticed or elapsed(model.missing_since, now) < hold
    if count < scans or early:
        return []
    return removed(provider, model._replace(scans=count), now, reason="delisted")


def missing(
    provider: str, model: KnownModel, now: Instant, awaited: Absence | None = None
) -> ModelMissing:
    """Return that *model* is missing: since now, or since it was first *awaited* in vain."""
    id_ = model.record.id
    if awaited is None:
        return ModelMissing(at=now, provider=provider, model_id=id_)
    since, scans = awaited
    return ModelMissing(at=now, provider=provider, model_id=id_, scans=scans, missing_since=since)


def returned(provider: str, model: KnownModel, now: Instant) -> list[ModelEvent]:
    """Return what it means that *model* is in the list."""
    if model.missing_since is None:
        return []
    return [
        ModelReturned(
            at=now,
            provider=provider,
            model_id=model.record.id,
            missing_since=model.missing_since,
        )
    ]


def removed(
    provider: str, model: KnownModel, now: Instant, *, reason: RemovalReason
) -> list[ModelEvent]:
    """Return the end of *model*: its removal, and the loss of every capability it had."""
    record = model.record
    end = ModelRemoved(
        at=now,
        provider=provider,
        model_id=record.id,
        missing_since=model.missing_since,
        scans=model.scans,
        reason=reason,
        model=record,
    )
    return [end, *lost(provider, record, now)]


def lost(provider: str, record: ModelRecord, now: Instant) -> list[ModelEvent]:
    """Return the loss of each capability that *record* is known to have."""
    return [
        CapabilityLost(at=now, provider=provider, model_id=record.id, capability=capability)
        for capability, known in sorted(record.capabilities.items())
        if known
    ]
