"""A bell that rings when something new is under a public subject: it says that, and no more.

Live messages can be lost, so whoever hears it reads the log, and looks now and then unasked.
"""

from __future__ import annotations

import asyncio

from nats.aio.msg import Msg

from services.jetstream.connect import Client


async def hang(nc: Client, subject: str) -> asyncio.Event:
    """Return an event that is set by each message under *subject*; who waits for it clears it."""
    rung = asyncio.Event()

    async def ring(_: Msg) -> None:
        rung.set()

    await nc.subscribe(subject, cb=ring)
    return rung
