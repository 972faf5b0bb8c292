"""Leases on a real server: one holder at a time, however processes end, sleep or lose answers."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.aio.client import Client

from services import clock as clocks
from services.jetstream.buckets import look, purge
from services.jetstream.lease import Lease, Leases
from services.jetstream.setup import ensure
from services.jetstream.streams import LEASES
from tests.support.cli import environment
from tests.support.nats import Proxy, Servers, connected, until
from tests.support.refreshing import eventually

pytestmark = pytest.mark.nats

KEY = "refresh.acme"
SHORT = 2
"""Seconds of a lease in tests that wait for its end: the least that the server expires well."""


class Hands:
    """A clock that stands beside the real one, and can be moved on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return clocks.elapsed() + self.ahead


@pytest.fixture(autouse=True)
async def _streams(nc: Client) -> None:
    await ensure(nc, audit_max_age=None, monitor_url=None)


@asynccontextmanager
async def _dies(url: str, holder: str, ttl: int) -> AsyncIterator[Leases]:
    """The leases of a process that ends with the block, and releases nothing."""
    async with connected(url) as nc:
        yield Leases(nc, holder, process="", ttl=ttl)


async def test_a_key_has_one_holder(nc: Client) -> None:
    one, two = Leases(nc, "one", process=""), Leases(nc, "two", process="")
    lease = await one.acquire(KEY)

    assert lease is not None
    assert lease.holds
    assert (await two.acquire(KEY), await one.acquire(KEY)) == (None, None)
    assert (await look(nc, LEASES, KEY)).value == b"one"

    await lease.release()
    assert not lease.holds
    assert lease.over.is_set()

    other = await two.acquire(KEY)
    assert other is not None
    await other.release()


async def test_of_many_who_ask_at_once_one_gets_it(nc: Client) -> None:
    asked = [Leases(nc, f"holder{n}", process="").acquire(KEY) for n in range(8)]
    leases = [lease for lease in await asyncio.gather(*asked) if lease is not None]

    assert len(leases) == 1
    await leases[0].release()


async def test_keys_are_held_apart(nc: Client) -> None:
    leases = Leases(nc, "one", process="")
    both = [await leases.acquire(key) for key in (KEY, "call.acme")]

    assert all(lease is not None and lease.holds for lease in both)
    for lease in both:
        assert lease is not None
        await lease.release()


async def test_a_lease_is_renewed_for_as_long_as_it_is_held(nc: Client) -> None:
    one, two = Leases(nc, "one", process="", ttl=SHORT), Leases(nc, "two", process="")
    lease = await one.acquire(KEY)
    assert lease is not None
    first = lease.revision
    await until(lambda: lease.revision >= first + 6)  # three lives long

    assert lease.holds
    assert await two.acquire(KEY) is None
    await lease.release()


async def test_the_lease_of_one_that_died_is_free_when_it_expires(
    servers: Servers, nc: Client
) -> None:
    async with _dies(servers.url, "dead", ttl=SHORT) as leases:
        died = await leases.acquire(KEY)
    assert died is not None
    two = Leases(nc, "two", process="")
    assert await two.acquire(KEY) is None

    found: list[Lease] = []

    async def free() -> bool:
        lease = await two.acquire(KEY)
        found.extend([] if lease is None else [lease])
        return lease is not None

    await eventually(free, 3 * SHORT)

    assert not died.holds
    assert found[0].holds
    await found[0].release()


async def test_one_that_died_on_this_machine_is_not_waited_for(
    servers: Servers, nc: Client
) -> None:
    says = "from services.machine import identity; print(identity(), flush=True); input()"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", says), stdin=PIPE, stdout=PIPE, env=environment()
    )
    async with connected(servers.url) as other:
        assert child.stdout is not None
        process = (await child.stdout.readline()).decode().strip()
        assert await Leases(other, "child", process=process).acquire(KEY) is not None
        alive = await Leases(nc, "two").acquire(KEY)
        await child.communicate(b"\n")
    lease = await Leases(nc, "two").acquire(KEY)

    assert alive is None
    assert lease is not None
    await lease.release()


