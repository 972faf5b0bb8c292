"""Commands over NATS, and what a running refresher makes of them and of its schedule."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from events.audit import CommandAccepted, CommandRejected, DiscoveryCompleted, DiscoveryStarted
from events.requests import LARGEST
from events.subjects import AUDIT, COMMAND
from services.demo import faults
from services.demo.exchange import Answer, Asked
from services.demo.simulator import Simulator, Site
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from tests.support.nats import until
from tests.support.processes import Process, spawned
from tests.support.refreshing import audit, configuration, eventually, facts, recorded, table, told

pytestmark = [pytest.mark.nats, pytest.mark.process]


class Running:
    """A refresher process over some providers, and a connection to its server."""

    def __init__(self, nc: Client, simulator: Simulator, folder: Path, url: str) -> None:
        self.nc = nc
        self.simulator = simulator
        self.folder = folder
        self.url = url

    def site(self, name: str, *models: str, dialect: str = "openrouter") -> Site:
        site = self.simulator.provider(name, dialect=dialect)
        site.models = list(models)
        return site

    @asynccontextmanager
    async def refresher(self, *tables: str, **refresh: object) -> AsyncIterator[Process]:
        (self.folder / "modelog.toml").write_text(configuration(*tables, **refresh))
        env = {"MODELOG_NATS_URL": self.url}
        async with spawned(self.folder, "run", "refresher", env=env) as process:
            await process.line(" ready ")
            yield process

    async def say(self, payload: bytes, command: str = "refresh") -> Any:  # noqa: ANN401 - JSON
        reply = await self.nc.request(COMMAND + command, payload, timeout=15)
        return msgspec.json.decode(reply.data)

    async def refresh(self, **request: object) -> Any:  # noqa: ANN401 - JSON
        return await self.say(msgspec.json.encode(request))

    async def runs(self, provider: str = "*") -> list[str]:
        return told(await audit(self.nc, f"audit.refresh.{provider}.*"))


@pytest.fixture
async def running(nats_server: Server, nc: Client, tmp_path: Path) -> AsyncIterator[Running]:
    await ensure(nc, audit_max_age=None, monitor_url=None)
    async with Simulator() as simulator:
        yield Running(nc, simulator, tmp_path, nats_server.url)


def arrivals(site: Site, seconds: float) -> list[float]:
    """Let every answer of *site* take *seconds*; return when each request came, as they come."""
    came: list[float] = []
    slow = faults.delay(seconds)

    def fault(asked: Asked, answer: Answer) -> Answer:
        came.append(asyncio.get_running_loop().time())
        return slow(asked, answer)

    site.faults.always(fault)
    return came


async def test_a_refresh_of_one_provider_is_accepted_and_told(running: Running) -> None:
    acme, other = running.site("acme", "a"), running.site("other", "o")
    async with running.refresher(table(acme), table(other)) as process:
        await process.line("refreshed", count=2)
        acme.models = ["a", "b"]
        reply = await running.refresh(provider="acme", wait=True)
        (accepted,) = await recorded(running.nc, AUDIT, "audit.command.>")

    (run,), (outcome,) = reply["runs"], reply["outcomes"]
    assert reply["accepted"] is True
    assert (run["provider"], run["joined"]) == ("acme", False)
    assert (outcome["type"], outcome["run_id"], outcome["added"]) == (
        "refresh.succeeded",
        run["run_id"],
        1,
    )
    assert len(other.requests) == 1
    assert isinstance(accepted.event, CommandAccepted)
    assert accepted.subject == "audit.command.refresh.accepted"
    assert accepted.correlation_id == reply["correlation_id"]
    assert accepted.event.parameters == {"provider": "acme", "force": False, "wait": True}


async def test_without_wait_the_reply_does_not_wait(running: Running) -> None:
    acme = running.site("acme", "a")
    async with running.refresher(table(acme)) as process:
        await process.line("refreshed")
        acme.faults.next(faults.hang())
        reply = await running.refresh(provider="acme")
        await process.stop()

    assert "outcomes" not in reply
    assert len(reply["runs"]) == 1


async def test_a_refresh_of_all_is_a_discovery(running: Running) -> None:
    """And the one that fails is counted, and stops none of the others."""
    sites = [running.site(name, f"of-{name}") for name in ("a", "b", "c")]
    async with running.refresher(*map(table, sites), attempts=1) as process:
        await process.line("refreshed", count=3)
        sites[1].faults.always(faults.status(500))
        sites[2].models = ["of-c", "more"]
        reply = await running.refresh(wait=True)
        started, completed = await recorded(running.nc, AUDIT, "audit.discovery.all.*")

    assert [run["provider"] for run in reply["runs"]] == ["a", "b", "c"]
    assert [one["type"].partition(".")[2] for one in reply["outcomes"]] == [
        "succeeded",
        "failed",
        "succeeded",
    ]
    assert reply["outcomes"][2]["added"] == 1
    assert isinstance(started.event, DiscoveryStarted)
    assert isinstance(completed.event, DiscoveryCompleted)
    assert started.correlation_id == completed.correlation_id == reply["correlation_id"]
    ended = completed.event
    assert (ended.providers, ended.models, ended.errors) == (3, 3, 1)


@pytest.mark.parametrize("fault", [faults.hang, faults.reset, faults.page, faults.huge])
async def test_a_provider_that_fails_stops_no_other(
    fault: Callable[[], faults.Fault], running: Running
) -> None:
    bad, good = running.site("bad", "x"), running.site("good", "a")
    bad.faults.always(fault())
    async with running.refresher(table(bad), table(good), attempts=1, timeout="1s") as process:
        await process.line("refreshed", "provider=good")
        await process.line("failed", "provider=bad")
        good.models = ["a", "b"]
        reply = await running.refresh(provider="good", wait=True)
        code = await process.stop()

    assert reply["outcomes"][0]["added"] == 1
    assert code == 0
    assert "Traceback" not in process.text


REFUSED: list[tuple[str, bytes, str, str]] = [
    ("an unknown provider", b'{"provider": "nobody"}', "not_found", "nobody"),
    ("no JSON", b"refresh everything", "invalid", "refresh"),
    ("no UTF-8", b'{"provider": "\xff"}', "invalid", "refresh"),
    ("no object", b"[]", "invalid", "refresh"),
    ("an unknown field", b'{"providers": "acme"}', "invalid", "providers"),
    ("a wrong type", b'{"provider": 5}', "invalid", "provider"),
    ("too much", b'{"provider": "' + b"x" * LARGEST + b'"}', "too_large", str(LARGEST)),
]


async def test_what_is_no_request_is_refused_and_told(running: Running) -> None:
    async with running.refresher(table(running.site("acme", "a"))) as process:
        for what, payload, code, word in REFUSED:
            reply = await running.say(payload)

            assert (what, reply["error"]["code"]) == (what, code)
            assert word in reply["error"]["message"]
        events = await audit(running.nc, "audit.command.refresh.*")
        assert await process.stop() == 0

    rejected = [one for one in events if isinstance(one, CommandRejected)]
    assert len(events) == len(rejected) == len(REFUSED)
    assert all(one.error for one in rejected)
    assert rejected[0].parameters["provider"] == "nobody"
    assert "Traceback" not in process.text


async def test_a_disabled_provider_is_not_asked(running: Running) -> None:
    acme, off = running.site("acme", "a"), running.site("off", "b")
    async with running.refresher(table(acme), table(off, enabled=False)) as process:
        await process.line("refreshed", "provider=acme")
        reply = await running.refresh(provider="off")
        whole = await running.refresh(wait=True)

    assert reply["error"]["code"] == "not_found"
    assert [run["provider"] for run in whole["runs"]] == ["acme"]
    assert off.requests == []


async def test_who_asks_while_a_run_is_on_its_way_joins_it(running: Running) -> None:
    acme = running.site("acme", "a")
    async with running.refresher(table(acme)) as process:
        await process.line("refreshed")
        came = arrivals(acme, 0.4)
        replies = await asyncio.gather(
            *(running.refresh(provider="acme", wait=True) for _ in range(5))
        )

    runs = [reply["runs"][0] for reply in replies]
    assert len({run["run_id"] for run in runs}) == 1
    assert Counter(run["joined"] for run in runs) == {False: 1, True: 4}
    assert len(came) == 1
    assert await running.runs() == ["started", "succeeded"] * 2


async def test_a_provider_has_one_run_at_a_time(running: Running) -> None:
    """Whatever is asked for, by whom, and however often."""
    acme = running.site("acme", "a")
    came = arrivals(acme, 0.15)
    async with running.refresher(table(acme)):
        await asyncio.gather(
            *(running.refresh(provider="acme", force=n % 2 == 0, wait=True) for n in range(12))
        )

    assert all(later - one >= 0.14 for one, later in pairwise(came))
    assert 1 <= len(came) <= 3
    runs = await running.runs()
    assert runs == ["started", "succeeded"] * (len(runs) // 2)


async def test_no_more_providers_are_asked_at_once_than_allowed(running: Running) -> None:
    sites = [running.site(f"p{number}", f"of-{number}") for number in range(8)]
    came = [arrivals(site, 0.25) for site in sites]
    # two names of one machine: a host is asked twice at once at most
    tables = [
        table(site, base_url=site.base_url.replace("127.0.0.1", name))
        for site, name in zip(sites, ["127.0.0.1", "localhost"] * 4, strict=True)
    ]
    async with running.refresher(*tables, max_concurrency=3) as process:
        await process.line("refreshed", count=8)

    moments = sorted(moment for one in came for moment in one)
    assert len(moments) == 8
    assert all(later - one >= 0.24 for one, later in zip(moments, moments[3:], strict=False))
    assert any(later - one < 0.24 for one, later in zip(moments, moments[2:], strict=False))


async def test_a_run_that_sigterm_cuts_off_is_cancelled_and_its_caller_told(
    running: Running,
) -> None:
    acme = running.site("acme", "a")
    async with running.refresher(table(acme), timeout="9s") as process:
        await process.line("refreshed")
        acme.faults.always(faults.hang())
        waiting = asyncio.create_task(running.refresh(provider="acme", wait=True))
        await until(lambda: len(acme.requests) == 2)
        code = await process.stop()
        reply = await waiting
        events = await audit(running.nc, "audit.refresh.>")

    assert code == 0
    assert reply["error"]["code"] == "unavailable"
    assert told(events) == ["started", "succeeded", "started", "failed"]
    assert getattr(events[-1], "error").class_ == "cancelled"  # noqa: B009 - of a union
    assert told(await audit(running.nc, "audit.service.refresher.*"))[-1].endswith("stopped")


async def test_a_run_that_ends_in_a_moment_ends_before_the_process(running: Running) -> None:
    acme = running.site("acme", "a")
    async with running.refresher(table(acme)) as process:
        await process.line("refreshed")
        acme.models = ["a", "b"]
        acme.faults.always(faults.delay(0.3))
        waiting = asyncio.create_task(running.refresh(provider="acme", wait=True))
        await until(lambda: len(acme.requests) == 2)
        assert await process.stop() == 0
        await waiting

    assert await running.runs() == ["started", "succeeded"] * 2
    assert "added b" in told(await facts(running.nc))


async def test_a_run_that_a_kill_cuts_off_is_told_at_the_next_start(running: Running) -> None:
    """Also where the provider is not configured any more."""
    acme, gone = running.site("acme", "a"), running.site("gone", "g")
    for site in (acme, gone):
        site.faults.next(faults.hang())
    async with running.refresher(table(acme), table(gone)) as process:
        await until(lambda: bool(acme.requests) and bool(gone.requests))
        await process.kill()
    async with running.refresher(table(acme)) as process:
        await process.line("refreshed")
        assert await process.stop() == 0

    for provider, expected in (
        ("acme", ["started", "failed", "started", "succeeded"]),
        ("gone", ["started", "failed"]),
    ):
        events = await audit(running.nc, f"audit.refresh.{provider}.*")

        assert told(events) == expected
        assert getattr(events[1], "error").class_ == "interrupted"  # noqa: B009 - of a union
        assert getattr(events[0], "run_id") == getattr(events[1], "run_id")  # noqa: B009


async def test_a_provider_is_refreshed_again_at_every_tick(running: Running) -> None:
    acme = running.site("acme", "a")
    async with running.refresher(table(acme), interval="1s", timeout="500ms"):

        async def thrice() -> bool:
            return (await running.runs()).count("succeeded") >= 3

        await eventually(thrice)

    reasons = {getattr(one, "reason", None) for one in await audit(running.nc, "audit.refresh.>")}
    assert reasons - {None} == {"schedule"}


async def test_sighup_reads_the_configuration_again(running: Running) -> None:
    acme, old, new = (running.site(name, f"of-{name}") for name in ("acme", "old", "new"))
    async with running.refresher(table(acme), table(old)) as process:
        await process.line("refreshed", count=2)
        file = running.folder / "modelog.toml"
        file.write_text(configuration(table(acme, priority=5), table(new)))
        process.send(signal.SIGHUP)
        await process.line("reloaded")
        await process.line("refreshed", "provider=new")
        file.write_text("[[providers]]\nname = 5\n")
        process.send(signal.SIGHUP)
        told_of = await process.line("not reloaded")
        reply = await running.refresh(wait=True)
        assert await process.stop() == 0

    assert "name" in told_of
    assert [run["provider"] for run in reply["runs"]] == ["acme", "new"]
    subjects = [
        ".".join(one.subject.split(".")[2:])
        for one in await recorded(running.nc, "MODELOG", "log.provider.>")
    ]
    assert subjects == [
        "acme.registered",
        "old.registered",
        "acme.reconfigured",
        "new.registered",
        "old.unregistered",
    ]
    assert "removed of-old" in told(await facts(running.nc, "old"))


async def test_a_command_is_answered_once_by_one_of_two(running: Running) -> None:
    acme = running.site("acme", "a")
    async with running.refresher(table(acme)) as one:
        await one.line("refreshed")
        env = {"MODELOG_NATS_URL": running.url}
        async with spawned(running.folder, "run", "refresher", env=env) as two:
            await two.line("ready")
            before = len(await running.runs())
            for _ in range(6):
                reply = await running.refresh(provider="acme", wait=True)
                assert reply["accepted"] is True

            assert len(await running.runs()) - before == 12
            assert len(await audit(running.nc, "audit.command.>")) == 6
