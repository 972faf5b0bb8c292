"""The registry in the log: what the configuration wants, and what becomes of who leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from events.models import ModelRemoved
from events.providers import ProviderReconfigured, ProviderRegistered, ProviderUnregistered
from events.requests import Register
from events.subjects import FACTS
from services.calls.call import client
from services.config import Config
from services.demo.simulator import Simulator, Site
from services.jetstream.append import Log
from services.jetstream.setup import ensure
from services.process import Host
from services.refresher.registry import apply, register
from services.registered import registered
from tests.support.clock import ManualClock
from tests.support.refreshing import Bench, Crash, Mortal, configured, facts, recorded, table, told

pytestmark = pytest.mark.nats


async def nobody(_: str) -> None:
    """Nothing is on its way."""


@asynccontextmanager
async def two_sites(nc: Client) -> AsyncIterator[tuple[Site, Site]]:
    await ensure(nc, audit_max_age=None, monitor_url=None)
    async with Simulator() as simulator:
        yield (
            simulator.provider("acme", dialect="openrouter"),
            simulator.provider("other", dialect="openai"),
        )


async def host_of(nc: Client, config: Config) -> Host:
    return Host("refresher", config, ManualClock(), nc, await Log.open(nc))


async def told_of(nc: Client) -> list[str]:
    """Return what the log has of the registry, in short."""
    return [
        f"{one.subject.split('.')[3]} {one.subject.split('.')[2]}"
        for one in await recorded(nc, FACTS, "log.provider.>")
    ]


async def test_what_is_configured_is_registered_once(nc: Client, tmp_path: Path) -> None:
    async with two_sites(nc) as (acme, other):
        config = configured(tmp_path, table(other), table(acme, priority=3), interval="10m")
        host = await host_of(nc, config)
        registry = await apply(host, config, nobody)
        again = await apply(host, config, nobody)
        stored = [one.event for one in await recorded(nc, FACTS, "log.provider.>")]

    assert await told_of(nc) == ["registered acme", "registered other"]
    assert registry == again == (await registered(nc)).registry
    first = stored[0]
    assert isinstance(first, ProviderRegistered)
    assert (first.dialect, first.base_url, first.priority) == ("openrouter", acme.base_url, 3)
    assert (first.origin, first.enabled, first.schedule["interval"]) == ("config", True, 600.0)


async def test_other_settings_are_a_reconfiguration(nc: Client, tmp_path: Path) -> None:
    async with two_sites(nc) as (acme, _):
        config = configured(tmp_path, table(acme))
        host = await host_of(nc, config)
        await apply(host, config, nobody)
        await apply(host, configured(tmp_path, table(acme, enabled=False)), nobody)
        (_, event) = (one.event for one in await recorded(nc, FACTS, "log.provider.>"))

    assert isinstance(event, ProviderReconfigured)
    assert event.enabled is False


async def test_a_key_is_registered_as_a_reference(
    nc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_KEY", "sk-very-secret")
    async with two_sites(nc) as (acme, _):
        config = configured(tmp_path, table(acme, api_key={"env": "ACME_KEY"}))
        await apply(await host_of(nc, config), config, nobody)
        (event,) = (one.event for one in await recorded(nc, FACTS, "log.provider.>"))

    assert getattr(event, "credential", None) == {"env": "ACME_KEY"}
    assert "very-secret" not in repr(event)


@asynccontextmanager
async def with_models(nc: Client, folder: Path) -> AsyncIterator[tuple[Host, Config]]:
    """Two providers with models; yield a host, and the configuration without the first one."""
    async with two_sites(nc) as (acme, other), AsyncExitStack() as stack:
        acme.models, other.models = ["a", "b"], ["o"]
        config = configured(folder, table(acme), table(other))
        host = await host_of(nc, config)
        http = await stack.enter_async_context(client())
        for settings in (await apply(host, config, nobody)).values():
            await Bench(host, http, settings, host.clock).run()
        yield host, configured(folder, table(other))


async def test_a_provider_that_leaves_takes_its_models_with_it(nc: Client, tmp_path: Path) -> None:
    async with with_models(nc, tmp_path) as (host, fewer):
        let_go: list[str] = []

        async def note(name: str) -> None:
            let_go.append(name)

        registry = await apply(host, fewer, note)
        ends = [one for one in await facts(nc, "acme") if isinstance(one, ModelRemoved)]
        last = (await recorded(nc, FACTS, "log.>"))[-1].event
        kept = told(await facts(nc, "other"))

    assert let_go == ["acme"]
    assert list(registry) == ["other"]
    assert [(one.model_id, one.reason, one.missing_since) for one in ends] == [
        ("a", "provider_unregistered", None),
        ("b", "provider_unregistered", None),
    ]
    assert isinstance(last, ProviderUnregistered)
    assert last.reason == "config"
    assert kept[0] == "added o"
    assert "removed o" not in kept


@pytest.mark.parametrize(
    "point", ["before batch 1", "after batch 1", "before batch 2", "after batch 2"]
)
async def test_a_crash_while_a_provider_leaves_is_made_good(
    point: str, nc: Client, tmp_path: Path
) -> None:
    """Its models first, its registration then: two batches."""
    async with with_models(nc, tmp_path) as (host, fewer):
        with pytest.raises(Crash):
            await apply(Mortal(host, point), fewer, nobody)
        await apply(host, fewer, nobody)
        found = told(await facts(nc, "acme"))

    assert [one for one in found if one.startswith("removed")] == ["removed a", "removed b"]
    assert (await told_of(nc)).count("unregistered acme") == 1
    assert list((await registered(nc)).registry) == ["other"]


async def test_a_provider_that_comes_back_starts_anew(nc: Client, tmp_path: Path) -> None:
    async with with_models(nc, tmp_path) as (host, fewer):
        await apply(host, fewer, nobody)
        registry = await apply(host, host.config, nobody)
        async with client() as http:
            outcome = await Bench(host, http, registry["acme"], host.clock).run()
        found = [one for one in told(await facts(nc, "acme")) if "a" in one.split()]

    assert outcome.added == 2
    assert [one for one in found if not one.startswith(("gained", "lost"))] == [
        "added a",
        "removed a",
        "added a",
    ]


async def test_two_refreshers_that_start_together_register_once(nc: Client, tmp_path: Path) -> None:
    async with two_sites(nc) as (acme, other):
        config = configured(tmp_path, table(acme), table(other))
        hosts = [await host_of(nc, config) for _ in range(4)]
        registries = await asyncio.gather(*(apply(host, config, nobody) for host in hosts))

    assert sorted(await told_of(nc)) == ["registered acme", "registered other"]
    assert all(registry == registries[0] for registry in registries)


async def test_what_was_registered_by_command_stays_until_the_file_names_it(
    nc: Client, tmp_path: Path
) -> None:
    async with two_sites(nc) as (acme, other):
        config = configured(tmp_path, table(acme))
        host = await host_of(nc, config)
        await apply(host, config, nobody)
        wanted = Register(name="other", dialect="openai", base_url=other.base_url)
        await register(host, wanted, config, nobody)
        by_command = (await apply(host, config, nobody))["other"]
        by_file = (await apply(host, configured(tmp_path, table(other)), nobody))["other"]

    assert by_command.origin == "command"
    assert by_file.origin == "config"
    assert await told_of(nc) == [
        "registered acme",
        "registered other",
        "reconfigured other",
        "unregistered acme",
    ]
