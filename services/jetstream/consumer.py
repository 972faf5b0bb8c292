"""A consumer of our own: the server sends what was asked for, so a slow reader holds little.

It is a pull consumer. With a push consumer nats-py answers the server's flow control when a message
arrives, not when it was handled: what is read too slowly piles up until it is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as Inbox
from nats.errors import Error

from events.envelope import Stored
from services.jetstream.api import PREFIX, ask
from services.jetstream.connect import Client
from services.jetstream.messages import recorded

BATCH = 1_000
"""Messages of one request; up to twice as many are on their way or wait."""
BATCH_BYTES = 8_000_000
SECOND = 1_000_000_000
HEARTBEAT_SECONDS = 5
EXPIRES_SECONDS = 30
IDLE_SECONDS = 60
"""How long the server keeps a consumer that nobody asks any more."""
SILENCE_SECONDS = 15.0
LOOK_SECONDS = 0.25
_ACK = "$JS.ACK."
_TOKENS = 9
_HEARTBEAT = "100"
_REQUEST = msgspec.json.encode(
    {
        "batch": BATCH,
        "max_bytes": BATCH_BYTES,
        "expires": EXPIRES_SECONDS * SECOND,
        "idle_heartbeat": HEARTBEAT_SECONDS * SECOND,
    }
)


Take = Callable[[Stored], Awaitable[bool] | bool]
"""What takes one message; False where one before it is missing."""


class Consumer:
    """Hands on what a stream has behind a sequence, one message at a time, until something is lost.

    They are handed on where nats-py hands them over: a second queue would cost as much as parsing
    them. *pending* is how many messages followed the last one when it was sent, *beats* whether the
    server has said that there is nothing to send.
    """

    def __init__(self, nc: Client, stream: str, take: Take) -> None:
        self.pending = 0
        self.beats = False
        self.connection = nc.stats["reconnects"]
        self._nc = nc
        self._stream = stream
        self._take = take
        self._subject = nc.new_inbox()
        self._name = self._subject.rpartition(".")[2]
        self._inbox: Inbox | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._came = 0
        self._taking = False
        self._place = 0  # what the server has sent, as it counts
        self._wanted = 0  # what it was asked for and has not sent

    async def open(self, filter: str, after: int) -> None:
        """Create it behind the sequence *after*; raises NoAnswer and ApiError."""
        self._inbox = await self._nc.subscribe(self._subject, cb=self._taken)
        config = {
            "name": self._name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": after + 1,
            "ack_policy": "none",
            "filter_subject": filter,
            "inactive_threshold": IDLE_SECONDS * SECOND,
            "mem_storage": True,
            "num_replicas": 1,
        }
        await ask(
            self._nc,
            f"CONSUMER.CREATE.{self._stream}.{self._name}.{filter}",
            {"stream_name": self._stream, "config": config},
        )
        await self._ask_for_more()

    async def close(self) -> None:
        """Delete it, and cancel what takes a message; without a server it goes by itself."""
        inbox, self._inbox = self._inbox, None
        self._end()
        if inbox is None or self._nc.is_closed:
            return
        with suppress(Error):
            await inbox.unsubscribe()
            await self._nc.publish(f"{PREFIX}CONSUMER.DELETE.{self._stream}.{self._name}")

    async def lost(self) -> None:
        """Return once a message was lost, or the connection, or the consumer.

        Silence is a loss too: a consumer that is well says so every few seconds. Raises what taking
        a message raised.
        """
        silent, came = 0, 0
        while silent < round(SILENCE_SECONDS / LOOK_SECONDS):
            await asyncio.wait([self._ended], timeout=LOOK_SECONDS)
            if self._ended.done():
                self._ended.result()
                return
            if self._taking or self._inbox is None or self._inbox.pending_msgs:
                silent = 0
            elif self._nc.stats["reconnects"] != self.connection:
                return
            else:
                silent = silent + 1 if self._came == came else 0
            came = self._came

    async def _taken(self, msg: Msg) -> None:
        if self._ended.done():
            return
        self._came += 1
        try:
            if not await self._goes_on(msg):
                self._end()
            elif self._wanted <= BATCH:
                await self._ask_for_more()
        except Exception as error:  # noqa: BLE001 - whoever waits for the loss is told
            if not self._ended.done():
                self._ended.set_exception(error)

    async def _goes_on(self, msg: Msg) -> bool:
        """Take a message of the stream or of the server; False where something is lost."""
        if not msg.reply.startswith(_ACK):
            return self._told(msg.headers or {})
        stored = self._delivered(msg)
        if stored is None:
            return False
        took = self._take(stored)
        if isinstance(took, bool):
            return took
        self._taking = True
        try:
            return await took
        finally:
            self._taking = False

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    async def _ask_for_more(self) -> None:
        """Keep more than one request's worth of messages on their way."""
        while self._nc.is_connected and self._wanted <= BATCH:
            self._wanted += BATCH
            await self._nc.publish(
                f"{PREFIX}CONSUMER.MSG.NEXT.{self._stream}.{self._name}",
                _REQUEST,
                reply=self._subject,
            )

    def _delivered(self, msg: Msg) -> Stored | None:
        """Read where a message stands from its reply subject: nats-py's metadata are slower."""
        tokens = msg.reply.split(".")
        at = 5 if len(tokens) == _TOKENS else 7  # a domain and an account before them
        place = int(tokens[at + 1])
        if place != self._place + 1:
            return None
        self._place = place
        self._wanted -= 1
        self.pending = int(tokens[at + 3])
        seq, stored_ns, headers = int(tokens[at]), int(tokens[at + 2]), msg.headers or {}
        return Stored(seq, msg.subject, recorded(headers, stored_ns), headers, msg.data)

    def _told(self, headers: dict[str, str]) -> bool:
        """Take a sign of life, or the end of a request; False where the consumer has ended."""
        if headers.get("Status") == _HEARTBEAT:
            self.beats = True
            return True
        unused = headers.get("Nats-Pending-Messages")
        self._wanted -= int(unused or 0)
        return unused is not None
