"""The configuration as desired state: what differs from the registry becomes events."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, cast

from events.decide.models import batches, unregister
from events.decide.providers import Registry, evolve, reconcile
from events.envelope import opened
from events.providers import ProviderEvent, ProviderUnregistered
from events.subjects import FACTS
from services import clock
from services.config import Config
from services.jetstream.append import MOST, SequenceConflict
from services.jetstream.connect import Client
from services.jetstream.read import pages
from services.logs import say
from services.process import Host
from services.refresher.known import replay

SUBJECTS = "log.provider.>"
RACES = 20


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


async def apply(host: Host, config: Config) -> Registry:
    """Make the registry what *config* wants, and return it.

    Where another refresher does the same at this moment, what it appended is read and compared
    again. Raises what appending raises.
    """
    for _ in range(RACES):
        known = await registered(host.nc)
        wanted = {settings.name: settings for settings in config.providers}
        try:
            return await _append(host, known, reconcile(known.registry, wanted, host.clock.now()))
        except SequenceConflict:
            await asyncio.sleep(clock.uniform(0, 0.2))
    raise SequenceConflict(f"another refresher changed the registry {RACES} times in a row")


async def _append(host: Host, known: Registered, events: list[ProviderEvent]) -> Registry:
    """Append what must have happened to the registry, and return what it is then.

    A provider that leaves takes its models with it: first they are removed, then it is
    unregistered, so that a crash in between is made good by the next start.
    """
    registry = known.registry
    for event in events:
        if isinstance(event, ProviderUnregistered):
            await clear(host, event.provider)
        await host.log.append(
            [host.seal(event)],
            family="provider",
            provider=event.provider,
            expected=known.seqs.get(event.provider, 0),
        )
        registry = evolve(registry, event)
        say(_verb(event), provider=event.provider)
    return registry


async def clear(host: Host, provider: str) -> None:
    """Remove every model of *provider*: it is asked no more."""
    known, seq = await replay(host.nc, provider)
    for batch in batches(unregister(known, provider, host.clock.now()), MOST):
        sealed = [host.seal(event) for event in batch]
        done = await host.log.append(sealed, family="model", provider=provider, expected=seq)
        seq = done.expected


def _verb(event: ProviderEvent) -> str:
    return type(event).__name__.removeprefix("Provider").lower()
