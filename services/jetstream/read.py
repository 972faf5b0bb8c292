"""Read the log: one message, pages of history, or the end as it grows; stop at a gap.

Whichever way it was read, a message is the same `Stored`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Self

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as Inbox

from events.base import Instant
from events.envelope import Stored
from events.subjects import AUDIT
from services.jetstream.api import (
    ANSWER_SECONDS,
    DEADLINE_SECONDS,
    LOOK_SECONDS,
    PREFIX,
    ApiError,
    NoAnswer,
    NoStream,
)
from services.jetstream.connect import Client
from services.jetstream.follow import Subscription, follow
from services.jetstream.messages import (
    WHOLE,
    GapInLog,
    StreamInfo,
    info,
    last_message,
    message,
    nanoseconds,
    recorded,
)

__all__ = [
    "GapInLog",
    "NoAnswer",
    "NoStream",
    "Stored",
    "StreamInfo",
    "Subscription",
    "follow",
    "info",
    "last_message",
    "message",
    "pages",
]

PAGE = 5_000
PAGE_BYTES = 8_000_000
"""Below what nats-py holds for one subscription: a direct get knows no flow control."""
_TAIL = "404"
_END = "204"
_ADDED = (
    "Nats-Stream",
    "Nats-Subject",
    "Nats-Sequence",
    "Nats-Time-Stamp",
    "Nats-Num-Pending",
    "Nats-Last-Sequence",
)


async def pages(  # noqa: PLR0913 - one argument a bound
    nc: Client,
    stream: str,
    *,
    after: int,
    filter: str,
    until: int | None = None,
    batch: int = PAGE,
    start_time: Instant | None = None,
) -> AsyncIterator[list[Stored]]:
    """Yield the messages behind *after* that match *filter*, in order, up to the tail.

    No page is empty, none holds more than *batch* messages, and the next one is asked for when the
    last was taken. The last message is that at *until*, if given. *start_time*, which must be one
    of the server's times, stands for a higher *after*. Needs no right but to direct gets, which
    any replica may answer: its tail may lie before the leader's. Raises GapInLog where the filter
    is the whole stream's and a sequence is missing; the age limit of the audit stream makes no
    gap. Raises NoAnswer.
    """
    where: dict[str, object] = {"seq": after + 1}
    if start_time is not None:
        where = {"start_time": start_time}
    whole = WHOLE.get(stream) == filter
    known = whole and start_time is None
    more = True
    while more and (until is None or after < until):
        most = batch if until is None or not known else min(batch, until - after)
        page, more = await _page(nc, stream, where, filter, most)
        if known and page and page[0].seq != after + 1:
            await _aged(nc, stream, after + 1, page[0].seq)
        if whole and _cut_at_gap(page):
            more = True
        if until is not None and page and page[-1].seq > until:
            page, more = [stored for stored in page if stored.seq <= until], False
        if page:
            after, known = page[-1].seq, whole
            where = {"seq": after + 1}
            yield page


async def _page(
    nc: Client, stream: str, where: Mapping[str, object], filter: str, batch: int
) -> tuple[list[Stored], bool]:
    """Return one page and whether there is more, however often it takes to get it whole."""
    request = msgspec.json.encode(
        {**where, "batch": batch, "max_bytes": PAGE_BYTES, "next_by_subj": filter}
    )
    loop = asyncio.get_running_loop()
    end = loop.time() + 2 * DEADLINE_SECONDS
    while loop.time() < end:
        async with _Answers(nc) as answers:
            await nc.publish(f"{PREFIX}DIRECT.GET.{stream}", request, reply=answers.subject)
            last = await answers.whole()
        if last is not None:
            status = last["Status"]
            if status in {_END, _TAIL}:
                more = status == _END and last.get("Nats-Num-Pending", "0") != "0"
                return [_direct(msg) for msg in answers.messages], more
            if status not in {"408", "503"}:
                raise ApiError(f"DIRECT.GET.{stream}", int(status), 0, last.get("Description", ""))
        await asyncio.sleep(0.1)
    raise NoAnswer(f"no answer from JetStream to {PREFIX}DIRECT.GET.{stream}")


class _Answers:
    """Takes the answers to one direct get, up to the status that ends them."""

    def __init__(self, nc: Client) -> None:
        self.subject = nc.new_inbox()
        self.messages: list[Msg] = []
        self._nc = nc
        self._connections = nc.stats["reconnects"]
        self._status: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._subscription: Inbox | None = None

    async def __aenter__(self) -> Self:
        self._subscription = await self._nc.subscribe(self.subject, cb=self._take)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._subscription is not None and not self._nc.is_closed:
            await self._subscription.unsubscribe()

    async def _take(self, msg: Msg) -> None:
        if msg.headers and "Status" in msg.headers:
            if not self._status.done():
                self._status.set_result(msg.headers)
        else:
            self.messages.append(msg)

    async def whole(self) -> dict[str, str] | None:
        """Return the last status, None where it does not come or messages were lost before it."""
        loop = asyncio.get_running_loop()
        heard, end = 0, loop.time() + ANSWER_SECONDS
        while not self._status.done():
            if loop.time() >= end or self._nc.stats["reconnects"] != self._connections:
                return None
            if len(self.messages) > heard:
                heard, end = len(self.messages), loop.time() + ANSWER_SECONDS
            await asyncio.wait((self._status,), timeout=LOOK_SECONDS)
        status = self._status.result()
        last = self.messages[-1].headers if self.messages else None
        if status["Status"] == _END and last is not None:
            complete = status.get("Nats-Last-Sequence") == last.get("Nats-Sequence")
            return status if complete else None
        return status


def _direct(msg: Msg) -> Stored:
    headers = msg.headers or {}
    _, subject, seq, time, *_ = [headers.pop(name, "") for name in _ADDED]
    return Stored(int(seq), subject, recorded(headers, nanoseconds(time)), headers, msg.data)


def _cut_at_gap(page: list[Stored]) -> bool:
    """Shorten *page* to before its first gap: the next page then begins there and is judged."""
    if not page or page[-1].seq - page[0].seq == len(page) - 1:
        return False
    for place, stored in enumerate(page):
        if stored.seq != page[0].seq + place:
            del page[place:]
            return True
    return False


async def _aged(nc: Client, stream: str, missing: int, found: int) -> None:
    """Raise GapInLog unless all before *found* has left the stream because of its age."""
    if stream != AUDIT:
        raise GapInLog(stream, missing)
    first, _ = await _page(nc, stream, {"seq": 1}, WHOLE[stream], 1)
    if not first or first[0].seq < found:
        raise GapInLog(stream, missing)
