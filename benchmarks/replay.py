"""How fast the log is replayed into a fresh catalogue, and in how much memory.

    python benchmarks/replay.py [EVENTS]

Beside it, from the same server in the same run: nats-py's ordered subscription with a callback that
only counts (the floor of reading), and a plain `executemany` of the same rows into the same tables
(the floor of writing). The replay runs in a process of its own, whose peak memory is measured.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from nats.js.api import ConsumerConfig, DeliverPolicy

from benchmarks import made
from events.codec import decode
from events.envelope import Message
from events.models import CapabilityGained, CapabilityLost, ModelAdded, ModelUpdated
from events.subjects import FACTS
from projections import database
from projections.models import RECORD, row
from services.jetstream.append import Log
from services.jetstream.connect import Client, close, connect
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from services.projector.replay import replay

MODELS = 2_000
TURNS = 8


async def fill(nc: Client, wanted: int) -> list[Message]:
    """Append at least *wanted* events, and return them."""
    log = await Log.open(nc)
    appended: list[Message] = []
    number = 0
    while len(appended) < wanted:
        expected = 0
        for batch in made.events(f"provider-{number}", MODELS, TURNS):
            messages = made.sealed(batch)
            done = await log.append(
                messages, family="model", provider=f"provider-{number}", expected=expected
            )
            expected = done.expected
            appended += messages
        number += 1
    return appended


async def count(nc: Client, wanted: int) -> float:
    """Return the seconds in which nats-py's fast path counts *wanted* messages."""
    seen, done = 0, asyncio.Event()

    async def handle(_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == wanted:
            done.set()

    began = time.perf_counter()
    subscription = await nc.jetstream().subscribe(
        "log.>",
        stream=FACTS,
        ordered_consumer=True,
        cb=handle,
        config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
    )
    await asyncio.wait_for(done.wait(), 300)
    seconds = time.perf_counter() - began
    await subscription.unsubscribe()
    return seconds


def write(folder: Path, messages: list[Message]) -> float:
    """Return the seconds in which sqlite3 alone writes the rows that *messages* amount to."""
    models, versions, capabilities = [], [], []
    for seq, message in enumerate(messages, 1):
        event = decode(message.payload)
        if isinstance(event, ModelAdded | ModelUpdated):
            about = (event.provider, event.model.id)
            rest = ("listed", event.at, event.at, None, seq)
            models.append((*about, *row(event.model), *rest))
            told = ("added", "[]", message.payload.decode())
            version = (*about, seq, None, event.at, None, *told, 0, 0.0, "active", None, 0, None)
            versions.append(version)
        elif isinstance(event, CapabilityGained | CapabilityLost):
            capabilities.append((event.provider, f"{event.model_id}-{seq}", "any"))
    generation = database.create(folder / "floor.db")
    db: sqlite3.Connection = generation.db
    places = ", ".join("?" * (len(RECORD) + 7))
    began = time.perf_counter()
    for rows, sql in (
        (models, f"INSERT OR REPLACE INTO models VALUES ({places})"),  # noqa: S608 - ours
        (versions, f"INSERT INTO model_history VALUES (?{14 * ', ?'})"),  # noqa: S608 - ours
        (capabilities, "INSERT INTO model_capabilities VALUES (?, ?, ?)"),
    ):
        for start in range(0, len(rows), 1_000):
            db.execute("BEGIN")
            db.executemany(sql, rows[start : start + 1_000])
            db.execute("COMMIT")
    seconds = time.perf_counter() - began
    generation.close()
    return seconds


async def child(url: str, target: Path) -> None:
    """Replay everything into *target*, and print the seconds and the peak memory."""
    nc = await connect(url, role="projector")
    began = time.perf_counter()
    report = await replay(nc, target, sys.maxsize, lambda _done, _total: None)
    seconds = time.perf_counter() - began
    await close(nc)
    peak = high_water()
    print(json.dumps({"events": report.events, "seconds": seconds, "megabytes": peak}))


def high_water() -> float:
    """Return this process's peak memory in MB; ru_maxrss would begin with that of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def measured(url: str, folder: Path) -> dict[str, float]:
    """Run `child` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--child", url, str(folder / "replayed.db")),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 600)
    result: dict[str, float] = json.loads(printed)
    return result


async def main(wanted: int) -> None:
    """Print the rates, their ratios and the peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = await Server.start(folder / "nats")
        nc = await connect(server.url, role="bench")
        try:
            await ensure(nc, audit_max_age=None, monitor_url=server.monitor_url)
            messages = await fill(nc, wanted)
            read = await count(nc, len(messages))
            ours = await measured(server.url, folder)
            read = min(read, await count(nc, len(messages)))
            written = write(folder, messages)
        finally:
            await close(nc)
            await server.stop()
    total = len(messages)
    rate, floor = ours["events"] / ours["seconds"], total / read
    print(f"replay: {rate:10,.0f} events/s into a fresh catalogue ({total:,} events)")
    print(f"        {floor:10,.0f} events/s nats-py, ordered subscription that only counts")
    print(f"        {total / written:10,.0f} events/s sqlite3, executemany of the same rows")
    print(f"        {rate / floor:10.0%} of the raw read rate (bar: 25 %)")
    print(f"        {rate * written / total:10.0%} of the rate of executemany")
    print(f"        {ours['megabytes']:10,.0f} MB peak of the projector (bar: 200 MB)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        asyncio.run(child(sys.argv[2], Path(sys.argv[3])))
    else:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000))
