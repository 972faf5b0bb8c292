"""One provider, once: ask, decide, append, and say how it went.

Every run that started gets exactly one outcome: this module writes it, also for a run that is
cancelled; for one that a crash cut off, the next start does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import NamedTuple, TypeVar

import msgspec

from events.audit import (
    Absent,
    Failure,
    RefreshFailed,
    RefreshOutcome,
    RefreshQuarantined,
    RefreshReason,
    RefreshStarted,
    RefreshSucceeded,
)
from events.decide.known import Known, evolve, fold
from events.decide.models import Decision, batches
from events.decide.quarantine import told
from events.models import ModelAdded, ModelEvent, ModelMissing, ModelRemoved, ModelUpdated
from events.observation import Observation
from events.providers import ProviderSchemaChanged
from services import clock as clocks
from services.jetstream.append import MOST, Fenced, SequenceConflict
from services.logs import say
from services.process import Host
from services.refresher.asking import Asking
from services.refresher.fence import LATE, concluded, unless_over
from services.refresher.known import replay
from services.refresher.watched import Watched

T = TypeVar("T")

DEADLINE = 120.0
"""Seconds of the provider's clock that a run has (health.md §7)."""
RACES = 20
"""How often a run decides again because another refresher has appended."""


class Run(NamedTuple):
    """Which run this is, and why."""

    run_id: str
    force: bool = False
    reason: RefreshReason = "schedule"


async def refresh(host: Host, asking: Asking, watched: Watched, run: Run) -> RefreshOutcome:
    """Run *run* of a provider to its outcome, which is in the log when this returns.

    A provider's fault is an outcome, and so is the end of the host's lease: then nothing more is
    appended. Raises what the log raises, and CancelledError after the outcome of class `cancelled`
    was written.
    """
    began = _now()
    started = RefreshStarted(
        at=host.clock.now(),
        provider=watched.name,
        run_id=run.run_id,
        force=run.force,
        reason=run.reason,
        lease=_revision(host),
    )
    try:
        await _surely(host.record(started, correlation_id=run.run_id))
        outcome = await unless_over(_run(host, asking, watched, run), host.lease)
    except Fenced as error:
        outcome = _failed(host, watched, run, Failure(class_="interrupted", message=str(error)))
    except asyncio.CancelledError:
        cancelled = _failed(host, watched, run, Failure(class_="cancelled", message="cancelled"))
        await _surely(_conclude(host, watched, cancelled, began))
        raise
    return await _surely(_conclude(host, watched, outcome, began))


