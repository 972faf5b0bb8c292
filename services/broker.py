"""Commands over NATS: typed requests in, one reply each, through FastStream.

A request that is malformed, too large or refused is answered with an error and told of in the audit
trail; nothing hangs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from faststream import ExceptionMiddleware
from faststream.nats import NatsMessage

from events.audit import CommandAccepted, CommandRejected
from events.requests import LARGEST, Accepted, Changed, Error, ErrorCode, Rebuilding, Refused
from events.subjects import COMMAND
from services import clock
from services.logs import say
from services.process import Broker, Host

Request = TypeVar("Request", bound=msgspec.Struct)
AT_ONCE = 64
"""Requests of one command that are answered at once: one that waits holds up nobody else."""
Accept = Callable[[], Awaitable[None]]
"""Tells the audit trail that the command is carried out."""
CarryOut = Callable[[Request, str, Accept], Awaitable[Accepted | Changed | Rebuilding]]
"""Carries out a request under a correlation id, having accepted it."""


class CommandRefused(Exception):
    """A command that cannot be carried out; the code is one of the contract's."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.command = ""
        self.parameters: dict[str, Any] = {}


class Commands:
    """What a process answers, for the queue group of its name: whoever receives one does it."""

    def __init__(self, host: Host, broker: Broker) -> None:
        self._host = host
        self._broker = broker
        refusals = ExceptionMiddleware()
        refusals.add_handler(CommandRefused, publish=True)(self._refuse)
        refusals.add_handler(Exception, publish=True)(self._fail)
        broker.add_middleware(refusals)

    def answer(self, name: str, kind: type[Request], carry_out: CarryOut[Request]) -> None:
        """Let *carry_out* answer the command *name*.

        What is no request of *kind*, and what it refuses by CommandRefused, is answered with an
        error.
        """
        decoder = msgspec.json.Decoder(kind)

        async def decode(message: NatsMessage) -> Request:
            body = message.body
            refused: CommandRefused
            try:
                if len(body) <= LARGEST:
                    return decoder.decode(body or b"{}")
                refused = CommandRefused("too_large", f"{len(body)} bytes; at most {LARGEST}")
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                refused = CommandRefused("invalid", f"{name}: {error}")
            refused.command = name
            raise refused

        async def handle(request: Request) -> bytes:
            correlation_id = clock.new_id()
            parameters = msgspec.to_builtins(request)

            async def accept() -> None:
                accepted = CommandAccepted(
                    at=self._host.clock.now(), command=name, parameters=parameters
                )
                await self._host.record(accepted, correlation_id=correlation_id)

            try:
                return msgspec.json.encode(await carry_out(request, correlation_id, accept))
            except CommandRefused as refused:
                refused.command, refused.parameters = name, parameters
                raise
            except asyncio.CancelledError:
                return _refusal("unavailable", f"the {self._host.name} is stopping; ask again")

        handle.__annotations__["request"] = kind  # FastStream reads it
        subscriber = self._broker.subscriber(
            COMMAND + name, queue=self._host.name, decoder=decode, max_workers=AT_ONCE
        )
        subscriber(handle)

    async def _refuse(self, refused: CommandRefused) -> bytes:
        say("rejected", command=refused.command, code=refused.code, error=str(refused))
        rejected = CommandRejected(
            at=self._host.clock.now(),
            command=refused.command,
            parameters=refused.parameters,
            error=str(refused),
        )
        await self._host.record(rejected)
        return _refusal(refused.code, str(refused))

    async def _fail(self, error: Exception) -> bytes:
        say("command failed", level=logging.ERROR, error=f"{type(error).__name__}: {error}")
        return _refusal(
            "internal", f"{type(error).__name__}; the log of {self._host.name} says more"
        )


def _refusal(code: ErrorCode, message: str) -> bytes:
    return msgspec.json.encode(Refused(error=Error(code=code, message=message)))
