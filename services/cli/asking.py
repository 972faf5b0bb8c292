"""Send a command to the process that carries it out, and take its reply."""

from __future__ import annotations

from typing import Any

import msgspec

from events.subjects import COMMAND
from services.cli.failures import ABSENT, FAILED, UNREACHABLE, WRONG, Code, Refusal
from services.cli.log import address, connection
from services.config import Config
from services.jetstream.api import exchange

CODES: dict[str, Code] = {"invalid": WRONG, "not_found": ABSENT, "unavailable": UNREACHABLE}


async def asked(
    config: Config,
    command: str,
    request: object,
    *,
    patience: float = 10.0,
    who: str = "refresher",
) -> dict[str, Any]:
    """Send *request* as *command* and return the reply within *patience* seconds.

    Refuses with the error of the reply, and where no process answers. Raises NoServer.
    """
    async with connection(config, address(config), role="operator") as nc:
        payload = msgspec.json.encode(request)
        answer = await exchange(nc, COMMAND + command, payload, timeout=patience)
    if answer is None:
        told = f"no {who} answers; start one with `modelog up` or `modelog run {who}`"
        raise Refusal(told, UNREACHABLE)
    reply: dict[str, Any] = msgspec.json.decode(answer.data)
    if error := reply.get("error"):
        raise Refusal(error["message"], CODES.get(error["code"], FAILED))
    return reply
