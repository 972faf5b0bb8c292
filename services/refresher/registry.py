"""The registry: the configuration as desired state, and what commands change beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from events.base import Instant
from events.decide.models import batches
from events.decide.models import unregister as removals
from events.decide.providers import Registry, Settings, evolve, reconcile
from events.decide.providers import register as settle
from events.providers import ProviderEvent, ProviderUnregistered
from events.requests import Register, Update
from services import clock
from services.broker import CommandRefused
from services.config import Config, ConfigError, environment, provider_of
from services.effective import table_of
from services.jetstream.append import MOST, SequenceConflict
from services.logs import say
from services.process import Host
from services.refresher.known import replay
from services.registered import Registered, registered

RACES = 20

LetGo = Callable[[str], Awaitable[None]]
"""Ends whatever is on its way for a provider."""


async def apply(host: Host, config: Config, let_go: LetGo) -> Registry:
    """Make the registry what *config* wants, and return it.

    *let_go* ends what is on its way for a provider that leaves. Raises what appending raises.
    """
    wanted = {settings.name: settings for settings in config.providers}
    changed = await _change(
        host, let_go, lambda registry: reconcile(registry, wanted, host.clock.now())
    )
    return changed.registry


async def register(host: Host, table: Register, config: Config, let_go: LetGo) -> Registered:
    """Register a provider; raises CommandRefused where there is one of its name, or it is wrong."""

    def decide(registry: Registry) -> list[ProviderEvent]:
        if table.name in registry:
            raise CommandRefused("conflict", f"{table.name} is registered; update it instead")
        return _settled(registry, msgspec.to_builtins(table), config, host.clock.now())

    return await _change(host, let_go, decide)


async def update(host: Host, table: Update, config: Config, let_go: LetGo) -> Registered:
    """Change what *table* gives of a provider's settings; raises CommandRefused."""

    def decide(registry: Registry) -> list[ProviderEvent]:
        known = table_of(_by_command(registry, table.name))
        given: dict[str, Any] = msgspec.to_builtins(table)
        for key in ("refresh", "health", "options", "headers", "credentials"):
            if key in given:
                given[key] = {**known.get(key, {}), **given[key]}
        return _settled(registry, {**known, **given}, config, host.clock.now())

    return await _change(host, let_go, decide)


async def unregister(host: Host, name: str, let_go: LetGo) -> Registered:
    """Ask a provider no more, and remove its models; raises CommandRefused."""

    def decide(registry: Registry) -> list[ProviderEvent]:
        _by_command(registry, name)
        return [ProviderUnregistered(at=host.clock.now(), provider=name, reason="command")]

    return await _change(host, let_go, decide)


def _by_command(registry: Registry, name: str) -> Settings:
    """Return the settings of a provider that commands may change."""
    if (settings := registry.get(name)) is None:
        known = ", ".join(sorted(registry)) or "none"
        raise CommandRefused("not_found", f"no provider {name!r}; there are: {known}")
    if settings.origin == "config":
        raise CommandRefused(
            "conflict", f"{name} comes from the configuration file; change it there, then SIGHUP"
        )
    return settings


def _settled(
    registry: Registry, table: dict[str, Any], config: Config, now: Instant
) -> list[ProviderEvent]:
    try:
        settings = provider_of(table, config=config, environ=environment())
    except ConfigError as error:
        raise CommandRefused("invalid", "; ".join(error.errors)) from error
    event = settle(registry, settings, now)
    return [] if event is None else [event]


async def _change(
    host: Host, let_go: LetGo, decide: Callable[[Registry], list[ProviderEvent]]
) -> Registered:
    """Append what *decide* makes of the registry, and return it with each last sequence.

    Where another refresher does the same at this moment, what it appended is read and decided
    again. A provider that leaves takes its models with it: first they are removed, then it is
    unregistered, so that a crash in between is made good by the next start.
    """
    for _ in range(RACES):
        registry, seqs = await registered(host.nc)
        try:
            for event in decide(registry):
                if isinstance(event, ProviderUnregistered):
                    await let_go(event.provider)
                    await clear(host, event.provider)
                done = await host.log.append(
                    [host.seal(event)],
                    family="provider",
                    provider=event.provider,
                    expected=seqs.get(event.provider, 0),
                )
                seqs[event.provider] = done.expected
                registry = evolve(registry, event)
                say(_verb(event), provider=event.provider)
        except SequenceConflict:
            await asyncio.sleep(clock.uniform(0, 0.2))
            continue
        return Registered(registry, seqs)
    raise SequenceConflict(f"another refresher changed the registry {RACES} times in a row")


async def clear(host: Host, provider: str) -> None:
    """Remove every model of *provider*: it is asked no more."""
    known, seq = await replay(host.nc, provider)
    for batch in batches(removals(known, provider, host.clock.now()), MOST):
        sealed = [host.seal(event) for event in batch]
        done = await host.log.append(sealed, family="model", provider=provider, expected=seq)
        seq = done.expected


def _verb(event: ProviderEvent) -> str:
    return type(event).__name__.removeprefix("Provider").lower()
