"""Follow a stream from a sequence to its end, and on: in order, without a gap, or not at all.

The consumer is ours alone, and gone with us. It is a pull consumer: the server sends only what was
asked for, so that a slow reader costs a bounded amount of memory. (With a push consumer nats-py
answers the server's flow control when a message arrives, not when it was handled.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as Inbox
from nats.errors import Error

from events.envelope import MESSAGE_ID, Stored
from events.subjects import AUDIT
from services.jetstream.api import PREFIX, NoAnswer, ask
from services.jetstream.connect import Client
from services.jetstream.history import Mark, confirm
from services.jetstream.messages import WHOLE, GapInLog, info, message

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
PATIENCE = 3
"""How often in a row a consumer is made anew that then brings nothing."""
_ACK = "$JS.ACK."
_TOKENS = 9
_REQUEST = msgspec.json.encode(
    {
        "batch": BATCH,
        "max_bytes": BATCH_BYTES,
        "expires": EXPIRES_SECONDS * SECOND,
        "idle_heartbeat": HEARTBEAT_SECONDS * SECOND,
    }
)

Handle = Callable[[Stored], Awaitable[None] | None]
Fail = Callable[[BaseException], None]


async def follow(  # noqa: PLR0913 - where from, what, and to whom
    nc: Client,
    stream: str,
    *,
    after: int,
    handle: Handle,
    on_failure: Fail,
    filter: str | None = None,
) -> Subscription:
    """Hand every message behind *after* to *handle*, in order, one at a time, until stopped.

    Without *filter* these are all of the stream's, and a missing sequence ends it with GapInLog;
    only the age limit of the audit stream makes no gap. *handle* may be awaitable, and as slow as
    it likes: no more than two thousand messages are read ahead. After a lost connection or message
    it goes on behind the last one handled, if the stream still is the one that it was. Whatever
    *handle* or reading raises ends it: *on_failure* is told, once, and nothing more is handled.
    Raises HistoryChanged where the stream does not reach *after*, NoStream, NoAnswer and ApiError.
    """
    epoch = (await info(nc, stream)).epoch
    await confirm(nc, stream, epoch, Mark(after, ""))
    subscription = Subscription(nc, stream, epoch, after, handle, on_failure, filter)
    await subscription.start()
    return subscription


class Subscription:
    """One reader of one stream: `seq` is the last sequence handled, `pending` how many follow."""

    def __init__(  # noqa: PLR0913, PLR0917 - see follow()
        self,
        nc: Client,
        stream: str,
        epoch: str,
        after: int,
        handle: Handle,
        on_failure: Fail,
        filter: str | None,
    ) -> None:
        self.stream = stream
        self.seq = after
        self.pending = 0
        self._nc = nc
        self._epoch = epoch
        self._id = ""
        self._handle = handle
        self._on_failure = on_failure
        self._filter = filter or WHOLE[stream]
        self._whole = self._filter == WHOLE[stream]
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()  # as long as what was asked for
        self._inbox: Inbox | None = None
        self._consumer = ""
        self._place = 0  # what the consumer has sent, counted by itself
        self._wanted = 0  # what it was asked for and has not sent
        self._connections = 0
        self._fruitless = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read; raises NoAnswer and ApiError."""
        await self._open()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Read no more; a *handle* that waits is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_failure(error)

    async def _run(self) -> None:
        while True:
            await self._until_lost()
            self._fruitless += 1
            while not self._nc.is_connected:  # noqa: ASYNC110 - nats-py has no event to wait for
                await asyncio.sleep(LOOK_SECONDS)
            try:
                await confirm(self._nc, self.stream, self._epoch, Mark(self.seq, self._id))
                await self._open()
            except NoAnswer:
                if self._fruitless > PATIENCE and self._nc.is_connected:
                    raise

    async def _open(self) -> None:
        """Create a consumer behind the last message handled, and ask it for messages."""
        await self._close()
        self._connections = self._nc.stats["reconnects"]
        queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._queue = queue
        self._place = self._wanted = 0

        async def take(msg: Msg) -> None:
            queue.put_nowait(msg)

        subject = self._nc.new_inbox()
        self._consumer = subject.rpartition(".")[2]
        self._inbox = await self._nc.subscribe(subject, cb=take)
        config = {
            "name": self._consumer,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.seq + 1,
            "ack_policy": "none",
            "filter_subject": self._filter,
            "inactive_threshold": IDLE_SECONDS * SECOND,
            "mem_storage": True,
            "num_replicas": 1,
        }
        where = f"{self.stream}.{self._consumer}.{self._filter}"
        request = {"stream_name": self.stream, "config": config}
        await ask(self._nc, f"CONSUMER.CREATE.{where}", request)
        await self._ask_for_more()

    async def _close(self) -> None:
        inbox, self._inbox = self._inbox, None
        if inbox is None or not self._nc.is_connected:
            return
        with suppress(Error):
            await inbox.unsubscribe()
            await self._nc.publish(f"{PREFIX}CONSUMER.DELETE.{self.stream}.{self._consumer}")

    async def _ask_for_more(self) -> None:
        """Keep more than one request's worth of messages on their way."""
        while self._inbox is not None and self._wanted <= BATCH:
            self._wanted += BATCH
            next_ = f"{PREFIX}CONSUMER.MSG.NEXT.{self.stream}.{self._consumer}"
            await self._nc.publish(next_, _REQUEST, reply=self._inbox.subject)

    async def _until_lost(self) -> None:
        """Take what the consumer sends until it, a message or the connection is lost."""
        going = True
        while going:
            try:
                msg = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                waited = await self._wait()
                if waited is None:
                    return
                msg = waited
            if msg.reply.startswith(_ACK):
                going = await self._message(msg)
            else:
                going = self._goes_on(msg.headers or {})
            if going and self._wanted <= BATCH:
                await self._ask_for_more()

    async def _wait(self) -> Msg | None:
        """Return the next message, None where the connection was lost or nobody speaks."""
        for _ in range(round(SILENCE_SECONDS / LOOK_SECONDS)):
            with suppress(TimeoutError):
                return await asyncio.wait_for(self._queue.get(), LOOK_SECONDS)
            if self._nc.stats["reconnects"] != self._connections:
                return None
        return None

    async def _message(self, msg: Msg) -> bool:
        """Handle one message; False where one before it was lost on the way."""
        tokens = msg.reply.split(".")
        at = 5 if len(tokens) == _TOKENS else 7  # a domain and an account before them
        seq, place = int(tokens[at]), int(tokens[at + 1])
        if place != self._place + 1:
            return False
        self._place = place
        self._wanted -= 1
        if seq <= self.seq:
            return True
        if self._whole and seq != self.seq + 1 and not await self._aged(seq):
            return False
        headers = msg.headers or {}
        self.pending = int(tokens[at + 3])
        handled = self._handle(Stored(seq, msg.subject, int(tokens[at + 2]), headers, msg.data))
        if handled is not None:
            await handled
        self.seq = seq
        self._id = headers.get(MESSAGE_ID, "")
        self._fruitless = 0
        return True

    def _goes_on(self, headers: dict[str, str]) -> bool:
        """Take a sign of life, or the end of a request; False where the consumer has ended."""
        if headers.get("Status") == "100":
            self._fruitless = 0
            return True
        unused = headers.get("Nats-Pending-Messages")
        self._wanted -= int(unused or 0)
        return unused is not None

    async def _aged(self, seq: int) -> bool:
        """Tell whether the messages before *seq* are over because of their age.

        False: the stream has them, and the consumer did not send them. Raises GapInLog otherwise.
        """
        missing = self.seq + 1
        if await message(self._nc, self.stream, missing) is not None:
            if self._fruitless > PATIENCE:
                raise GapInLog(self.stream, missing)
            return False
        if self.stream == AUDIT and (await info(self._nc, self.stream)).first_seq >= seq:
            return True
        raise GapInLog(self.stream, missing)
