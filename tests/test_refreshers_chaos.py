"""Several refreshers over the same providers: killed, put to sleep, and on a cluster that fails."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from events.subjects import FACTS
from services.demo.exchange import Answer, Asked
from services.demo.simulator import Simulator, Site
from services.jetstream.api import ApiError, NoAnswer, stream_info
from services.jetstream.buckets import look
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from services.jetstream.streams import LEASES
from services.seats import holder
from tests.support.nats import Cluster, cluster, connected
from tests.support.processes import Process, spawned
from tests.support.refreshing import audit, configuration, eventually, facts, recorded, table, told

pytestmark = [pytest.mark.nats, pytest.mark.process, pytest.mark.chaos, pytest.mark.timeout(120)]

PROVIDERS = [f"p{number}" for number in range(8)]
TAKEOVER = 30.0
"""Seconds within which another refresher has the providers of one that died."""


class Fleet:
    """Refresher processes over the same providers, each known by its instance."""

    def __init__(self, nc: Client, simulator: Simulator, folder: Path, url: str) -> None:
        self.nc = nc
        self.sites = {name: simulator.provider(name, dialect="openrouter") for name in PROVIDERS}
        for site in self.sites.values():
            site.models = [{"id": "a"}]
        self.running: dict[str, Process] = {}
        self.interval, self.timeout = "10s", "8s"
        self._folder = folder
        self._url = url
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.running.values():
            with suppress(ProcessLookupError):
                process.send(signal.SIGCONT)
        await self._stack.aclose()

    async def start(self) -> str:
        """Start one more, and return its instance."""
        tables = [table(site) for site in self.sites.values()]
        text = configuration(*tables, interval=self.interval, attempts=1, timeout=self.timeout)
        (self._folder / "modelog.toml").write_text(text)
        env = {"MODELOG_NATS_URL": self._url}
        process = await self._stack.enter_async_context(
            spawned(self._folder, "run", "refresher", env=env)
        )
        line = await process.line(" ready ")
        instance = line.rpartition("instance=")[2]
        self.running[instance] = process
        return instance

    async def holders(self) -> dict[str, str]:
        """Return who holds which provider now."""
        found = {name: await look(self.nc, LEASES, f"refresh.{name}") for name in PROVIDERS}
        return {name: entry.value.decode() for name, entry in found.items() if entry.value}

    async def spread(self, over: list[str], seconds: float = TAKEOVER) -> None:
        """Wait until each provider is held by the one of *over* that should have it."""
        wanted = {name: holder(name, over) for name in PROVIDERS}

        async def held() -> bool:
            return await self.holders() == wanted

        await eventually(held, seconds)

    async def runs(self, provider: str) -> list[Any]:
        return list(await audit(self.nc, f"audit.refresh.{provider}.*"))

    async def check(self) -> None:
        """Each run that began has one outcome, but for those that are on their way."""
        for name in PROVIDERS:
            events = await self.runs(name)
            began = [one.run_id for one in events if told([one]) == ["started"]]
            ended = Counter(one.run_id for one in events if told([one]) != ["started"])
            assert set(ended.values()) <= {1}
            assert set(began[:-1]) <= set(ended)
            added = [text for text in told(await facts(self.nc, name)) if "added" in text]
            assert len(added) == len(set(added))


@asynccontextmanager
async def _fleet(nc: Client, folder: Path, url: str) -> AsyncIterator[Fleet]:
    async with Simulator() as simulator, Fleet(nc, simulator, folder, url) as fleet:
        yield fleet


@pytest.fixture
async def fleet(nats_server: Server, nc: Client, tmp_path: Path) -> AsyncIterator[Fleet]:
    await ensure(nc, audit_max_age=None, monitor_url=None)
    async with _fleet(nc, tmp_path, nats_server.url) as made:
        yield made


def _hold(site: Site, seconds: float) -> tuple[asyncio.Event, Callable[[], None]]:
    """Let answers of *site* take *seconds*; return what tells of a request, and what ends it."""
    came = asyncio.Event()

    def fault(_: Asked, answer: Answer) -> Answer:
        came.set()
        return answer._replace(delivery=answer.delivery._replace(delay=seconds))

    site.faults.always(fault)
    return came, site.faults.clear


async def test_providers_are_spread_and_taken_over_from_one_that_is_killed(fleet: Fleet) -> None:
    first = await fleet.start()
    await fleet.spread([first], 5)
    instances = [first, await fleet.start(), await fleet.start()]
    await fleet.spread(instances)
    name, victim = next((n, who) for n, who in (await fleet.holders()).items() if who != first)
    came, heal = _hold(fleet.sites[name], 60)
    async with asyncio.timeout(20):
        await came.wait()
    await fleet.running.pop(victim).kill()
    heal()
    fleet.sites[name].models = [{"id": "a"}, {"id": "b"}]

    async def taken_over() -> bool:
        return "added b" in told(await facts(fleet.nc, name))

    await eventually(taken_over, TAKEOVER)
    await fleet.spread([one for one in instances if one != victim])
    interrupted = [one for one in await fleet.runs(name) if getattr(one, "error", None)]

    assert [one.error.class_ for one in interrupted] == ["interrupted"]
    await fleet.check()


async def test_one_that_slept_for_a_minute_writes_nothing_stale(fleet: Fleet) -> None:
    """Its list waits in its socket until it wakes, and no time limit of the call is over then."""
    fleet.interval = fleet.timeout = "90s"
    name, site = "p0", fleet.sites["p0"]
    site.models = [{"id": "a"}, {"id": "stale"}]
    came, heal = _hold(site, 1)
    victim = await fleet.start()
    process = fleet.running[victim]
    async with asyncio.timeout(20):
        await came.wait()
    process.send(signal.SIGSTOP)
    asleep = asyncio.get_running_loop().time()
    heal()
    site.models = [{"id": "a"}, {"id": "fresh"}]
    instances = [victim, await fleet.start(), await fleet.start()]

    async def taken_over() -> bool:
        return "added fresh" in told(await facts(fleet.nc, name))

    await eventually(taken_over, TAKEOVER + 10)
    await asyncio.sleep(60 - (asyncio.get_running_loop().time() - asleep))
    process.send(signal.SIGCONT)
    await process.line("failed", f"provider={name}", "interrupted", seconds=10)
    await fleet.spread(instances)

    assert told(await facts(fleet.nc, name)) == ["added a", "added fresh"]
    await fleet.check()


@pytest.mark.parametrize("models", [2500])
async def test_a_leader_killed_in_the_middle_of_a_refresh_loses_nothing(
    models: int, tmp_path: Path
) -> None:
    async with cluster(tmp_path) as nodes, connected(",".join(nodes)) as nc:
        await _created(nc)
        seen: dict[int, str] = {}

        async def committed(msg: Msg) -> None:
            headers = msg.headers or {}
            seen[int(headers["Nats-Sequence"])] = headers["Nats-Msg-Id"]

        async with _fleet(nc, tmp_path, ",".join(nodes)) as fleet:
            instances = [await fleet.start(), await fleet.start()]
            await fleet.spread(instances)
            await nc.subscribe("modelog.model.>", cb=committed)
            site = fleet.sites["p0"]
            listed = [{"id": f"m{number}"} for number in range(models)]
            site.models = [{"id": "a"}, *listed]

            async def begun() -> bool:
                return bool(seen)

            await eventually(begun, 20)
            await _kill_leader(nc, nodes)

            async def told_all() -> bool:
                with suppress(NoAnswer, ApiError):
                    return len(await facts(nc, "p0")) > models
                return False

            await eventually(told_all, 60)
            for name, other in fleet.sites.items():
                other.models = [{"id": "a"}, *(listed if name == "p0" else []), {"id": "later"}]

            async def go_on() -> bool:
                added = [one for one in told(await facts(nc)) if one == "added later"]
                return len(added) == len(PROVIDERS)

            await eventually(go_on, 40)
            stored = await recorded(nc, FACTS, "log.>")
            await fleet.check()

    assert [one.seq for one in stored] == list(range(1, len(stored) + 1))
    kept = {one.seq: one.id for one in stored}
    assert seen.items() <= kept.items()
    assert len(set(kept.values())) == len(kept)


async def _created(nc: Client) -> None:
    """Create the streams as soon as the cluster can."""

    async def created() -> bool:
        with suppress(NoAnswer, ApiError):
            await ensure(nc, replicas=3, audit_max_age=None, monitor_url=None)
            return True
        return False

    await eventually(created, 30)


async def _kill_leader(nc: Client, nodes: Cluster) -> None:
    await nodes.kill((await stream_info(nc, FACTS))["cluster"]["leader"])
