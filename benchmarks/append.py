"""How fast events are appended, beside nats-py sending the same bytes in the same batches.

    python benchmarks/append.py [EVENTS]

Both against one real server with `sync_interval: always`, in turns, so that a noisy machine is
noisy for both. The ratio is the figure; the rates are of this machine.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import msgspec
from nats.aio.client import Client

from benchmarks import made
from events.envelope import Message
from events.models import ModelEvent
from events.subjects import facts_of
from services.jetstream.append import Log
from services.jetstream.connect import connect
from services.jetstream.server import Server
from services.jetstream.setup import ensure

ROUNDS = 4


async def raw(nc: Client, batch: list[Message], provider: str, expected: int) -> int:
    """Send *batch* as nats-py would: prepared bytes, one atomic batch, first and last awaited."""
    id_ = str(uuid4())
    prepared = []
    for place, message in enumerate(batch, 1):
        headers = {**message.headers, "Nats-Batch-Id": id_, "Nats-Batch-Sequence": str(place)}
        if place == 1:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(expected)
            headers["Nats-Expected-Last-Subject-Sequence-Subject"] = facts_of("model", provider)
        if place == len(batch):
            headers["Nats-Batch-Commit"] = "1"
        prepared.append((message.subject, message.payload, headers))
    began = time.perf_counter()
    first, *middle, last = prepared
    await nc.request(first[0], first[1], headers=first[2], timeout=10)
    for subject, payload, headers in middle:
        await nc.publish(subject, payload, headers=headers)
    answer = await nc.request(last[0], last[1], headers=last[2], timeout=10)
    raw.seconds += time.perf_counter() - began  # type: ignore[attr-defined]
    seq = int(msgspec.json.decode(answer.data)["seq"])
    places = [place for place, one in enumerate(batch, 1) if one.subject.startswith("log.model.")]
    return seq - len(batch) + places[-1]


async def ours(log: Log, batch: list[ModelEvent], provider: str, expected: int) -> int:
    """Seal and append *batch*: all that a refresher does between deciding and knowing."""
    done = await log.append(
        made.sealed(batch), family="model", provider=provider, expected=expected
    )
    return done.expected


async def main(wanted: int) -> None:
    """Print the two rates and their ratio."""
    raw.seconds = 0.0  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        server = await Server.start(Path(folder))
        nc = await connect(server.url, role="bench")
        try:
            await ensure(nc, audit_max_age=None, monitor_url=server.monitor_url)
            log = await Log.open(nc)
            seconds, counts = 0.0, {"ours": 0, "raw": 0}
            for number in range(ROUNDS):
                models = wanted // ROUNDS // 6
                for side in ("ours", "raw"):
                    provider = f"{side}-{number}"
                    expected = 0
                    for batch in made.events(provider, models, 2):
                        if side == "ours":
                            began = time.perf_counter()
                            expected = await ours(log, batch, provider, expected)
                            seconds += time.perf_counter() - began
                        else:
                            expected = await raw(nc, made.sealed(batch), provider, expected)
                        counts[side] += len(batch)
        finally:
            await nc.close()
            await server.stop()
    rate = counts["ours"] / seconds
    floor = counts["raw"] / raw.seconds  # type: ignore[attr-defined]
    print(f"append: {rate:10,.0f} events/s in batches of {made.MOST}, every write synced")
    print(f"        {floor:10,.0f} events/s nats-py, the same bytes prepared")
    print(f"        {rate / floor:10.0%} of the raw rate (bar: 50 %)")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000))
