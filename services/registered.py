"""The registry as the log has it: who is asked, and how."""

from __future__ import annotations

from typing import NamedTuple, cast

from events.decide.providers import Registry, evolve
from events.envelope import opened
from events.providers import ProviderEvent
from events.subjects import FACTS
from services.jetstream.connect import Client
from services.jetstream.read import pages

SUBJECTS = "log.provider.>"


class Registered(NamedTuple):
    """The registry as the log has it, and the sequence of each provider's last event."""

    registry: Registry
    seqs: dict[str, int]


async def registered(nc: Client) -> Registered:
    """Fold the registry from the log."""
    registry: Registry = {}
    seqs: dict[str, int] = {}
    async for page in pages(nc, FACTS, after=0, filter=SUBJECTS):
        for stored in page:
            event = cast("ProviderEvent", opened(FACTS, stored).event)
            registry = evolve(registry, event)
            seqs[event.provider] = stored.seq
    return Registered(registry, seqs)
