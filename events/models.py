"""What is offered: the events of a model's life, and what they add up to."""

from __future__ import annotations

from typing import Literal

from events.base import BaseEvent, Instant
from events.record import Change, ModelRecord

RemovalReason = Literal["delisted", "provider_unregistered"]


class ModelAdded(BaseEvent, frozen=True, kw_only=True, tag="model.added"):
    """A model is in a provider's list for the first time, or again after its removal."""

    provider: str
    model: ModelRecord


class ModelUpdated(BaseEvent, frozen=True, kw_only=True, tag="model.updated"):
    """What a provider says of a model has changed; the whole new record comes with it."""

    provider: str
    model: ModelRecord
    changed: list[Change]


class ModelMissing(BaseEvent, frozen=True, kw_only=True, tag="model.missing"):
    """A complete list does not hold a model that the list before held.

    *missing_since* is null where that is the moment of the event itself; behind a quarantine it is
    the first list that lacked the model, and *scans* counts those since.
    """

    provider: str
    model_id: str
    scans: int = 1
    missing_since: Instant | None = None


class ModelReturned(BaseEvent, frozen=True, kw_only=True, tag="model.returned"):
    """A missing model is in its provider's list again."""

    provider: str
    model_id: str
    missing_since: Instant


class ModelRemoved(BaseEvent, frozen=True, kw_only=True, tag="model.removed"):
    """A model is gone from a provider's list for good.

    *scans* counts the complete lists in a row without it; *missing_since* is null only where the
    provider was unregistered while it still listed the model.
    """

    provider: str
    model_id: str
    missing_since: Instant | None
    scans: int
    reason: RemovalReason
    model: ModelRecord


class CapabilityGained(BaseEvent, frozen=True, kw_only=True, tag="capability.gained"):
    """A model is now known to have a capability; also sent for each one of an added model."""

    provider: str
    model_id: str
    capability: str


class CapabilityLost(BaseEvent, frozen=True, kw_only=True, tag="capability.lost"):
    """A model is no longer known to have a capability; also sent when it is removed."""

    provider: str
    model_id: str
    capability: str


CapabilityEvent = CapabilityGained | CapabilityLost
ModelEvent = (
    ModelAdded | ModelUpdated | ModelMissing | ModelReturned | ModelRemoved | CapabilityEvent
)