async def test_a_holder_that_slept_holds_no_more_before_another_can(nc: Client) -> None:
    hands = Hands()
    lease = await Leases(nc, "one", process="", now=hands).acquire(KEY)
    assert lease is not None
    hands.ahead = 14.0
    assert lease.holds
    hands.ahead = 16.0

    assert not lease.holds
    assert await Leases(nc, "two", process="").acquire(KEY) is None  # it has not expired yet
    await lease.release()


async def test_a_lease_that_lapsed_stays_over(nc: Client) -> None:
    hands = Hands()
    lease = await Leases(nc, "one", process="", ttl=SHORT, now=hands).acquire(KEY)
    assert lease is not None
    hands.ahead = 60.0
    await until(lease.over.is_set)
    hands.ahead = 0.0

    assert not lease.holds


async def test_a_lost_lease_is_noticed_at_the_next_renewal(nc: Client) -> None:
    one, two = Leases(nc, "one", process="", ttl=4), Leases(nc, "two", process="")
    lease = await one.acquire(KEY)
    assert lease is not None
    await purge(nc, LEASES, KEY, expected=lease.revision)
    other = await two.acquire(KEY)
    assert other is not None
    async with asyncio.timeout(3):
        await lease.over.wait()

    assert not lease.holds
    await lease.release()
    assert (await look(nc, LEASES, KEY)).value == b"two"
    await other.release()


async def test_it_is_known_whether_another_had_it_meanwhile(nc: Client) -> None:
    one, two = Leases(nc, "one", process=""), Leases(nc, "two", process="")
    sole: list[bool] = []
    for leases in (one, one, two, one):
        lease = await leases.acquire(KEY)
        assert lease is not None
        sole.append(lease.sole)
        await lease.release()

    assert sole == [False, True, False, False]


async def test_a_lost_answer_is_no_lost_lease(servers: Servers) -> None:
    async with Proxy(servers.current.port) as proxy, connected(proxy.url) as nc:
        proxy.swallow = b'"seq":'
        asking = asyncio.create_task(Leases(nc, "one", process="").acquire(KEY))
        async with asyncio.timeout(10):
            await proxy.swallowed.wait()
        proxy.cut()
        lease = await asking

        assert lease is not None
        assert lease.holds
        assert lease.revision == 1
        await lease.release()


async def test_a_lost_answer_to_a_renewal_loses_nothing(servers: Servers) -> None:
    async with Proxy(servers.current.port) as proxy, connected(proxy.url) as nc:
        lease = await Leases(nc, "one", process="", ttl=8).acquire(KEY)
        assert lease is not None
        proxy.swallow = b'"seq":'
        async with asyncio.timeout(10):
            await proxy.swallowed.wait()
        proxy.cut()
        await until(lambda: lease.revision > 1)

        assert lease.holds
        await lease.release()


async def test_a_server_that_is_killed_and_comes_back_ends_no_lease(servers: Servers) -> None:
    async with connected(servers.url) as nc:
        lease = await Leases(nc, "one", process="", ttl=8).acquire(KEY)
        assert lease is not None
        await servers.restart()
        await until(lambda: lease.revision > 1)

        assert lease.holds
        assert await Leases(nc, "two", process="").acquire(KEY) is None
        await lease.release()


@pytest.mark.chaos
async def test_without_a_server_a_lease_ends_in_time(servers: Servers) -> None:
    async with connected(servers.url) as nc:
        lease = await Leases(nc, "one", process="", ttl=4).acquire(KEY)
        assert lease is not None
        await servers.kill()
        async with asyncio.timeout(6):
            await lease.over.wait()

        assert not lease.holds
        await lease.release()


async def test_others_see_what_a_lease_is_held_for(nc: Client) -> None:
    leases = Leases(nc, "one", process="")
    lease = await leases.acquire(KEY, note={"Modelog-Run": "r"})
    assert lease is not None
    seen = await Leases(nc, "two", process="").who(KEY)
    await lease.release()

    assert (seen.value, seen.headers["Modelog-Run"]) == (b"one", "r")
    assert (await leases.who(KEY)).value is None
