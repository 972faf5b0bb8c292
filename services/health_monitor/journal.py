"""What the monitor writes: checks by the second, and facts in one batch behind them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from events.alerts import AlertEvent
from events.codec import Event
from events.envelope import Message, seal
from events.health import CheckCompleted, HealthEvent
from services.clock import derived_id
from services.jetstream.append import Appended, Unacknowledged
from services.logs import say
from services.process import Host

TOGETHER = 0.5
"""Seconds of the clock that checks wait for others: every append waits for the disk."""
SHORTEST = 0.02
"""However fast the clock runs."""
MOST = 500


class Journal:
    """The way of one monitor to the log; `run` writes what is put in."""

    def __init__(self, host: Host) -> None:
        """Nothing is written yet."""
        self._host = host
        self._waiting: list[tuple[Message, asyncio.Future[None]]] = []
        self._some = asyncio.Event()
        self._now = asyncio.Event()

    def put(self, event: CheckCompleted) -> asyncio.Future[None]:
        """Let *event* be recorded within `TOGETHER` seconds; the result tells when it is."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sealed = self.seal(event, event.cycle_id, "check")
        self._waiting.append((sealed, done))
        self._some.set()
        return done

    async def flushed(self, done: asyncio.Future[None]) -> None:
        """Wait until what was put in is recorded, and hurry."""
        self._now.set()
        await asyncio.shield(done)

    def seal(self, event: Event, cycle_id: str, position: str) -> Message:
        """Put *event* into its envelope; its id is that of its position in its cycle."""
        return seal(
            event,
            id=derived_id(cycle_id, position),
            source=f"/modelog/{self._host.name}/{self._host.instance}",
            correlation_id=cycle_id,
        )

    async def append(
        self,
        host: Host,
        provider: str,
        events: Sequence[HealthEvent | AlertEvent],
        seqs: dict[str, int],
        cycle_id: str,
    ) -> None:
        """Append *events* of *provider* in one batch, and count *seqs*, the ends of its families.

        *host* stands under the lease of the work. Raises what `Log.append` raises.
        """
        families = [event.__struct_config__.tag.partition(".")[0] for event in events]  # type: ignore[union-attr]
        sealed = [
            self.seal(event, cycle_id, f"{family}|{place}")
            for place, (event, family) in enumerate(zip(events, families, strict=True))
        ]
        present = sorted(set(families), key=families.index)
        first, *others = present
        done: Appended = await host.log.append(
            sealed,
            family=first,
            provider=provider,
            expected=seqs[first],
            also={family: seqs[family] for family in others},
        )
        for place, family in enumerate(families):
            seqs[family] = done.first + place

    async def run(self) -> None:
        """Write what is put in, until cancelled; while the log is away it waits."""
        while True:
            await self._some.wait()
            try:
                wait = max(SHORTEST, self._host.clock.real_seconds(TOGETHER))
                async with asyncio.timeout(wait):
                    await self._now.wait()
            except TimeoutError:
                pass
            await self.flush()

    async def flush(self) -> None:
        """Write what is waiting."""
        self._now.clear()
        while self._waiting:
            batch = self._waiting[:MOST]
            try:
                await self._host.log.record([message for message, _ in batch])
            except Unacknowledged as error:
                say("not recorded yet", level=logging.WARNING, error=str(error))
                continue
            del self._waiting[: len(batch)]
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
        self._some.clear()
