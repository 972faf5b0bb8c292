"""Commands over NATS: typed requests in, one reply each, through FastStream.

A request that is malformed, unknown, too large or refused is answered with an error and told of in
the audit trail; nothing hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from faststream import ExceptionMiddleware
from faststream.nats import NatsBroker, NatsMessage

from events.audit import CommandRejected
from events.requests import LARGEST, Accepted, Error, ErrorCode, Refused
from events.subjects import COMMAND
from services import clock
from services.logs import say
from services.process import Host

Request = TypeVar("Request", bound=msgspec.Struct)


class CommandRefused(Exception):
    """A command that cannot be carried out; the code is one of the contract's."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        """Keep *code* for the reply."""
        super().__init__(message)
        self.code: ErrorCode = code
        self.parameters: dict[str, Any] = {}


def answer(
    host: Host,
    broker: NatsBroker,
    name: str,
    kind: type[Request],
    carry_out: Callable[[Request, str], Awaitable[Accepted]],
) -> None:
    """Let *carry_out* answer the command *name*, for the queue group of this process.

    It gets the request and a correlation id. What is no request of *kind*, and what it refuses by
    CommandRefused, is answered with an error; so is a bug of ours, which then ends the process.
    """
    decoder = msgspec.json.Decoder(kind)
    refusals: ExceptionMiddleware[bytes] = ExceptionMiddleware()

    async def decode(message: NatsMessage) -> Request:
        if len(message.body) > LARGEST:
            raise CommandRefused("too_large", f"{len(message.body)} bytes; at most {LARGEST}")
        try:
            return decoder.decode(message.body or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CommandRefused("invalid", f"{name}: {error}") from error

    @refusals.add_handler(CommandRefused, publish=True)
    async def refuse(error: CommandRefused) -> bytes:
        say("rejected", command=name, code=error.code, error=str(error))
        await host.record(
            CommandRejected(
                at=host.clock.now(),
                command=name,
                parameters=error.parameters,
                error=str(error),
            )
        )
        return _refusal(error.code, str(error))

    @broker.subscriber(COMMAND + name, queue=host.name, decoder=decode, middlewares=(refusals,))
    async def handle(request: Request) -> bytes:
        correlation_id = clock.new_id()
        parameters = msgspec.to_builtins(request)
        try:
            reply = await carry_out(request, correlation_id)
        except CommandRefused as error:
            error.parameters = parameters
            raise
        except asyncio.CancelledError:
            return _refusal("unavailable", f"{host.name} is stopping; ask again")
        return msgspec.json.encode(reply)


def _refusal(code: ErrorCode, message: str) -> bytes:
    return msgspec.json.encode(Refused(error=Error(code=code, message=message)))
