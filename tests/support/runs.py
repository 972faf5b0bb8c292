"""A refresher without its network: histories of fetches, decided and folded as it does."""

from __future__ import annotations

from typing import NamedTuple

from events.audit import RefreshFailed, RefreshOutcome, RefreshQuarantined, RefreshSucceeded
from events.base import Instant, ProviderName
from events.decide.known import NOTHING, Known, evolve, fold
from events.decide.models import Policy, batches, decide
from events.decide.quarantine import told
from events.models import ModelEvent
from events.observation import Observation
from events.record import ModelRecord
from tests.support.strategies import START, Fetch, moments

PROVIDER = ProviderName("acme")


class Lived(NamedTuple):
    """One run: what was known before it, what it wrote to each stream, what is known after it."""

    at: Instant
    before: Known
    facts: list[ModelEvent]
    outcome: RefreshOutcome
    after: Known


def saw(at: Instant, records: tuple[ModelRecord, ...], *, complete: bool = True) -> Observation:
    return Observation(PROVIDER, at, records, complete)


def live(
    history: list[Fetch], policy: Policy, known: Known = NOTHING, since: Instant = START
) -> list[Lived]:
    """Return what becomes of each fetch of *history*, from *known* at *since* on."""
    found: list[Lived] = []
    for at, fetch in zip(moments(history, since), history, strict=True):
        lived = _live(known, fetch, policy, at)
        found.append(lived)
        known = lived.after
    return found


def _live(known: Known, fetch: Fetch, policy: Policy, at: Instant) -> Lived:
    lost = RefreshFailed(at=at, provider=PROVIDER, run_id="r")
    if fetch.end == "failed":
        return Lived(at, known, [], lost, evolve(known, lost))
    believed = fetch.complete and fetch.end != "quarantined"
    decision = decide(known, saw(at, fetch.records, complete=believed), policy, at)
    facts = decision.events
    if fetch.end == "crashed":
        facts = batches(facts, 2)[0] if facts else []
        return Lived(at, known, facts, lost, evolve(fold(known, facts), lost))
    awaits = bool(decision.absences) and believed
    kind = RefreshQuarantined if fetch.end == "quarantined" or awaits else RefreshSucceeded
    models = fold(known, facts).models
    outcome = kind(
        at=at,
        provider=PROVIDER,
        run_id="r",
        complete=fetch.complete,
        held=decision.held,
        absent=told(decision.absences, models, seq=1, believed=not decision.guarded),
        observed_at=at,
    )
    return Lived(at, known, facts, outcome, evolve(fold(known, facts), outcome))


def facts_of(lives: list[Lived]) -> list[ModelEvent]:
    return [fact for lived in lives for fact in lived.facts]
