"""How long a provider's change takes to become a row that people can read.

    python benchmarks/latency.py [CHANGES]

A model is added at the provider's API, a refresh is asked for by command, and the catalogue is read
until the row is there: the real refresher and projector, in processes of their own.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from projections import Catalogue
from services import config
from services.demo.simulator import Simulator
from services.jetstream.connect import close, connect
from services.up import running

LIMIT = 10.0
SUBJECT = "rpc.modelog.command.refresh"
BODY = b'{"provider":"acme","force":true,"wait":true}'


async def main(changes: int) -> None:
    """Print median and p99 in milliseconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with Simulator(remember=False) as simulator:
            site = simulator.provider("acme")
            site.models = [f"model-{number}" for number in range(200)]
            file = folder / "modelog.toml"
            file.write_text(
                f'[[providers]]\nname = "acme"\ndialect = "openai"\nbase_url = "{site.base_url}"\n'
                'refresh = { interval = "1h" }\n'
            )
            found = config.load(file, data=folder / "data", environ={})
            arguments = ["--config", str(file), "--data", str(folder / "data")]
            with (folder / "log").open("w") as log:
                out = log.fileno()
                async with running(found, arguments=arguments, port=-1, out=out) as (url, _):
                    taken = await measured(url, folder / "data" / "catalogue.db", site, changes)
    taken.sort()
    p99 = taken[int(len(taken) * 0.99) - 1]
    print(f"change to row: {statistics.median(taken):6.1f} ms median of {changes} changes")
    print(f"               {p99:6.1f} ms p99")
    print(f"               {taken[-1]:6.1f} ms longest")


async def measured(url: str, path: Path, site: object, changes: int) -> list[float]:
    """Return the milliseconds that each change took."""
    nc = await connect(url, role="operator")
    try:
        catalogue = await opened(path, "model-199")
        taken = []
        for number in range(changes):
            added = f"new-{number}"
            models = list(site.models)  # type: ignore[attr-defined]
            began = time.perf_counter()
            site.models = [*models, added]  # type: ignore[attr-defined]
            asked = asyncio.create_task(nc.request(SUBJECT, BODY, timeout=LIMIT))
            while catalogue.get("acme", added) is None:
                if time.perf_counter() - began > LIMIT:
                    raise TimeoutError(f"{added} is not in the catalogue after {LIMIT:g} s")
                await asyncio.sleep(0.0005)
            taken.append((time.perf_counter() - began) * 1000)
            await (
                asked
            )  # a forced run that is on its way would be joined, with the list it has read
        catalogue.close()
        return taken
    finally:
        await close(nc)


async def opened(path: Path, id_: str) -> Catalogue:
    """Wait until the catalogue holds *id_*."""
    async with asyncio.timeout(30):
        while True:
            if path.exists():  # noqa: ASYNC240 - nothing else runs here
                catalogue = Catalogue.open(path)
                if catalogue.get("acme", id_) is not None:
                    return catalogue
                catalogue.close()
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
