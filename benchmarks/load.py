"""A hundred providers of five hundred models each, all due at once, beside plain HTTP.

    python benchmarks/load.py [PROVIDERS] [MODELS]

The first discovery (everything is new), an unchanged one and one with 1 % changed: wall time, and
the CPU time and peak memory of the refresher's process. Beside it a process that fetches the same
lists with httpx, as many at a time, and throws them away. The providers are a third process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from nats.aio.client import Client
from nats.errors import NoRespondersError

from services import config
from services.demo.simulator import Simulator
from services.jetstream.connect import close, connect
from services.supervisor import Supervisor
from services.up import running

CONCURRENCY = 5
LIMIT = 300.0
TICKS = os.sysconf("SC_CLK_TCK")


def rows(provider: int, models: int, turn: int) -> list[dict[str, Any]]:
    """Return the rows of a provider; from turn to turn one in a hundred differs."""
    return [
        {
            "id": f"model-{number}",
            "object": "model",
            "created": 1_754_524_800 + provider,
            "owned_by": f"provider-{provider}",
            "context_length": 131_072 + (turn if number % 100 == 0 else 0),
            "max_completion_tokens": 16_384,
            "supports_chat": True,
            "supports_tools": number % 2 == 0,
        }
        for number in range(models)
    ]


async def simulate(folder: Path, providers: int, models: int) -> None:
    """Serve the providers; a line on stdin is the turn to go to, the end of it the end."""
    async with Simulator(remember=False) as simulator:
        urls = {}
        for number in range(providers):
            site = simulator.provider(f"provider-{number}", dialect="openai")
            site.models = rows(number, models, 0)
            urls[site.name] = site.base_url
        (folder / "urls.json").write_text(json.dumps(urls))
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            for number in range(providers):
                changed = rows(number, models, int(line))
                simulator.sites[f"provider-{number}"].models = changed
            print("ready", flush=True)


async def plain(folder: Path) -> None:
    """Fetch every list with httpx and print the CPU seconds that it took."""
    urls = json.loads((folder / "urls.json").read_text())
    limit = asyncio.Semaphore(CONCURRENCY)
    async with httpx.AsyncClient(timeout=30) as http:

        async def fetch(url: str) -> None:
            async with limit:
                answer = await http.get(f"{url}/models", headers={"accept-encoding": "gzip"})
                answer.raise_for_status()

        before, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*(fetch(url) for url in urls.values()))
        print(json.dumps([time.perf_counter() - began, time.process_time() - before]))


def cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak(pid: int) -> float:
    """Return the most memory that a process has held, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def discover(nc: Client, pid: int, name: str) -> tuple[float, float]:
    """Refresh all providers, print what it took, and return wall and CPU seconds."""
    before, began = cpu(pid), time.perf_counter()
    answer = await nc.request(
        "rpc.modelog.command.refresh", b'{"provider":null,"wait":true}', timeout=LIMIT
    )
    outcomes = json.loads(answer.data)["outcomes"]
    wall, used = time.perf_counter() - began, cpu(pid) - before
    failed = sum(one["type"] != "refresh.succeeded" for one in outcomes)
    facts = sum(one["added"] + one["updated"] for one in outcomes)
    print(
        f"{name:10} {wall:6.2f} s wall {used:6.2f} s CPU {peak(pid):6.0f} MB peak"
        f" {facts:7,} facts {failed} failed"
    )
    return wall, used


async def turn(simulator: asyncio.subprocess.Process, number: int) -> None:
    """Let the providers go on to turn *number*."""
    assert simulator.stdin is not None
    assert simulator.stdout is not None
    simulator.stdin.write(f"{number}\n".encode())
    await simulator.stdin.drain()
    await simulator.stdout.readline()


async def main(providers: int, models: int) -> None:
    """Print the three discoveries and the plain fetch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = (sys.executable, __file__)
        sizes = (str(providers), str(models))
        pipe = asyncio.subprocess.PIPE
        simulator = await asyncio.create_subprocess_exec(
            *command, "--simulate", str(folder), *sizes, stdin=pipe, stdout=pipe
        )
        try:
            assert simulator.stdout is not None
            await simulator.stdout.readline()
            fetched = await asyncio.create_subprocess_exec(
                *command, "--plain", str(folder), stdout=pipe
            )
            wall, used = json.loads((await fetched.communicate())[0])
            print(f"{'httpx':10} {wall:6.2f} s wall {used:6.2f} s CPU, the lists thrown away")
            with (folder / "log").open("w") as log:
                await refreshed(folder, simulator, log.fileno(), used)
        finally:
            simulator.kill()
            await simulator.wait()


async def refreshed(
    folder: Path, simulator: asyncio.subprocess.Process, out: int, floor: float
) -> None:
    """Run the real processes over the providers."""
    urls = json.loads((folder / "urls.json").read_text())
    tables = [
        f'[[providers]]\nname = "{name}"\ndialect = "openai"\nbase_url = "{url}"\n'
        for name, url in urls.items()
    ]
    file = folder / "modelog.toml"
    # disabled at first, so that all are due at one moment, and measured from there
    head = (
        f'[refresh]\ninterval = "1d"\nmax_concurrency = {CONCURRENCY}\n[enrichment]\nsources = []\n'
    )
    file.write_text(head)
    found = config.load(file, data=folder / "data", environ={})
    arguments = ["--config", str(file), "--data", str(folder / "data")]
    async with running(found, arguments=arguments, port=-1, out=out) as (url, supervisor):
        nc = await connect(url, role="operator")
        try:
            await ready(nc)
            pid = supervisor.pids()["refresher"]
            before, began = cpu(pid), time.perf_counter()
            file.write_text(head + "".join(tables))
            await all_known(nc, supervisor, len(tables))
            wall, used = time.perf_counter() - began, cpu(pid) - before
            print(f"{'first':10} {wall:6.2f} s wall {used:6.2f} s CPU {peak(pid):6.0f} MB peak")
            _, used = await discover(nc, pid, "unchanged")
            await turn(simulator, 1)
            await discover(nc, pid, "1 %")
        finally:
            await close(nc)
    print(f"an unchanged discovery costs {used / floor:.1f} x the CPU of the plain fetch (bar: 2)")
    print("bar of the first one: 30 s and 400 MB")


async def ready(nc: Client) -> None:
    """Wait until the refresher answers."""
    async with asyncio.timeout(30):
        while True:
            try:
                answer = await nc.request("rpc.modelog.command.refresh", b"{}", timeout=1)
            except TimeoutError:
                continue
            except NoRespondersError:
                await asyncio.sleep(0.05)
                continue
            if b'"accepted"' in answer.data:
                return
            await asyncio.sleep(0.05)


async def all_known(nc: Client, supervisor: Supervisor, providers: int) -> None:
    """Reload the configuration, and wait until every provider has had its first refresh."""
    seen: set[str] = set()
    done = asyncio.Event()

    async def handle(message: Any) -> None:  # noqa: ANN401 - nats-py's
        seen.add(message.subject.split(".")[3])
        if len(seen) == providers:
            done.set()

    subscription = await nc.subscribe("modelog.audit.refresh.*.succeeded", cb=handle)
    await nc.flush()
    supervisor.reload()
    await asyncio.wait_for(done.wait(), LIMIT)
    await subscription.unsubscribe()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--simulate", where, count, size]:
            asyncio.run(simulate(Path(where), int(count), int(size)))
        case ["--plain", where]:
            asyncio.run(plain(Path(where)))
        case words:
            given = [int(word) for word in words]
            asyncio.run(main(*(given or [100, 500])))
