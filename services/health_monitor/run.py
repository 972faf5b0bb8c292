"""The health monitor's wiring: a watcher per provider, the fleet, and the commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

from events.requests import Accepted, Acknowledge, Changed, Check, Silence
from services.broker import Accept, CommandRefused, Commands
from services.calls.call import client
from services.calls.limits import Limits
from services.config import Config
from services.health_monitor.monitor import Monitor
from services.health_monitor.orders import Orders
from services.health_settings import checking
from services.jetstream.bell import hang
from services.process import Broker, Host, serve
from services.registered import registered

PROVIDERS = "modelog.provider.>"
UNASKED = 60.0
"""Seconds after which the registry is read without a bell: live messages can be lost."""
TOGETHER = 0.05
"""Seconds that changes have to come together."""


async def run(config: Config, url: str, *, load: Callable[[], Config]) -> None:  # noqa: ARG001
    """Run the health monitor until it is told to stop.

    Providers are those that the log has; of the configuration only the bounds of the process
    matter. Raises NoServer where nothing listens at *url*.
    """
    started: asyncio.Future[Orders] = asyncio.Future()

    def orders() -> Orders:
        if not started.done():
            raise CommandRefused("unavailable", "the health-monitor is starting; ask again")
        return started.result()

    async def check(request: Check, correlation_id: str, accept: Accept) -> Accepted:
        return await orders().check(request, correlation_id, accept)

    async def acknowledge(request: Acknowledge, _: str, accept: Accept) -> Changed:
        return await orders().acknowledge(request, accept)

    async def silence(request: Silence, _: str, accept: Accept) -> Changed:
        return await orders().silence(request, accept)

    def commands(host: Host, broker: Broker) -> None:
        answers = Commands(host, broker)
        answers.answer("check", Check, check)
        answers.answer("alert.acknowledge", Acknowledge, acknowledge)
        answers.answer("alert.silence", Silence, silence)

    async def work(host: Host) -> None:
        health = checking(config.health)
        limits = Limits(health.max_concurrency, health.per_host, clock=host.clock)
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(client(fresh=True))
            monitor = Monitor(host, http, limits)
            stack.push_async_callback(monitor.stop)
            bell = await hang(host.nc, PROVIDERS)
            await monitor.listen()
            await monitor.follow((await registered(host.nc)).registry)
            started.set_result(Orders(host, monitor.journal, monitor.watchers))
            await host.ready()
            following = asyncio.create_task(_follow(host, monitor, bell))
            stack.callback(monitor.mind(following).cancel)
            await monitor.forever()

    await serve("health-monitor", config, url, work, commands=commands)


async def _follow(host: Host, monitor: Monitor, bell: asyncio.Event) -> None:
    """Watch what is registered: when *bell* rings, and now and then unasked."""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(UNASKED):
                await bell.wait()
        await asyncio.sleep(TOGETHER)
        bell.clear()
        await monitor.follow((await registered(host.nc)).registry)
