"""Follow a stream from a sequence to its end, and on: in order, without a gap, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from events.envelope import MESSAGE_ID, Stored
from events.subjects import AUDIT
from services.jetstream.api import NoAnswer
from services.jetstream.connect import Client
from services.jetstream.consumer import LOOK_SECONDS, Consumer
from services.jetstream.history import Mark, confirm
from services.jetstream.messages import WHOLE, GapInLog, info, message

PATIENCE = 3
"""How often in a row a consumer is made anew that then brings nothing."""

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
    """One reader of one stream: `seq` is the last sequence handled."""

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
        self._nc = nc
        self._epoch = epoch
        self._last: Stored | None = None
        self._handle = handle
        self._on_failure = on_failure
        self._filter = filter or WHOLE[stream]
        self._whole = self._filter == WHOLE[stream]
        self._consumer = Consumer(nc, stream, self._take)
        self._fruitless = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """How many messages followed the last one when the server sent it."""
        return self._consumer.pending

    async def start(self) -> None:
        """Begin to read; raises NoAnswer and ApiError."""
        await self._consumer.open(self._filter, self.seq)
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Read no more; a *handle* that waits is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._consumer.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_failure(error)

    async def _run(self) -> None:
        while True:
            await self._consumer.lost()
            await self._renew()

    def _take(self, stored: Stored) -> Awaitable[bool] | bool:
        """Handle a message; False where one before it is missing that the stream has."""
        seq = stored.seq
        if seq <= self.seq:
            return True
        if self._whole and seq != self.seq + 1:
            return self._jumped(stored)
        handled = self._handle(stored)
        return self._handled(stored) if handled is None else self._slowly(handled, stored)

    def _handled(self, stored: Stored) -> bool:
        self.seq, self._last = stored.seq, stored
        self._fruitless = 0
        return True

    async def _slowly(self, handled: Awaitable[None], stored: Stored) -> bool:
        await handled
        return self._handled(stored)

    async def _jumped(self, stored: Stored) -> bool:
        if not await self._aged(stored.seq):
            return False
        handled = self._handle(stored)
        if handled is not None:
            await handled
        return self._handled(stored)

    async def _renew(self) -> None:
        """Make sure that the stream still is the same one, and read it by another consumer."""
        while True:
            await self._consumer.close()
            while not self._nc.is_connected:  # noqa: ASYNC110 - nats-py has no event to wait for
                await asyncio.sleep(LOOK_SECONDS)
            lost = self._nc.stats["reconnects"] != self._consumer.connection
            self._fruitless = 0 if lost or self._consumer.beats else self._fruitless + 1
            if self._fruitless > PATIENCE:
                raise NoAnswer(f"stream {self.stream}: no consumer brings anything")
            self._consumer = Consumer(self._nc, self.stream, self._take)
            with suppress(NoAnswer):
                last = "" if self._last is None else self._last.headers.get(MESSAGE_ID, "")
                await confirm(self._nc, self.stream, self._epoch, Mark(self.seq, last))
                await self._consumer.open(self._filter, self.seq)
                return

    async def _aged(self, seq: int) -> bool:
        """Tell whether the messages before *seq* are over because of their age.

        False: the stream has them, and the consumer did not send them. Raises GapInLog otherwise.
        """
        missing = self.seq + 1
        if await message(self._nc, self.stream, missing) is not None:
            if self._fruitless >= PATIENCE:
                raise GapInLog(self.stream, missing)
            return False
        if self.stream == AUDIT and (await info(self._nc, self.stream)).first_seq >= seq:
            return True
        raise GapInLog(self.stream, missing)
