"""What we know of one provider's models, replayed from the log."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import NamedTuple, cast

from events.audit import Absent, Failure, RefreshFailed, RefreshOutcome, RefreshStarted
from events.base import later
from events.decide.known import NOTHING, Known, counted, evolve, fold
from events.envelope import Recorded, opened
from events.models import ModelEvent
from events.subjects import AUDIT, FACTS, facts_of, outcome_subject
from services.jetstream.connect import Client
from services.jetstream.read import last_message, pages

BELIEVED = ("succeeded", "quarantined")
"""Outcomes that carry what a later run goes on from."""
ENDED = (*BELIEVED, "failed")
MARGIN = timedelta(minutes=1)
"""Server times only serve to jump near the place; what lies before it is not counted."""


class Replayed(NamedTuple):
    """A provider's models as the log has them, and the sequence up to which that is so."""

    known: Known
    seq: int


async def replay(nc: Client, provider: str) -> Replayed:
    """Fold the facts of *provider*, then the outcomes that say how often a model was missing.

    Raises what reading and decoding raise: an event that does not fit stops the process.
    """
    last = await last_outcome(nc, provider, BELIEVED)
    place = _place(last)
    known, seq = NOTHING, 0
    missing: dict[int, Recorded] = {}
    behind: list[ModelEvent] = []
    async for page in pages(nc, FACTS, after=0, filter=facts_of("model", provider)):
        recorded = [opened(FACTS, stored) for stored in page]
        facts = [cast("ModelEvent", one.event) for one in recorded]
        known = fold(known, facts[: sum(one.seq <= place for one in recorded)])
        behind += facts[sum(one.seq <= place for one in recorded) :]
        seq = recorded[-1].seq
        missing |= {one.seq: one for one in recorded if one.subject.split(".")[3] == "missing"}
    if last is not None:
        known = evolve(known, cast("RefreshOutcome", last.event))
    known = fold(known, behind)
    earlier = await _outcomes(nc, provider, _earliest(known, missing), last)
    return Replayed(counted(known, earlier), seq)


def _place(last: Recorded | None) -> float:
    """Return up to which sequence the facts come before the *last* outcome."""
    absent = getattr(last.event, "absent", None) if last is not None else None
    return absent.seq if isinstance(absent, Absent) and absent.seq else math.inf


def _earliest(known: Known, missing: dict[int, Recorded]) -> Recorded | None:
    """Return the first event that made one of the now missing models missing."""
    since = {
        (model.record.id, model.proven_at or model.missing_since)
        for model in known.models.values()
        if model.missing_since is not None
    }
    return next(
        (one for one in missing.values() if (_about(one), one.event.at) in since),
        None,
    )


def _about(recorded: Recorded) -> str:
    return str(getattr(recorded.event, "model_id", ""))


async def _outcomes(
    nc: Client, provider: str, since: Recorded | None, last: Recorded | None
) -> list[RefreshOutcome]:
    """Return the outcomes since a model went missing and before *last*."""
    if since is None or last is None:
        return []
    found: list[Recorded] = []
    for kind in BELIEVED:
        subject = outcome_subject(provider, kind)
        async for page in pages(
            nc, AUDIT, after=0, filter=subject, start_time=later(since.recorded_at, -MARGIN)
        ):
            found += [opened(AUDIT, stored) for stored in page]
    found.sort(key=lambda one: one.seq)
    return [cast("RefreshOutcome", one.event) for one in found if one.seq < last.seq]


async def last_outcome(nc: Client, provider: str, kinds: tuple[str, ...]) -> Recorded | None:
    """Return the newest refresh event of *provider* among *kinds*, None where there is none."""
    found = [
        opened(AUDIT, stored)
        for kind in kinds
        if (stored := await last_message(nc, AUDIT, outcome_subject(provider, kind))) is not None
    ]
    return max(found, key=lambda one: one.seq, default=None)


async def interrupted(nc: Client, provider: str) -> RefreshFailed | None:
    """Return the outcome that a run cut off by a crash still owes, stamped with its start."""
    started = await last_outcome(nc, provider, ("started",))
    if started is None or not isinstance(started.event, RefreshStarted):
        return None
    ended = await last_outcome(nc, provider, ENDED)
    if ended is not None and ended.seq > started.seq:
        return None
    return RefreshFailed(
        at=started.event.at,
        provider=provider,
        run_id=started.event.run_id,
        error=Failure(class_="interrupted", message="the process ended before the run did"),
    )
