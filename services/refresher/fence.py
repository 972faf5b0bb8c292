"""What a run does when its lease is over: it stops, appends nothing, and has one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from events.base import instant_of
from events.envelope import opened
from events.subjects import AUDIT, outcome_subject
from services.jetstream.append import Fenced
from services.jetstream.connect import Client
from services.jetstream.lease import Lease
from services.jetstream.read import pages
from services.refresher.known import ENDED, MARGIN

LATE = 300.0
"""Seconds after which an outcome is looked for before it is written: half the audit's window."""

T = TypeVar("T")


async def unless_over(work: Coroutine[None, None, T], lease: Lease | None) -> T:
    """Return what *work* does; where *lease* is over first, end it and raise Fenced."""
    task = asyncio.create_task(work)
    over = asyncio.create_task(_over(lease))
    try:
        await asyncio.wait((task, over), return_when=asyncio.FIRST_COMPLETED)
    finally:
        over.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
    if task.cancelled():
        raise Fenced("the lease was over before the run was")
    return task.result()


async def _over(lease: Lease | None) -> None:
    await (asyncio.Event() if lease is None else lease.over).wait()


async def concluded(nc: Client, provider: str, run_id: str) -> bool:
    """Tell whether the log holds an outcome of the run; raises what `pages` raises."""
    began = datetime.fromtimestamp((UUID(run_id).int >> 80) / 1000, tz=UTC)
    since = instant_of(began - MARGIN - timedelta(seconds=LATE))
    for kind in ENDED:
        subject = outcome_subject(provider, kind)
        async for page in pages(nc, AUDIT, after=0, filter=subject, start_time=since):
            found = (opened(AUDIT, stored).event for stored in page)
            if any(getattr(event, "run_id", "") == run_id for event in found):
                return True
    return False