async def _surely(writing: Coroutine[None, None, T]) -> T:
    """Write to the end, also where the run is cancelled meanwhile: its cancellation waits."""
    task = asyncio.create_task(writing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _run(host: Host, asking: Asking, watched: Watched, run: Run) -> RefreshOutcome:
    due = run.reason == "schedule"
    asked = await asking.ask(watched, force=run.force, deadline=DEADLINE, due=due)
    if asked.fetched is None:
        failure = asked.failure or Failure(class_="check_error", message="no answer")
        return _failed(host, watched, run, failure, attempts=asked.attempts)
    fetched = asked.fetched
    now = host.clock.now()
    observation, drift = watched.observed(fetched, now), watched.drifted(fetched, now)
    decision = await append(host, watched, lambda _: observation, run.run_id, drift)
    awaits = bool(decision.absences) and observation.complete
    return (RefreshQuarantined if awaits else RefreshSucceeded)(
        at=host.clock.now(),
        provider=watched.name,
        run_id=run.run_id,
        attempts=asked.attempts,
        models=len(observation.records),
        added=decision.count(ModelAdded),
        updated=decision.count(ModelUpdated),
        missing=decision.count(ModelMissing),
        removed=decision.count(ModelRemoved),
        skipped=observation.skipped,
        duplicates=observation.duplicates,
        complete=observation.complete,
        not_modified=fetched.not_modified,
        held=decision.held,
        absent=_absent(watched, decision),
        observed_at=observation.at,
    )


def _absent(watched: Watched, decision: Decision) -> Absent | None:
    models = () if watched.known is None else watched.known.models
    return told(decision.absences, models, seq=watched.seq, believed=not decision.guarded)


async def append(
    host: Host,
    watched: Watched,
    observe: Callable[[Known], Observation],
    correlation_id: str,
    drift: ProviderSchemaChanged | None = None,
) -> Decision:
    """Decide and append; where another refresher was faster, read what is new and decide again.

    *observe* says what was seen; it may depend on what is known. A batch that is in the log stays
    decided: only what is left of the list is decided again. *drift* goes with the first batch.
    """
    appended: list[ModelEvent] = []
    for _ in range(RACES):
        async with watched.turn:
            known = await _known(host, watched)
            seen = observe(known)
            decision = watched.decide(known, seen)
            try:
                for batch in batches(decision.events, MOST - 1) or ([[]] if drift else []):
                    await _append(host, watched, batch, drift, correlation_id)
                    watched.known, drift = fold(watched.known or known, batch), None
                    appended += batch
            except SequenceConflict:
                watched.known = None
            else:
                watched.settle(seen, decision)
                return decision._replace(events=appended)
        await asyncio.sleep(clocks.uniform(0, 0.2))
    raise SequenceConflict(f"{watched.name}: another refresher was faster {RACES} times in a row")


async def _append(
    host: Host,
    watched: Watched,
    batch: list[ModelEvent],
    drift: ProviderSchemaChanged | None,
    correlation_id: str,
) -> None:
    """Append one batch, and *drift* beside it; raises what `Log.append` raises."""
    events = [*batch, drift] if drift is not None else batch
    sealed = [host.seal(event, correlation_id=correlation_id) for event in events]
    expected = {"model": watched.seq} if batch else {}
    if drift is not None:
        expected["provider"] = await host.log.last("provider", watched.name)
    family, *others = expected
    done = await host.log.append(
        sealed,
        family=family,
        provider=watched.name,
        expected=expected[family],
        also={other: expected[other] for other in others},
    )
    if batch:
        watched.seq = done.expected


async def _known(host: Host, watched: Watched) -> Known:
    if watched.known is None:
        replayed = await replay(host.nc, watched.name)
        watched.known, watched.seq = replayed
    return watched.known


def _failed(
    host: Host, watched: Watched, run: Run, failure: Failure, *, attempts: int = 0
) -> RefreshFailed:
    return RefreshFailed(
        at=host.clock.now(),
        provider=watched.name,
        run_id=run.run_id,
        attempts=attempts,
        error=failure,
    )


async def _conclude(
    host: Host, watched: Watched, outcome: RefreshOutcome, began: float
) -> RefreshOutcome:
    """Write the outcome, count what it means, and say it on one line."""
    duration = round((_now() - began) * 1000)
    outcome = msgspec.structs.replace(outcome, duration_ms=duration, lease=_revision(host))
    if duration < 1000 * LATE or not await concluded(host.nc, watched.name, outcome.run_id):
        await host.record(outcome, correlation_id=outcome.run_id)
    if outcome.absent is not None and outcome.absent.seq != watched.seq:
        watched.known = None  # its places are those of a sequence that is past
    if watched.known is not None:
        watched.known = evolve(watched.known, outcome)
    if outcome.error is None:
        facts = outcome.added + outcome.updated + outcome.missing + outcome.removed
        say(
            "refreshed",
            provider=watched.name,
            models=outcome.models,
            changes=facts,
            seconds=duration / 1000,
        )
    else:
        say(
            "failed",
            level=logging.WARNING,
            provider=watched.name,
            error=outcome.error.class_,
            message=outcome.error.message,
            attempts=outcome.attempts,
        )
    return outcome


def _revision(host: Host) -> int | None:
    return None if host.lease is None else host.lease.revision


def _now() -> float:
    """Real seconds: in the demo, a run does not take the hours that pass meanwhile."""
    return clocks.elapsed()
