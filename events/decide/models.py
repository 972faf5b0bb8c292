"""When something has happened to a provider's models: the only place that decides it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import msgspec

from events.audit import Held
from events.base import Instant
from events.decide.absence import absent, missing, removed, returned
from events.decide.enrichment import Enrich, plain
from events.decide.holding import carried, grouped, keep
from events.decide.known import Known, KnownModel
from events.decide.quarantine import Absence, Absences, again, guarded, proven
from events.models import (
    CapabilityGained,
    CapabilityLost,
    ModelAdded,
    ModelEvent,
    ModelRemoved,
    ModelUpdated,
    RemovalReason,
)
from events.observation import Observation
from events.record import Change, ModelRecord, differences


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How much proof an absence needs, and which leaves move on their own.

    A change of *masked* leaves alone is no update; they are stored with the next real one. A list
    that loses more than *shrink_guard* of the listed models is quarantined; None believes every
    list.
    """

    removal_scans: int = 3
    removal_hold: timedelta = timedelta(hours=24)
    shrink_guard: float | None = None
    masked: frozenset[str] = frozenset()


class Decision(NamedTuple):
    """The facts that follow from an observation, in order, and the leaves that are held.

    *absences* are the models that are awaited, in a quarantine that an earlier list began where
    this one is not *guarded*.
    """

    events: list[ModelEvent]
    held: list[Held]
    absences: Absences = {}
    guarded: bool = False

    def count(self, kind: type[ModelEvent]) -> int:
        """Return how many of the events are of *kind*."""
        return sum(isinstance(event, kind) for event in self.events)


def decide(
    known: Known,
    observation: Observation,
    policy: Policy,
    now: Instant,
    enrich: Enrich = plain,
) -> Decision:
    """Return what *observation* says has happened since *known*.

    The events come in the order of the model ids, each with its capabilities behind it, so that
    neither the order of rows nor of pages matters. An observation that is not complete removes
    nothing and makes nothing missing, nor does a guarded one, but for what was proven before it.
    Deciding twice yields nothing the second time. *enrich* fills
    each record last, so it never stands in for a leaf that is held.
    """
    provider = observation.provider
    events: list[ModelEvent] = []
    held: dict[str, dict[str, Instant]] = {}
    seen = {record.id: record for record in observation.records}
    guard = _guarded(known, observation, seen, policy, now)
    absences: dict[str, Absence] = {}
    for id_ in sorted(seen.keys() | known.models.keys()):
        record, model = seen.get(id_), known.models.get(id_)
        if model is None:
            events += _added(provider, enrich(seen[id_]), now)
        elif record is None:
            gone, awaited = _unseen(observation, known, id_, policy, now, guard)
            events += gone
            if awaited is not None:
                absences[id_] = awaited
            if not any(isinstance(event, ModelRemoved) for event in gone):
                held[id_] = carried(id_, known.holds)
        else:
            kept = keep(model.record, record, known.holds, now, policy.removal_hold)
            held[id_] = kept.since
            events += returned(provider, model, now)
            new = enrich(kept.record)
            events += _updated(provider, model.record, new, policy.masked, now)
    return Decision(events, grouped(held), absences, guard)


def unregister(known: Known, provider: str, now: Instant) -> list[ModelEvent]:
    """Return the removal of every model of a provider that is asked no more."""
    reason: RemovalReason = "provider_unregistered"
    return [
        event
        for _, model in sorted(known.models.items())
        for event in removed(provider, model, now, reason=reason)
    ]


def batches(events: list[ModelEvent], most: int) -> list[list[ModelEvent]]:
    """Cut *events* into batches of at most *most*, never between a model and its capabilities.

    Each batch is a whole of its own: a reader that stops behind one has a catalogue that was true.
    """
    found: list[list[ModelEvent]] = []
    for group in _groups(events):
        if not found or len(found[-1]) + len(group) > most:
            found.append([])
        found[-1] += group
    return found


def _groups(events: list[ModelEvent]) -> list[list[ModelEvent]]:
    groups: list[list[ModelEvent]] = []
    last = None
    for event in events:
        id_ = event.model.id if isinstance(event, ModelAdded | ModelUpdated) else event.model_id
        if id_ != last:
            groups.append([])
            last = id_
        groups[-1].append(event)
    return groups


def _guarded(
    known: Known,
    observation: Observation,
    seen: Mapping[str, ModelRecord],
    policy: Policy,
    now: Instant,
) -> bool:
    """Whether the list lost too much; where all of it is proven by now, it is believed again."""
    if not observation.complete:
        return False
    listed = [id_ for id_, model in known.models.items() if model.missing_since is None]
    lost = [id_ for id_ in listed if id_ not in seen]
    if all(_is_proven(known.absences.get(id_), policy, now) for id_ in lost):
        return False
    return guarded(len(lost), len(listed), policy.shrink_guard)


def _is_proven(waits: Absence | None, policy: Policy, now: Instant) -> bool:
    """Whether one more list without it proves that a model is missing that was awaited."""
    return waits is not None and proven(
        again(waits, now), now, scans=policy.removal_scans, hold=policy.removal_hold
    )


def _unseen(  # noqa: PLR0913, PLR0917 - all that an absence depends on
    observation: Observation,
    known: Known,
    id_: str,
    policy: Policy,
    now: Instant,
    guard: bool,  # noqa: FBT001
) -> tuple[list[ModelEvent], Absence | None]:
    """Return what it means that a model is not in the list, and whether it is awaited still."""
    model, waits = known.models[id_], known.absences.get(id_)
    if policy.shrink_guard is None:
        waits = None
    if not observation.complete:
        return [], waits
    if model.missing_since is None and (guard or waits is not None):
        if not _is_proven(waits, policy, now):
            return [], again(waits, now)
        return [missing(observation.provider, model, now, again(waits, now))], None
    if guard and model.proven_at is None:
        return [], None
    scans, hold = policy.removal_scans, policy.removal_hold
    return absent(observation.provider, model, now, scans=scans, hold=hold), None


def _added(provider: str, record: ModelRecord, now: Instant) -> list[ModelEvent]:
    added: list[ModelEvent] = [ModelAdded(at=now, provider=provider, model=record)]
    return added + _capabilities(provider, record.id, {}, record.capabilities, now)


def _updated(
    provider: str, old: ModelRecord, new: ModelRecord, masked: frozenset[str], now: Instant
) -> list[ModelEvent]:
    changed = differences(old, new)
    if all(_is_masked(change, masked) for change in changed):
        return []
    updated: list[ModelEvent] = [
        ModelUpdated(at=now, provider=provider, model=new, changed=changed)
    ]
    return updated + _capabilities(provider, new.id, old.capabilities, new.capabilities, now)


def _is_masked(change: Change, masked: frozenset[str]) -> bool:
    return change.path.removeprefix("sources.") in masked


def _capabilities(
    provider: str, id_: str, old: dict[str, bool], new: dict[str, bool], now: Instant
) -> list[ModelEvent]:
    """Return each capability whose being known true has changed."""
    before = {name for name, known in old.items() if known}
    after = {name for name, known in new.items() if known}
    return [
        (CapabilityGained if name in after else CapabilityLost)(
            at=now, provider=provider, model_id=id_, capability=name
        )
        for name in sorted(before ^ after)
    ]


def listed(models: dict[str, KnownModel]) -> int:
    """Return how many of *models* are in the list now."""
    return sum(model.missing_since is None for model in models.values())
