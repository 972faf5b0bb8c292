"""A thousand providers, each checked once a minute by one real monitor process.

    python benchmarks/health_load.py [PROVIDERS] [SECONDS]

The providers are a process of their own, on many addresses of this machine; the server is a real
one. After all have been checked once, for so many seconds: the CPU share of the monitor, its peak
memory, and how long after their planned start cycles began.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import cast

from benchmarks.load import cpu, peak
from events.base import instant_at, millis_of
from events.envelope import opened, seal
from events.health import CheckCompleted
from events.providers import ProviderRegistered
from events.subjects import AUDIT
from services.clock import new_id
from services.demo.simulator import Simulator
from services.jetstream.append import Log
from services.jetstream.connect import Client, close, connect
from services.jetstream.read import pages
from services.jetstream.server import Server
from services.jetstream.setup import ensure

MODELS = 20
INTERVAL = 60.0
ADDRESSES = 250
"""Hosts: a loopback network has more, and nobody has more providers at one."""


async def simulate(folder: Path, providers: int) -> None:
    """Serve the providers until stdin ends."""
    async with Simulator(remember=False) as simulator:
        for number in range(providers):
            host = f"127.0.{1 + number // ADDRESSES}.{2 + number % ADDRESSES}"
            site = simulator.provider(f"provider-{number}", host=host)
            site.models = [f"model-{model}" for model in range(MODELS)]
        urls = {site.name: site.base_url for site in simulator.sites.values()}
        (folder / "urls.json").write_text(json.dumps(urls))
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def register(nc: Client, urls: dict[str, str]) -> None:
    """Let the log have every provider."""
    log = await Log.open(nc)
    for name, url in urls.items():
        event = ProviderRegistered(
            at=instant_at(round(time.time() * 1000)),
            provider=name,
            dialect="openai",
            base_url=url,
            enabled=True,
            priority=0,
            origin="config",
        )
        sealed = seal(event, id=new_id(), source="/modelog/bench/bench")
        await log.append([sealed], family="provider", provider=name, expected=0)


async def checks(nc: Client) -> dict[str, list[CheckCompleted]]:
    """Return the cycles of every provider, in order."""
    found: dict[str, list[CheckCompleted]] = {}
    async for page in pages(nc, AUDIT, after=0, filter="audit.check.>"):
        for stored in page:
            event = cast("CheckCompleted", opened(AUDIT, stored).event)
            found.setdefault(event.provider, []).append(event)
    return found


def lags(cycles: dict[str, list[CheckCompleted]], since: int) -> list[int]:
    """Return by how many milliseconds each cycle since then began after its planned start."""
    return sorted(
        millis_of(now.started_at) - millis_of(before.next_due)
        for of in cycles.values()
        for before, now in pairwise(of)
        if before.next_due is not None and millis_of(before.next_due) >= since
    )


async def main(providers: int, seconds: float) -> bool:
    """Print the figures; tell whether every bar is reached."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pipe = asyncio.subprocess.PIPE
        simulator = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--simulate", str(folder), str(providers)),
            stdin=pipe,
            stdout=pipe,
        )
        stack.push_async_callback(_killed, simulator)
        assert simulator.stdout is not None
        await simulator.stdout.readline()
        server = await Server.start(folder / "nats")
        stack.push_async_callback(server.stop)
        nc = await connect(server.url, role="admin")
        stack.push_async_callback(close, nc)
        await ensure(nc, audit_max_age=None, monitor_url=None)
        await register(nc, json.loads((folder / "urls.json").read_text()))
        (folder / "modelog.toml").write_text("")
        began = time.perf_counter()
        with (folder / "log").open("w") as log:
            monitor = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.cli", "run", "health-monitor"),
                *("--config", str(folder / "modelog.toml"), "--data", str(folder)),
                env={"MODELOG_NATS_URL": server.url, "MODELOG_DATA": str(folder)},
                stdout=log.fileno(),
                stderr=log.fileno(),
            )
            stack.push_async_callback(_killed, monitor)
            async with asyncio.timeout(max(120.0, providers / 4)):
                while len(await checks(nc)) < providers:
                    if monitor.returncode is not None:
                        print((folder / "log").read_text()[-2000:], file=sys.stderr)
                        return False
                    await asyncio.sleep(2)
            print(f"all {providers:,} checked once {time.perf_counter() - began:.0f} s after start")
            await asyncio.sleep(10)
            used, since, at = cpu(monitor.pid), round(time.time() * 1000), time.perf_counter()
            servers = cpu(server.process.pid)
            await asyncio.sleep(seconds)
            took = time.perf_counter() - at
            share = (cpu(monitor.pid) - used) / took
            theirs = (cpu(server.process.pid) - servers) / took
            memory = peak(monitor.pid)
            await asyncio.sleep(1)
            cycles = await checks(nc)
    late = lags(cycles, since)
    p50, p99 = (late[max(0, math.ceil(q * len(late)) - 1)] for q in (0.5, 0.99))
    failed = sum(one.verdict != "OK" for of in cycles.values() for one in of)
    print(
        f"{len(late):,} cycles in {took:.0f} s, {failed} not OK: {share:.0%} of a core (bar 60 %),"
        f" {memory:.0f} MB peak (bar 300), the server {theirs:.0%};"
        f" lag of the grid p50 {p50} ms, p99 {p99} ms (bar 500), max {late[-1]} ms"
    )
    return share < 0.6 and memory < 300 and p99 < 500  # noqa: PLR2004 - the bars


async def _killed(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--simulate", where, count]:
            asyncio.run(simulate(Path(where), int(count)))
        case words:
            given = [int(word) for word in words]
            sys.exit(not asyncio.run(main(*given, *(1000, 180)[len(given) :])))
