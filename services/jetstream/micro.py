"""A NATS micro service: who can be asked what, discoverable under `$SRV`, and how it goes.

Source: ADR-32 of NATS. nats-py answers one request of an endpoint after the other; here they are
answered side by side, so that one that waits holds up nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from nats.aio.msg import Msg
from nats.errors import Error
from nats.micro.request import ERROR_CODE_HEADER, ERROR_HEADER
from nats.micro.request import Request as Asked
from nats.micro.service import Endpoint, EndpointConfig, EndpointStats, Service, ServiceConfig

from services.jetstream.connect import Client


class Reply(NamedTuple):
    """What is answered; *code* and *message* where it is a refusal."""

    payload: bytes
    code: str | None = None
    message: str = ""


Answer = Callable[[str, bytes], Awaitable[Reply]]
"""Answers the endpoint of a name; raises nothing."""
Figures = Callable[[], Awaitable[dict[str, Any]]]
"""Returns what the service tells of itself besides the statistics."""


class Identity(NamedTuple):
    """What a service calls itself; *queue* is the group that shares the requests."""

    name: str
    version: str
    description: str
    queue: str


@asynccontextmanager
async def serving(
    nc: Client,
    identity: Identity,
    endpoints: Mapping[str, str],
    answer: Answer,
    figures: Figures,
) -> AsyncIterator[None]:
    """Serve *endpoints*, subjects by name, for the length of the block.

    At its end no request is taken any more, and those under way are cancelled: *answer* then
    returns a last reply.
    """
    service = _Service(nc, identity, figures)
    await service.start()
    try:
        for name, subject in endpoints.items():
            await service.open(name, subject, answer)
        with suppress(Error):
            await nc.flush()  # who is told that it serves may ask by another connection
        yield
    finally:
        with suppress(Error):  # the connection may be closed already
            await service.stop()
        await service.leave()


class _Service(Service):
    """The service of nats-py, whose figures are asked for when they are wanted."""

    def __init__(self, nc: Client, identity: Identity, figures: Figures) -> None:
        told = ServiceConfig(
            name=identity.name,
            version=identity.version,
            description=identity.description,
            queue_group=identity.queue,
            stats_handler=self._data,
        )
        super().__init__(nc, told)
        self._told = told
        self._figures = figures
        self._found: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, name: str, subject: str, answer: Answer) -> None:
        """Answer *subject* from now on."""
        endpoint = _Endpoint(self, name, subject, self._told.queue_group, answer, self.beside)
        await endpoint._start()  # noqa: SLF001 - what add_endpoint does, with a kind of our own
        self._endpoints.append(endpoint)

    async def leave(self) -> None:
        """Cancel what is under way, and wait until it is answered."""
        await asyncio.sleep(0)  # what has not begun yet could answer nothing
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def beside(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        """Let *work* go on beside all others."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _data(self, _: EndpointStats) -> dict[str, Any]:
        return self._found

    async def _handle_stats_request(self, msg: Msg) -> None:
        self.beside(self._tell(msg))

    async def _tell(self, msg: Msg) -> None:
        self._found = await self._figures()
        await super()._handle_stats_request(msg)


class _Endpoint(Endpoint):
    """One subject, its requests answered side by side; what is refused counts as an error."""

    def __init__(  # noqa: PLR0913, PLR0917 - what an endpoint is
        self,
        service: Service,
        name: str,
        subject: str,
        queue: str | None,
        answer: Answer,
        beside: Callable[[Any], None],
    ) -> None:
        config = EndpointConfig(
            name=name, handler=self._unused, subject=subject, queue_group=queue, metadata={}
        )
        super().__init__(service, config)
        self._answer = answer
        self._beside = beside

    async def _unused(self, _: Asked) -> None:
        """Answer nothing: `_reply` does."""

    async def _handle_request(self, msg: Msg) -> None:
        self._beside(self._reply(msg))

    async def _reply(self, msg: Msg) -> None:
        began = time.perf_counter_ns()
        self._num_requests += 1
        reply = await self._answer(self._name, msg.data)
        headers = None
        if reply.code is not None:
            self._num_errors += 1
            self._last_error = f"{reply.code}: {reply.message}"  # type: ignore[assignment]  # nats-py infers None
            headers = {ERROR_HEADER: _line(reply.message), ERROR_CODE_HEADER: reply.code}
        if msg.reply:
            with suppress(Error):  # a connection that is closed has nobody left to answer
                await msg._client.publish(msg.reply, reply.payload, headers=headers)  # noqa: SLF001 - as Msg.respond, with headers
        self._processing_time += time.perf_counter_ns() - began
        self._average_processing_time = self._processing_time // self._num_requests


def _line(text: str) -> str:
    """Return *text* as a header may hold it."""
    return " ".join(text.encode("ascii", "replace").decode().split())[:200]
