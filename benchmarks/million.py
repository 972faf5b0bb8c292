"""One long log, and all that must be said of it: replay, rebuild, size, snapshot, and a rival.

    EVENTS=1000000 MODELS=100000 python benchmarks/million.py [PYTHON]

The log is made once, by the real way of appending, and lies in a temporary folder. A projector that
begins with nothing replays it, beside nats-py's ordered subscription that only counts. It stores a
snapshot. Then it rebuilds the catalogue while a writer appends and a reader asks, and a projector
on another machine begins with the snapshot. Each projector is a process of its own.

PYTHON is that of an environment with `eventsourcing` 9.5, which projects the first events of the
same log (RIVAL_EVENTS=50000): fewer, because it is slow; its tables are then smaller than ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import made
from benchmarks.replay import BAR as OF_READING
from benchmarks.replay import MEMORY, Reading, count, fill, high_water
from benchmarks.snapshot import BAR as OF_REPLAY
from benchmarks.snapshot import SECONDS, measured
from events.subjects import FACT_SUBJECTS, FACTS
from projections import Catalogue, history, models
from projections.generations import serving
from services import clock
from services.jetstream.append import Log
from services.jetstream.connect import Client, close, connect
from services.jetstream.messages import info
from services.jetstream.read import pages
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from services.projector.serving import Serving
from services.projector.snapshotting import snapshot

EVENTS = int(os.environ.get("EVENTS", "1000000"))
MODELS = int(os.environ.get("MODELS", "100000"))
RIVAL = int(os.environ.get("RIVAL_EVENTS", "50000"))
OF_RIVAL = 15
MOST_BESIDE = 18_000
"""Events appended beside the rebuild, at most: what the projector leaves between two snapshots."""
PAUSE = 0.25
"""Seconds between two batches of the writer beside the rebuild."""
ASKING = 0.02
HOW = "skipped: python -m venv DIR; DIR/bin/pip install 'eventsourcing==9.5.*'; give DIR/bin/python"
RIVALS = Path(__file__).with_name("eventsourcing_view.py")


class Beside(NamedTuple):
    """What happened while the catalogue was rebuilt."""

    seconds: float
    """Until the new generation served."""
    appended: int
    answers: int
    slowest: float
    """The longest answer to a reader, in seconds."""
    behind: int
    """The most events that an answer lay behind the acknowledged end of the log."""
    backwards: int
    """Answers older than the one before, or without a model that there was."""
    megabytes: float


async def child(url: str, link: Path, how: str) -> None:
    """Store a snapshot of what serves; or keep it, rebuild it, and say when that is done."""
    nc = await connect(url, role="projector")
    try:
        if how == "store":
            began = time.perf_counter()
            await snapshot(nc, link, clock.system())
            print(json.dumps({"seconds": time.perf_counter() - began, "megabytes": high_water()}))
        else:
            print(json.dumps(await rebuilt(nc, link)))
    finally:
        await close(nc)


async def rebuilt(nc: Client, link: Path) -> dict[str, float]:
    """Rebuild what serves, as the projector does it when asked."""
    up = asyncio.Event()

    async def ready() -> None:
        up.set()

    keeping = Serving(nc, link)
    task = asyncio.create_task(keeping.run(ready))
    await asyncio.wait_for(up.wait(), SECONDS)
    old = serving(link)
    began, worked = time.perf_counter(), time.process_time()
    print(keeping.order(), flush=True)
    while serving(link) == old:  # noqa: ASYNC110 - a link has no event to wait for
        await asyncio.sleep(ASKING)
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    await asyncio.sleep(1.0)  # the new generation follows, too
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return {"seconds": seconds, "cpu": cpu, "megabytes": high_water()}


async def run(*command: str | Path, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what a process prints in its last line."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, env=env
    )
    printed, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    result: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return result


async def beside(nc: Client, url: str, link: Path) -> Beside:
    """Rebuild what serves at *link* while a writer appends and a reader asks."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--child", url, str(link), "rebuild"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), SECONDS)  # it has begun
    ended, told = asyncio.Event(), [(await info(nc, FACTS)).last_seq]
    first = told[0]
    writer = asyncio.create_task(append(nc, ended, told))
    reader = asyncio.create_task(ask(link, ended, told))
    printed, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    ended.set()
    await writer
    answers, slowest, behind, backwards = await reader
    result = json.loads(printed)
    return Beside(
        result["seconds"],
        told[0] - first,
        answers,
        slowest,
        behind,
        backwards,
        result["megabytes"],
    )


async def append(nc: Client, ended: asyncio.Event, told: list[int]) -> None:
    """Append the life of one more provider, a batch at a time."""
    log, expected, first = await Log.open(nc), 0, told[0]
    for batch in made.events("provider-live", 1_000, 1_000):
        for start in range(0, len(batch), 100):
            if ended.is_set() or told[0] - first >= MOST_BESIDE:
                return
            done = await log.append(
                made.sealed(batch[start : start + 100]),
                family="model",
                provider="provider-live",
                expected=expected,
            )
            expected = done.expected
            told[0] = done.last
            await asyncio.sleep(PAUSE)


async def ask(link: Path, ended: asyncio.Event, told: list[int]) -> tuple[int, float, int, int]:
    """Open the catalogue anew for every question, as a command does."""
    answers = backwards = behind = last = 0
    slowest = 0.0
    while not ended.is_set():
        acknowledged = told[0]
        began = time.perf_counter()
        seq, there = await asyncio.to_thread(question, link)
        slowest = max(slowest, time.perf_counter() - began)
        answers += 1
        behind = max(behind, acknowledged - seq)
        backwards += seq < last or not there
        last = seq
        await asyncio.sleep(ASKING)
    return answers, slowest, behind, backwards


