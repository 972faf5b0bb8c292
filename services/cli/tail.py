"""The end of the log: what is stored, then what is being stored, each event once.

A message on `modelog.>` only rings: what is told is read from the streams, from the last sequence
on. So nothing comes twice, and nothing is lost where the connection was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple, Protocol, Self

from events.base import Instant, later
from events.envelope import Stored
from events.subjects import AUDIT, FACT_SUBJECTS, FACTS
from services.cli.failures import ABSENT, Refusal
from services.cli.log import sequence_at
from services.cli.output import note
from services.jetstream.connect import Client
from services.jetstream.read import NoAnswer, pages

MARGIN = timedelta(hours=1)
"""How far the clocks of those who saw and of the server may be apart."""
LOOK_SECONDS = 2.0
"""How long one sleeps at most before asking whether the connection was lost meanwhile."""
LAG_SECONDS = 0.05
"""A replica may answer a read later than the leader rings."""


class Placed(NamedTuple):
    """A stored message and its stream."""

    stream: str
    stored: Stored


class Heard(Protocol):
    """What is needed of a message that the server sends."""

    @property
    def subject(self) -> str:
        """Its public subject."""
        raise NotImplementedError

    @property
    def headers(self) -> Mapping[str, str] | None:
        """Its headers, with the place where it is stored."""
        raise NotImplementedError

    @property
    def data(self) -> bytes:
        """The event."""
        raise NotImplementedError


Emit = Callable[[list[Placed]], None]


class Tail:
    """The events of a pattern, each once: what is stored, then what comes."""

    def __init__(self, nc: Client, filters: Mapping[str, str]) -> None:
        """Use `open`."""
        self._nc = nc
        self._filters = filters
        self._after: dict[str, int] = {}
        self._began: Instant | None = None
        self._keep: dict[str, Callable[[Stored], bool]] = {}
        self._heard: dict[str, int] = {}
        self._bell = asyncio.Event()

    @classmethod
    async def open(cls, nc: Client, subject: str, filters: Mapping[str, str]) -> Self:
        """Hear from now on what is stored under *subject*, by stream the filters that it means."""
        tail = cls(nc, filters)
        await nc.subscribe(subject, cb=tail._ring)
        await nc.flush()
        return tail

    async def _ring(self, message: Heard) -> None:
        headers = message.headers or {}
        stream, seq = headers.get("Nats-Stream", ""), headers.get("Nats-Sequence", "")
        if stream in self._filters and seq.isdecimal():
            self._after.setdefault(stream, int(seq) - 1)
            self._heard[stream] = max(int(seq), self._heard.get(stream, 0))
            self._bell.set()

    async def start(self, moment: int | Instant) -> None:
        """Begin behind *moment*: a sequence of the facts, or a time.

        Operations are those that were recorded after that fact, or seen after that time. Refuses a
        sequence that the log has not come to yet.
        """
        seq = await sequence_at(self._nc, moment)
        self._after[FACTS] = seq
        self._after[AUDIT] = 0
        if isinstance(moment, str):
            self._began = later(moment, -MARGIN)
            self._keep[AUDIT] = lambda one: one.headers.get("ce-time", "") > moment
        elif (fact := await self._fact(seq)) is not None:
            self._began = fact.recorded_at
            self._keep[AUDIT] = lambda one: one.recorded_ns > fact.recorded_ns
        elif seq:
            told = f"--since: the log ends before sequence {seq}; `modelog status` tells where"
            raise Refusal(told, ABSENT)

    async def _fact(self, seq: int) -> Stored | None:
        """Return the fact at *seq*, or the next one: a reader has no right but to direct gets."""
        if seq < 1:
            return None
        facts = pages(self._nc, FACTS, after=seq - 1, filter=FACT_SUBJECTS, batch=1)
        page: list[Stored] | None = await anext(facts, None)
        return page[0] if page else None

    async def follow(self, emit: Emit) -> None:
        """Give *emit* every event, for ever."""
        reconnects = self._nc.stats["reconnects"]
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._bell.wait()
            again = self._nc.stats["reconnects"]
            if not self._bell.is_set() and again == reconnects:
                continue
            self._bell.clear()
            try:
                await self.read(emit)
            except NoAnswer:
                note("the log does not answer; waiting for it")
                self._bell.set()
                continue
            reconnects = again
            if any(self._after[stream] < seq for stream, seq in self._heard.items()):
                await asyncio.sleep(LAG_SECONDS)
                self._bell.set()

    async def read(self, emit: Emit) -> None:
        """Give *emit* what is stored behind the last event, the streams in one order of time."""
        reached: dict[str, int] = {}
        readers = [self._pages(name, reached) for name in self._filters if name in self._after]
        async for events in merged(readers):
            emit(events)
            self._after.update((one.stream, one.stored.seq) for one in events)
        self._after.update(reached)
        self._keep.clear()

    async def _pages(self, stream: str, reached: dict[str, int]) -> AsyncIterator[list[Placed]]:
        after = self._after[stream]
        began = self._began if stream == AUDIT and not after else None
        keep = self._keep.get(stream)
        async for page in pages(
            self._nc, stream, after=after, filter=self._filters[stream], start_time=began
        ):
            yield [Placed(stream, one) for one in page if keep is None or keep(one)]
            reached[stream] = page[-1].seq


async def merged(readers: list[AsyncIterator[list[Placed]]]) -> AsyncIterator[list[Placed]]:
    """Yield the events of *readers*, each in its own order, all together in the order of time."""
    waiting: list[deque[Placed]] = [deque() for _ in readers]
    going = set(range(len(readers)))
    while True:
        for place in sorted(going):
            while place in going and not waiting[place]:
                page = await anext(readers[place], None)
                waiting[place].extend(page or ())
                if page is None:
                    going.remove(place)
        ready: list[Placed] = []
        while any(waiting) and all(waiting[place] for place in going):
            first = min(filter(None, waiting), key=lambda page: page[0].stored.recorded_ns)
            ready.append(first.popleft())
        if not ready:
            return
        yield ready
