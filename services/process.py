"""What every process shares: its connection, its signals, its log lines and its exit.

FastStream carries the life cycle: it starts the commands before the work and stops them before the
work is cancelled. Whatever the work raises ends the process; the supervisor starts it again, and
it goes on from the log.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from importlib.metadata import version

from fast_depends.msgspec import MsgSpecSerializer
from faststream import FastStream
from faststream.nats import NatsBroker
from faststream.nats.security import NatsCredentials, NatsNKey, NatsSecurity

from events.audit import (
    AuditEvent,
    RefreshFailed,
    RefreshQuarantined,
    RefreshSucceeded,
    ServiceFailed,
    ServiceStarted,
    ServiceStopped,
)
from events.codec import Event
from events.envelope import Message, seal
from services import clock as clocks
from services.clock import Clock
from services.config import Config
from services.jetstream.append import Log, NotAppended
from services.jetstream.connect import (
    PING_SECONDS,
    RECONNECT_WAIT_SECONDS,
    Client,
    close,
    connect,
)
from services.jetstream.identity import identity
from services.jetstream.lease import Lease
from services.login import login
from services.logs import say

Broker = NatsBroker
"""What carries the commands of a process."""

GRACE = 3.0
"""Seconds that the work has to end, so that `up` stops in ten."""


class Host:
    """A running process: who it is, what time it is, and its way to the log."""

    def __init__(  # noqa: PLR0913 - what a process is
        self,
        name: str,
        config: Config,
        clock: Clock,
        nc: Client,
        log: Log,
        *,
        lease: Lease | None = None,
    ) -> None:
        """Nothing is read or written yet."""
        self.name = name
        self.instance = clocks.instance()
        self.config = config
        self.clock = clock
        self.nc = nc
        self.log = log
        self.lease = lease
        self.hung_up = asyncio.Event()
        """Set by SIGHUP, which asks to read the configuration again."""

    def under(self, lease: Lease) -> Host:
        """Return the same process at work under *lease*: it appends no facts without it."""
        log = self.log.fenced(lambda: lease.holds)
        return Host(self.name, self.config, self.clock, self.nc, log, lease=lease)

    def seal(
        self, event: Event, *, correlation_id: str | None = None, causation_id: str | None = None
    ) -> Message:
        """Put *event* into its envelope, with an id of its own and this process as its source.

        The outcome of a run has one id, whoever writes it: the second is a duplicate.
        """
        return seal(
            event,
            id=_id_of(event),
            source=f"/modelog/{self.name}/{self.instance}",
            correlation_id=correlation_id,
            causation_id=causation_id,
        )

    async def record(
        self, *events: AuditEvent, correlation_id: str | None = None, deadline: float = 30.0
    ) -> None:
        """Append audit events; raises what `Log.record` raises."""
        sealed = [self.seal(event, correlation_id=correlation_id) for event in events]
        await self.log.record(sealed, deadline=deadline)

    async def ready(self) -> None:
        """Tell the log and the log lines that the process works now."""
        say("ready", process=self.name, instance=self.instance)
        await self.record(ServiceStarted(at=self.clock.now(), **self._self()))

    async def ended(self, failure: BaseException | None) -> None:
        """Tell why the process ends, as far as the log can still be reached."""
        event: ServiceStopped | ServiceFailed
        if failure is None:
            event = ServiceStopped(at=self.clock.now(), reason="told to", **self._self())
        else:
            reason = f"{type(failure).__name__}: {failure}"
            event = ServiceFailed(at=self.clock.now(), reason=reason[:500], **self._self())
        try:
            await self.record(event, deadline=1.0)
        except NotAppended as error:
            say("not recorded", event="service.stopped", error=str(error), level=logging.WARNING)

    def _self(self) -> dict[str, str]:
        return {"process": self.name, "instance": self.instance, "version": version("modelog")}


Work = Callable[[Host], Awaitable[None]]


async def serve(
    name: str,
    config: Config,
    url: str,
    work: Work,
    *,
    commands: Callable[[Host, Broker], None] = lambda _host, _broker: None,
) -> None:
    """Run *work* until SIGINT or SIGTERM, and let it end within `GRACE`.

    *commands* registers what the process answers. Raises NoServer where nothing listens at *url*,
    NoStream where the log was not made yet, and whatever *work* raised.
    """
    failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    credentials = await login(config.nats, name)
    nc = await connect(
        url,
        role=name,
        credentials=credentials,
        on_closed=lambda: _fail(failed, ConnectionError("the connection to NATS is closed")),
        on_error=lambda error: _fail(failed, error),
    )
    try:
        host = Host(name, config, clocks.system(), nc, await Log.open(nc))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, host.hung_up.set)
        broker = NatsBroker(
            [server.strip() for server in url.split(",")],
            name=f"modelog-{name}-commands",
            inbox_prefix=f"_INBOX_{name}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_SECONDS,  # type: ignore[arg-type]  # a float works
            ping_interval=PING_SECONDS,
            graceful_timeout=GRACE,
            security=_security(credentials),
            serializer=MsgSpecSerializer(),
            logger=None,
        )
        commands(host, broker)
        await _run(FastStream(broker, logger=None), host, work, failed)
    finally:
        failed.cancel()
        await close(nc)


async def _run(
    app: FastStream, host: Host, work: Work, failed: asyncio.Future[BaseException]
) -> None:
    """Run the application around *work*; raise what ended it."""
    task: asyncio.Task[None] | None = None

    async def start() -> None:
        nonlocal task
        task = asyncio.ensure_future(work(host))
        task.add_done_callback(lambda done: _ended(failed, done))

    async def stop() -> None:
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=GRACE)

    app.after_startup(start)
    app.on_shutdown(stop)
    failed.add_done_callback(lambda _: app.exit())
    await app.run()
    failure = failed.result() if failed.done() else None
    await host.ended(failure)
    if failure is not None:
        raise failure


def _security(credentials: str | None) -> NatsSecurity | None:
    """Return how the connection of the commands says who it is: as the other one does."""
    if credentials is None:
        return None
    said = identity(credentials)
    if "nkeys_seed_str" in said:
        return NatsNKey.from_seed(said["nkeys_seed_str"])
    return NatsCredentials(said["user_credentials"])


def _id_of(event: Event) -> str:
    if isinstance(event, RefreshSucceeded | RefreshFailed | RefreshQuarantined):
        return clocks.derived_id(event.run_id, "outcome")
    return clocks.new_id()


def _ended(failed: asyncio.Future[BaseException], task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _fail(failed, error)


def _fail(failed: asyncio.Future[BaseException], error: BaseException) -> None:
    if not failed.done():
        failed.set_result(error)