def question(link: Path) -> tuple[int, bool]:
    """Ask for one model that never goes, and how far the catalogue is."""
    with Catalogue.open(link) as opened:
        about = made.record("provider-000", 1).id
        return opened.seq(), opened.get("provider-000", about) is not None


async def rival(nc: Client, folder: Path, python: str, rate: float) -> None:
    """Let `eventsourcing` project the first `RIVAL` events of the log, as it is and tuned."""
    path, ddl = folder / "facts.jsonl", folder / "ddl.sql"
    with path.open("wb") as file:
        async for page in pages(nc, FACTS, after=0, filter=FACT_SUBJECTS, until=RIVAL):
            file.writelines(stored.payload + b"\n" for stored in page)
    ddl.write_text(models.DDL + history.DDL)
    env = dict(os.environ, PYTHONPATH="")
    for how, bar in (("--as-it-is", OF_RIVAL), ("--tuned", 0)):
        view = folder / f"view{how}.db"
        other = await run(python, RIVALS, path, ddl, view, how, env=env)
        theirs = other["events"] / other["seconds"]
        ratio = rate / theirs
        line(f"{theirs:,.0f}/s", f"eventsourcing {how}, {other['events']:,} events; {load()}")
        line(f"{ratio:,.1f} x", f"ours (bar: {bar}): {verdict(ratio >= bar)}" if bar else "ours")


def line(value: str, what: str) -> None:
    """Print a figure."""
    print(f"{value:>16} {what}", flush=True)


def load() -> str:
    """Say how busy the machine is."""
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def verdict(reached: bool) -> str:  # noqa: FBT001 - the one thing to tell
    """Say it in a word."""
    return "reached" if reached else "MISSED"


async def main(python: str) -> None:
    """Print every figure as soon as it is there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = await Server.start(folder / "nats")
        nc = await connect(server.url, role="bench")
        try:
            await ensure(nc, audit_max_age=None, monitor_url=server.monitor_url)
            await measure(nc, server.url, folder, python)
        finally:
            await close(nc)
            await server.stop()


async def measure(nc: Client, url: str, folder: Path, python: str) -> None:
    """Measure one thing after the other over one log."""
    began = time.perf_counter()
    total = await fill(nc, EVENTS, MODELS)
    seconds = time.perf_counter() - began
    print(f"{total:,} events, {MODELS:,} models; {load()}")
    line(f"{total / seconds:,.0f}/s", f"made and appended, in {seconds:,.0f} s")
    answer = await nc.jetstream().stream_info(FACTS)
    line(f"{answer.state.bytes / total:,.0f} B", "an event in the log's store")

    link = folder / "nothing" / "catalogue.db"
    reading = await count(nc, total)
    full = await measured(url, folder, "nothing")
    reading = min(reading, await count(nc, total))
    replayed(full, reading, total, link)
    rate = total / full["seconds"]

    stored = await run(sys.executable, __file__, "--child", url, link, "store")
    found = await beside(nc, url, link)
    line(f"{found.seconds:,.1f} s", f"rebuild beside {found.appended:,} events appended; {load()}")
    line(f"{total / found.seconds:,.0f}/s", "of the old events alone")
    line(
        f"{found.answers:,}", f"answers to a reader meanwhile, the slowest in {found.slowest:.2f} s"
    )
    line(f"{found.behind:,}", "events behind the log at most, in an answer")
    line(f"{found.backwards}", "answers with a gap or older than before (bar: 0)")
    line(f"{found.megabytes:,.0f} MB", f"peak, both generations (bar: {MEMORY} MB)")

    quick = await measured(url, folder, "snapshot")
    ratio = full["seconds"] / quick["seconds"]
    line(
        f"{quick['seconds']:,.1f} s", f"from the snapshot and a tail of {quick['at'] - total:,.0f}"
    )
    line(
        f"{ratio:,.1f} x",
        f"faster than a full replay (bar: {OF_REPLAY}): {verdict(ratio >= OF_REPLAY)}",
    )
    line(f"{stored['seconds']:,.1f} s", f"to store it, {stored['megabytes']:,.0f} MB at the peak")
    line(f"{quick['megabytes']:,.0f} MB", "peak of the start from it")

    if not python:
        print(f"eventsourcing: {HOW}")
        return
    await rival(nc, folder, python, rate)


def replayed(full: dict[str, float], reading: Reading, total: int, link: Path) -> None:
    """Print what a projector that began with nothing did."""
    rate, floor = total / full["seconds"], total / reading.seconds
    line(
        f"{rate:,.0f}/s",
        f"replayed, in {full['seconds']:,.1f} s, indexes and words included; {load()}",
    )
    line(f"{floor:,.0f}/s", "counted by nats-py's ordered subscription")
    line(
        f"{rate / floor:.0%}",
        f"of that (bar: {OF_READING:.0%}): {verdict(rate / floor >= OF_READING)}",
    )
    line(f"{reading.cpu / full['cpu']:.0%}", "of that by CPU time of the two readers")
    peak = full["megabytes"]
    line(f"{peak:,.0f} MB", f"peak of the projector (bar: {MEMORY} MB): {verdict(peak < MEMORY)}")
    size = full["bytes"]
    line(f"{size / 1e6:,.0f} MB", "catalogue")
    line(f"{size / total:,.0f} B", "an event")
    with Catalogue.open(link) as opened:
        number = sum(1 for _ in opened.search())
    line(f"{size / number:,.0f} B", f"a model of {number:,} with all its versions")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        asyncio.run(child(sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
    else:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
