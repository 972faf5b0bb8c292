"""How long a projector on a new machine takes until it is ready: from a snapshot, and from nothing.

    EVENTS=200000 MODELS=20000 python benchmarks/snapshot.py

One log; the snapshot is made when all but a last hundredth of it is folded, at most 20,000 events,
which is what the projector leaves between two. Each start is a process of its own, which opens a
catalogue in an empty directory as the projector does: it is ready when it has caught up.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.replay import EVENTS, MODELS, fill, high_water
from events.subjects import FACTS, STREAMS
from projections.fold import Folder
from services import clock
from services.jetstream.connect import close, connect
from services.jetstream.messages import info
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from services.projector.follow import Follower
from services.projector.projecting import Projecting
from services.projector.rebuild import opened
from services.projector.snapshotting import EVERY_EVENTS, restored, snapshot

BAR = 10
SHARE = 100
SECONDS = 3_600


async def child(url: str, link: Path, how: str, until: int) -> None:
    """Start with an empty directory, and print the seconds until ready and the peak memory.

    `stored` folds up to *until* first, then stores a snapshot, and prints the seconds of that.
    """
    nc = await connect(url, role="projector")
    began, worked = time.perf_counter(), time.process_time()
    begun = await restored(nc, link) if how == "snapshot" else None
    assert (begun is not None) == (how == "snapshot")
    generation = begun or await opened(nc, link)
    projecting = await Projecting.begin(nc, generation)
    try:
        if how == "stored":
            epochs = {stream: (await info(nc, stream)).epoch for stream in STREAMS}
            follower = Follower(nc, Folder(generation.db, epochs), {})
            await follower.run({FACTS: until}, stop=True)  # to the end of a batch
            generation.finish()
            began, worked = time.perf_counter(), time.process_time()
            await snapshot(nc, link, clock.system())
        else:
            await projecting.fill()
            generation.finish()
        seconds, cpu = time.perf_counter() - began, time.process_time() - worked
        size = size_of(link)
        at = projecting.at[FACTS]
    finally:
        generation.close()
        await close(nc)
    told = {"seconds": seconds, "cpu": cpu, "megabytes": high_water(), "bytes": size, "at": at}
    print(json.dumps(told))


def size_of(link: Path) -> int:
    """Return the bytes of a catalogue."""
    return link.stat().st_size


async def measured(url: str, folder: Path, how: str, until: int = 0) -> dict[str, float]:
    """Run `child` in a process of its own, over a directory of its own."""
    link = folder / how / "catalogue.db"
    link.parent.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--child", url, str(link), how, str(until)),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    result: dict[str, float] = json.loads(printed)
    return result


async def main() -> None:
    """Print both times, their ratio, and the peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = await Server.start(folder / "nats")
        nc = await connect(server.url, role="bench")
        try:
            await ensure(nc, audit_max_age=None, monitor_url=server.monitor_url)
            await fill(nc, EVENTS, MODELS)
            total = (await info(nc, FACTS)).last_seq
            until = total - min(total // SHARE, EVERY_EVENTS)
            stored = await measured(server.url, folder, "stored", until)
            full = await measured(server.url, folder, "nothing")
            quick = await measured(server.url, folder, "snapshot")
            answer = await nc.jetstream().stream_info("OBJ_modelog_snapshots")
        finally:
            await close(nc)
            await server.stop()
    assert quick["at"] == full["at"] == total
    ratio = full["seconds"] / quick["seconds"]
    print(f"snapshot: {total:,} events, snapshot at {until:,}")
    print(f"          {full['seconds']:8.2f} s until ready, full replay")
    print(f"          {quick['seconds']:8.2f} s until ready, from the snapshot and the tail")
    print(f"          {ratio:8.1f} times faster (bar: {BAR})")
    print(f"          {stored['seconds']:8.2f} s to store it")
    print(f"          {full['bytes'] / 1e6:8.1f} MB catalogue")
    print(f"          {answer.state.bytes / 1e6:8.1f} MB snapshot")
    peaks = f"{stored['megabytes']:.0f} MB storing, {quick['megabytes']:.0f} MB starting"
    print(f"          {peaks} at their peak (bar: 250 MB)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        asyncio.run(child(sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
    else:
        asyncio.run(main())
