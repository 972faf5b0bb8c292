"""A consumer of our own: the server sends what was asked for, so a slow reader holds little.

It is a pull consumer. With a push consumer nats-py answers the server's flow control when a message
arrives, not when it was handled: what is read too slowly piles up until it is dropped.
"""

from __future__ import annotations

import asyncio
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


class Consumer:
    """What a stream has behind a sequence, one message after the other, until something is lost.

    *pending* is how many messages followed the last one when it was sent, *beats* whether the
    server has said that there is nothing to send.
    """

    def __init__(self, nc: Client, stream: str) -> None:
        self.pending = 0
        self.beats = False
        self.connection = nc.stats["reconnects"]
        self._nc = nc
        self._stream = stream
        self._subject = nc.new_inbox()
        self._name = self._subject.rpartition(".")[2]
        self._inbox: Inbox | None = None
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._place = 0  # what the server has sent, as it counts
        self._wanted = 0  # what it was asked for and has not sent

    async def open(self, filter: str, after: int) -> None:
        """Create it behind the sequence *after*; raises NoAnswer and ApiError."""
        self._inbox = await self._nc.subscribe(self._subject, cb=self._take)
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

    async def close(self) -> None:
        """Delete it; where the server is away it goes by itself."""
        inbox, self._inbox = self._inbox, None
        if inbox is None or self._nc.is_closed:
            return
        with suppress(Error):
            await inbox.unsubscribe()
            await self._nc.publish(f"{PREFIX}CONSUMER.DELETE.{self._stream}.{self._name}")

    async def next(self) -> Stored | None:
        """Return the next message; None where one was lost, or the connection, or the consumer.

        Silence is a loss too: a consumer that is well says so every few seconds.
        """
        while True:
            if self._wanted <= BATCH:
                await self._ask_for_more()
            try:
                msg = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                waited = await self._wait()
                if waited is None:
                    return None
                msg = waited
            if msg.reply.startswith(_ACK):
                return self._delivered(msg)
            if not self._goes_on(msg.headers or {}):
                return None

    async def _take(self, msg: Msg) -> None:
        self._queue.put_nowait(msg)  # as long as what was asked for

    async def _ask_for_more(self) -> None:
        """Keep more than one request's worth of messages on their way."""
        while self._nc.is_connected and self._wanted <= BATCH:
            self._wanted += BATCH
            await self._nc.publish(
                f"{PREFIX}CONSUMER.MSG.NEXT.{self._stream}.{self._name}",
                _REQUEST,
                reply=self._subject,
            )

    async def _wait(self) -> Msg | None:
        for _ in range(round(SILENCE_SECONDS / LOOK_SECONDS)):
            with suppress(TimeoutError):  # not wait_for: it may swallow a cancellation
                async with asyncio.timeout(LOOK_SECONDS):
                    return await self._queue.get()
            if self._nc.stats["reconnects"] != self.connection:
                return None
        return None

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

    def _goes_on(self, headers: dict[str, str]) -> bool:
        """Take a sign of life, or the end of a request; False where the consumer has ended."""
        if headers.get("Status") == _HEARTBEAT:
            self.beats = True
            return True
        unused = headers.get("Nats-Pending-Messages")
        self._wanted -= int(unused or 0)
        return unused is not None
