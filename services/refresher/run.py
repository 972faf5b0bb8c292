"""The refresher's wiring: a task per provider, and the commands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial

from events.audit import RefreshOutcome
from events.codec import Event
from events.decide.providers import Registry, Settings
from events.health import CheckCompleted
from events.requests import Accepted, Changed, Refresh, Register, Unregister, Update
from services.broker import Accept, CommandRefused, Commands
from services.calls.call import client
from services.calls.limits import Limits
from services.config import Config
from services.jetstream.bell import hang
from services.jetstream.hear import hear
from services.jetstream.lease import Leases
from services.process import Broker, Host, serve
from services.refresher.asking import Asking
from services.refresher.enrich import Enrichment
from services.refresher.filling import fill
from services.refresher.flights import Flights
from services.refresher.keeper import Keeper, Load
from services.refresher.keeping import KIND, Keeping
from services.refresher.orders import Orders
from services.refresher.snapshot import FILE
from services.refresher.turns import Turns
from services.refresher.vitals import Vitals
from services.refresher.watched import Watched
from services.registered import registered
from services.seats import Seats
from services.waits import Waits

PROVIDERS = "modelog.provider.>"
PATIENCE = 1.5
"""Seconds that runs have to end by themselves when the process is told to stop."""


class Refresher:
    """All providers that this process refreshes, and the runs that are on their way."""

    def __init__(self, host: Host, asking: Asking) -> None:
        self._host = host
        leases = Leases(host.nc, host.instance)
        self.turns = Turns(host, asking, leases)
        self._seats = Seats(leases, host.name, KIND)
        self.vitals = Vitals(host)
        self._keeping = Keeping(host, asking, self._seats, self.turns, self.vitals)
        self._enrichment: Enrichment | None = None
        self._enriching: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.watched: dict[str, Watched] = {}
        self.flights: dict[str, Flights] = {}
        self.orders = Orders(host, self.flights, self.turns, self._ended)
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def enrich(self, enrichment: Enrichment) -> None:
        """Fill what providers leave unknown from now on; called before any is watched."""
        host = self._host

        async def passing() -> None:
            watched = [(one, self._seats.under(host, name)) for name, one in self.watched.items()]
            await fill(watched, enrichment.of)

        self._enrichment = enrichment
        self._enriching = self.mind(asyncio.create_task(enrichment.follow(passing)))

    def mind(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """Fail where *task* does, and return it."""
        task.add_done_callback(self._ended)
        return task

    async def follow(self, registry: Registry) -> None:
        """Watch exactly the enabled providers of *registry*; the others are let go."""
        self._seats.start(self._ended)
        for name, watched in list(self.watched.items()):
            if registry.get(name) != watched.settings:
                await self.let_go(name)
        for name, settings in registry.items():
            if settings.enabled and name not in self.watched:
                self._watch(settings)
        self.vitals.enabled = list(self.watched)

    def _watch(self, settings: Settings) -> None:
        watched = Watched(settings)
        if self._enrichment is not None:
            watched.enrich = self._enrichment.of(settings)
        flights = Flights(partial(self.turns.fly, watched))
        self.watched[settings.name] = watched
        self.flights[settings.name] = flights
        task = asyncio.create_task(self._keeping.keep(watched, flights))
        self._tasks[settings.name] = self.mind(task)

    async def listen(self) -> None:
        """Hear of providers' health, and of the lists that checks see."""
        await self.vitals.listen()
        self._following = self.mind(asyncio.create_task(self.vitals.follow()))
        await hear(self._host.nc, "modelog.audit.check.>", self._checked)

    def _checked(self, event: Event, _: Mapping[str, str]) -> None:
        """Refresh now where a check has seen another list than the last one."""
        if not isinstance(event, CheckCompleted):
            return
        watched = self.watched.get(event.provider)
        if watched is None or not watched.saw(event):
            return
        if self._seats.under(self._host, watched.name) is None:
            return
        ticket = self.flights[watched.name].request(reason="schedule")
        if not ticket.joined:
            ticket.ended.add_done_callback(partial(_restless, watched))

    def _ended(self, task: asyncio.Task[None] | asyncio.Task[RefreshOutcome]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._failed.done():
            self._failed.set_exception(error)

    async def let_go(self, name: str) -> None:
        """Watch a provider no more: its runs on their way get the outcome `cancelled`."""
        if name in self.watched:
            task = self._tasks.pop(name)
            task.cancel()
            del self.watched[name]
            await self.flights.pop(name).stop()
            await asyncio.wait([task])

    async def settle(self, names: Iterable[str]) -> None:
        """Tell how runs ended that a crash cut off, of those that are not watched any more."""
        gone = [name for name in names if name not in self.watched]
        await asyncio.gather(*(self.turns.settle(name) for name in gone))

    def hold(self, name: str) -> AbstractAsyncContextManager[None]:
        """Let no process run a provider within the block."""
        return self.turns.hold(name)

    async def forever(self) -> None:
        """Wait until a provider's task fails, and raise what it raised."""
        await self._failed

    async def stop(self) -> None:
        """End every task: runs get a moment to end by themselves, then they are cancelled."""
        for task in (*self._tasks.values(), *filter(None, [self._enriching, self._following])):
            task.cancel()
        flying = [flights.landed() for flights in self.flights.values()]
        if flying:
            await asyncio.wait([asyncio.ensure_future(one) for one in flying], timeout=PATIENCE)
        await asyncio.gather(*(self.let_go(name) for name in list(self.watched)))
        await asyncio.gather(self.turns.stop(), self._seats.stop())


def _restless(watched: Watched, ended: asyncio.Task[RefreshOutcome]) -> None:
    """Take note where another body was the same list: it changes at every look."""
    if ended.cancelled() or ended.exception() is not None:
        return
    outcome = ended.result()
    changes = outcome.added + outcome.updated + outcome.missing + outcome.removed
    watched.restless = outcome.error is None and not changes


async def run(config: Config, url: str, *, load: Load) -> None:
    """Run the refresher until it is told to stop; *load* reads the configuration again on SIGHUP.

    Raises NoServer where nothing listens at *url*.
    """
    started: asyncio.Future[tuple[Refresher, Keeper]] = asyncio.Future()

    def parts() -> tuple[Refresher, Keeper]:
        if not started.done():
            raise CommandRefused("unavailable", "the refresher is starting; ask again")
        return started.result()

    async def refresh_now(request: Refresh, correlation_id: str, accept: Accept) -> Accepted:
        return await parts()[0].orders.refresh(request, correlation_id, accept)

    async def register(table: Register, _: str, accept: Accept) -> Changed:
        return await parts()[1].register(table, accept)

    async def update(table: Update, _: str, accept: Accept) -> Changed:
        return await parts()[1].update(table, accept)

    async def unregister(request: Unregister, _: str, accept: Accept) -> Changed:
        return await parts()[1].unregister(request, accept)

    def commands(host: Host, broker: Broker) -> None:
        answers = Commands(host, broker)
        answers.answer("refresh", Refresh, refresh_now)
        answers.answer("provider.register", Register, register)
        answers.answer("provider.update", Update, update)
        answers.answer("provider.unregister", Unregister, unregister)

    async def work(host: Host) -> None:
        limits = Limits(config.refresh.max_concurrency, clock=host.clock)
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(client())
            waits = Waits(host.clock, host.nc)
            refresher = Refresher(host, Asking(http, limits, host.clock, waits))
            stack.push_async_callback(refresher.stop)
            bell = await hang(host.nc, PROVIDERS)
            past = (await registered(host.nc)).registry
            enrichment = Enrichment(
                config.enrichment,
                config.data / FILE,
                client=http,
                limits=limits,
                clock=host.clock,
            )
            refresher.enrich(enrichment)
            await refresher.listen()

            def reload() -> Config:
                loaded = load()
                enrichment.configure(loaded.enrichment)
                return loaded

            keeper = Keeper(host, refresher, config, reload)
            await keeper.reconcile()
            await refresher.settle(past)
            started.set_result((refresher, keeper))
            await host.ready()
            for task in (keeper.reload(), keeper.listen(bell)):
                stack.callback(refresher.mind(asyncio.create_task(task)).cancel)
            await refresher.forever()

    await serve("refresher", config, url, work, commands=commands)
