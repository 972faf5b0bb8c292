"""How fast the log is replayed into a fresh catalogue, and in how much memory.

    EVENTS=200000 MODELS=20000 python benchmarks/replay.py

Beside it, from the same server in the same run: nats-py's ordered subscription with a callback that
only counts (the floor of reading), and a plain `executemany` of the replayed rows into the same
tables (the floor of writing). The replay runs in a process of its own, whose peak memory is
measured. The providers of the log take turns: what concerns one model is scattered over it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from nats.js.api import ConsumerConfig, DeliverPolicy

from benchmarks import made
from events.subjects import FACTS
from projections import database
from services.jetstream.append import Log
from services.jetstream.connect import Client, close, connect
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from services.projector.replay import replay

EVENTS = int(os.environ.get("EVENTS", "200000"))
MODELS = int(os.environ.get("MODELS", str(EVENTS // 10)))
EACH = 1_000
"""Models of a provider."""
TURNS = 1_000
"""More than any log has: it ends when it is long enough."""
AT_ONCE = 8
"""Providers that append at a time."""
BATCH = 1_000
READING_SECONDS = 600
BAR = 0.35
MEMORY = 250


class Reading(NamedTuple):
    """How long it took: by the clock, and of the CPU, which a busy machine bends less."""

    seconds: float
    cpu: float


async def fill(nc: Client, wanted: int, models: int) -> int:
    """Append *wanted* events of *models* models, to the end of a round; return how many."""
    log = await Log.open(nc)
    names = [f"provider-{number:03}" for number in range(max(models // EACH, 1))]
    lives = [Life(log, name, min(models, EACH)) for name in names]
    appended = 0
    while lives and appended < wanted:
        for start in range(0, len(lives), AT_ONCE):
            counts = await asyncio.gather(*(one.go_on() for one in lives[start : start + AT_ONCE]))
            appended += sum(counts)
            if appended >= wanted:
                break
        lives = [one for one in lives if not one.over]
    return appended


class Life:
    """One provider, whose events are appended batch by batch."""

    def __init__(self, log: Log, name: str, models: int) -> None:
        self._log = log
        self._name = name
        self._batches = made.events(name, models, TURNS)
        self._expected = 0
        self.over = False

    async def go_on(self) -> int:
        """Append the next batch; return how many events it had."""
        batch = next(self._batches, None)
        if batch is None:
            self.over = True
            return 0
        done = await self._log.append(
            made.sealed(batch), family="model", provider=self._name, expected=self._expected
        )
        self._expected = done.expected
        return len(batch)


async def count(nc: Client, wanted: int) -> Reading:
    """Count *wanted* messages by nats-py's fast path."""
    seen, done = 0, asyncio.Event()

    async def handle(_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == wanted:
            done.set()

    began, worked = time.perf_counter(), time.process_time()
    subscription = await nc.jetstream().subscribe(
        "log.>",
        stream=FACTS,
        ordered_consumer=True,
        cb=handle,
        config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
    )
    await asyncio.wait_for(done.wait(), READING_SECONDS)
    reading = Reading(time.perf_counter() - began, time.process_time() - worked)
    await subscription.unsubscribe()
    return reading


def write(folder: Path, replayed: Path) -> float:
    """Return the seconds in which sqlite3 alone writes the rows of *replayed*."""
    generation = database.create(folder / "floor.db")
    source = sqlite3.connect(replayed)
    seconds = 0.0
    for table in ("models", "model_history", "model_capabilities"):
        rows = source.execute(f"SELECT * FROM {table}")  # noqa: S608 - ours
        places = ", ".join("?" * len(rows.description))
        while some := rows.fetchmany(BATCH):
            began = time.perf_counter()
            generation.db.execute("BEGIN")
            generation.db.executemany(f"INSERT INTO {table} VALUES ({places})", some)  # noqa: S608
            generation.db.execute("COMMIT")
            seconds += time.perf_counter() - began
    source.close()
    generation.close()
    return seconds


async def child(url: str, target: Path) -> None:
    """Replay everything into *target*, and print the seconds and the peak memory."""
    nc = await connect(url, role="projector")
    began, worked = time.perf_counter(), time.process_time()
    report = await replay(nc, target, sys.maxsize, lambda _done, _total: None)
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    await close(nc)
    result = {"events": report.events, "seconds": seconds, "cpu": cpu, "megabytes": high_water()}
    print(json.dumps(result))


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
    printed, _ = await asyncio.wait_for(process.communicate(), 3_600)
    result: dict[str, float] = json.loads(printed)
    return result


async def main() -> None:
    """Print the rates, their ratios and the peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = await Server.start(folder / "nats")
        nc = await connect(server.url, role="bench")
        try:
            await ensure(nc, audit_max_age=None, monitor_url=server.monitor_url)
            total = await fill(nc, EVENTS, MODELS)
            read = await count(nc, total)
            ours = await measured(server.url, folder)
            read = min(read, await count(nc, total))
            written = write(folder, folder / "replayed.db")
        finally:
            await close(nc)
            await server.stop()
    rate, floor = ours["events"] / ours["seconds"], total / read.seconds
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"replay: {rate:10,.0f} events/s into a fresh catalogue ({total:,} events)")
    print(f"        {floor:10,.0f} events/s nats-py, ordered subscription that only counts")
    print(f"        {total / written:10,.0f} events/s sqlite3, executemany of the same rows")
    print(f"        {rate / floor:10.0%} of the raw read rate (bar: {BAR:.0%})")
    print(f"        {read.cpu / ours['cpu']:10.0%} of it by CPU time of the two readers")
    print(f"        {rate * written / total:10.0%} of the rate of executemany")
    print(f"        {ours['megabytes']:10,.0f} MB peak of the projector (bar: {MEMORY} MB)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        asyncio.run(child(sys.argv[2], Path(sys.argv[3])))
    else:
        asyncio.run(main())
