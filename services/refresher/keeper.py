"""Keeps what is registered and what is watched in step: after SIGHUP, and after each command."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Protocol

from events.decide.providers import Registry
from events.requests import Changed, Register, Unregister, Update
from services.broker import Accept
from services.config import Config, ConfigError
from services.logs import say
from services.process import Host
from services.refresher.registry import (
    LetGo,
    apply,
    register,
    unregister,
    update,
)
from services.registered import Registered, registered

UNASKED = 60.0
"""Seconds after which the registry is read without a bell: live messages can be lost."""
TOGETHER = 0.05
"""Seconds that changes have to come together."""

Load = Callable[[], Config]


class Watch(Protocol):
    """Who watches the providers."""

    async def follow(self, registry: Registry) -> None:
        """Watch exactly the enabled providers of *registry*."""

    async def let_go(self, name: str) -> None:
        """End whatever is on its way for a provider."""

    def hold(self, name: str) -> AbstractAsyncContextManager[None]:
        """Let no process run a provider within the block."""
        ...


class Keeper:
    """One change of the registry at a time; `config` is the last one that was right."""

    def __init__(self, host: Host, watch: Watch, config: Config, load: Load) -> None:
        self.config = config
        self._host = host
        self._watch = watch
        self._load = load
        self._turn = asyncio.Lock()

    async def reconcile(self) -> None:
        """Make the registry what the configuration wants, and watch what is registered."""
        async with self._turn, self._leaving() as let_go:
            registry = await apply(self._host, self.config, let_go)
            await self._watch.follow(registry)

    async def reload(self) -> None:
        """Read the configuration again at every SIGHUP; a broken one changes nothing."""
        while True:
            await self._host.hung_up.wait()
            self._host.hung_up.clear()
            try:
                self.config = self._load()
            except ConfigError as error:
                say("not reloaded", level=logging.ERROR, errors="; ".join(error.errors))
                continue
            await self.reconcile()
            say("reloaded", providers=len(self.config.providers))

    async def listen(self, bell: asyncio.Event) -> None:
        """Watch what other processes register: when *bell* rings, and now and then unasked."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(UNASKED):
                    await bell.wait()
            await asyncio.sleep(TOGETHER)
            bell.clear()
            async with self._turn:
                await self._watch.follow((await registered(self._host.nc)).registry)

    async def register(self, table: Register, accept: Accept) -> Changed:
        """Carry out `provider.register`; raises CommandRefused."""
        change = partial(register, self._host, table, self.config)
        return await self._changed(table.name, change, accept)

    async def update(self, table: Update, accept: Accept) -> Changed:
        """Carry out `provider.update`; raises CommandRefused."""
        change = partial(update, self._host, table, self.config)
        return await self._changed(table.name, change, accept)

    async def unregister(self, request: Unregister, accept: Accept) -> Changed:
        """Carry out `provider.unregister`; raises CommandRefused."""
        change = partial(unregister, self._host, request.name)
        return await self._changed(request.name, change, accept)

    @asynccontextmanager
    async def _leaving(self) -> AsyncIterator[LetGo]:
        """Yield what ends a provider's runs, here and elsewhere, until the block is over."""
        held: set[str] = set()
        async with AsyncExitStack() as stack:

            async def let_go(name: str) -> None:
                await self._watch.let_go(name)
                if name not in held:
                    held.add(name)
                    await stack.enter_async_context(self._watch.hold(name))

            yield let_go

    async def _changed(
        self, name: str, change: Callable[[LetGo], Awaitable[Registered]], accept: Accept
    ) -> Changed:
        async with self._turn, self._leaving() as let_go:
            done = await change(let_go)
            await accept()
            await self._watch.follow(done.registry)
        return Changed(accepted=True, seq=done.seqs.get(name, 0))
