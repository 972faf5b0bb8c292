"""What is stored right now, heard live: at most once, so whoever must not miss it reads the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nats.aio.msg import Msg

from events.codec import BrokenEvent, Event, UnknownEvent, decode
from services.jetstream.connect import Client

Take = Callable[[Event, Mapping[str, str]], None]
"""Given each event and its headers; must not raise and not block."""


async def hear(nc: Client, subject: str, take: Take) -> None:
    """Give *take* every event that is stored under a public *subject* from now on.

    What is not of this version, or did not pass through the log, is left out.
    """

    async def heard(msg: Msg) -> None:
        if not msg.headers or "Nats-Stream" not in msg.headers:
            return
        try:
            event = decode(msg.data)
        except (UnknownEvent, BrokenEvent):
            return
        take(event, msg.headers)

    await nc.subscribe(subject, cb=heard)
