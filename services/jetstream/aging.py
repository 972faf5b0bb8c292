"""What goes when the audit trail is kept for a shorter time."""

from __future__ import annotations

from events.base import instant_at
from events.subjects import AUDIT, AUDIT_SUBJECTS
from services.jetstream.api import stream_info
from services.jetstream.connect import Client
from services.jetstream.messages import nanoseconds
from services.jetstream.read import pages


async def outlived(nc: Client, age: float) -> int:
    """Return how many audit events are stored that are older than *age* seconds.

    So many go once that is the age of their stream. Raises NoStream, NoAnswer and ApiError.
    """
    answer = await stream_info(nc, AUDIT)
    state = answer["state"]
    moment = instant_at(nanoseconds(answer["ts"]) // 1_000_000 - round(age * 1_000))
    kept = pages(nc, AUDIT, after=0, filter=AUDIT_SUBJECTS, batch=1, start_time=moment)
    async for page in kept:
        return max(0, page[0].seq - int(state["first_seq"]))
    return int(state["messages"])
