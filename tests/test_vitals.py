"""What a refresher does with what the monitors say: waits, recovers, and shares their calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from events.audit import RefreshEvent, RefreshStarted, RefreshSucceeded
from events.base import elapsed
from events.envelope import seal
from events.health import CheckCompleted, HealthStatusChanged, Listed, Status
from services.calls.call import client
from services.calls.limits import Limits
from services.clock import new_id
from services.demo.simulator import Site
from services.jetstream.append import Log
from services.jetstream.connect import Client
from services.jetstream.state import beat
from services.process import Host
from services.refresher.asking import Asking
from services.refresher.gate import Gate
from services.refresher.run import Refresher
from services.waits import Waits
from tests.support.monitoring import Watched, watched
from tests.support.refreshing import audit, eventually

pytestmark = [pytest.mark.nats, pytest.mark.asyncio]


class Monitors:
    """What monitors would say of `p0`."""

    def __init__(self, nc: Client, made: Watched, log: Log) -> None:
        self._nc = nc
        self._made = made
        self._log = log
        self._seq = 0
        self._last: tuple[Status, str | None] = ("inactive", "unchecked")

    async def say(self, status: Status, cause: str | None = None) -> None:
        """Tell that the status of `p0` is another one now."""
        await beat(self._nc, "health-monitor", "m")
        now = self._made.clock.now()
        event = HealthStatusChanged(
            at=now,
            provider="p0",
            from_=self._last[0],
            to=status,
            previous_cause=self._last[1],
            cause=cause,
            effective_at=now,
            detected_at=now,
        )
        self._last = status, cause
        sealed = [seal(event, id=new_id(), source="/modelog/health-monitor/m")]
        done = await self._log.append(sealed, family="health", provider="p0", expected=self._seq)
        self._seq = done.expected

    async def see(self, sha256: str) -> None:
        """Tell that a check has seen a list of that hash."""
        now = self._made.clock.now()
        event = CheckCompleted(
            at=now,
            provider="p0",
            cycle_id=new_id(),
            started_at=now,
            verdict="OK",
            class_="ok",
            list_=Listed(sha256=sha256, models=10),
        )
        await self._log.record([seal(event, id=new_id(), source="/modelog/health-monitor/m")])


@asynccontextmanager
async def refresher(
    nc: Client, folder: Path, *, speed: float = 10.0, **settings: object
) -> AsyncIterator[tuple[Refresher, Monitors, Watched, Site]]:
    """A refresher of `p0`, due every ten seconds, that has refreshed once."""
    async with watched(nc, folder, speed=speed) as (made, (site,)), client() as http:
        made.register(site, settings={"refresh": {"interval": "10s"}, **settings})
        log = await Log.open(nc)
        host = Host("refresher", made.config, made.clock, nc, log)
        limits = Limits(5, clock=made.clock)
        asking = Asking(http, limits, made.clock, Waits(made.clock, nc))
        running = Refresher(host, asking)
        await beat(nc, "health-monitor", "m")
        await running.listen()
        await running.follow(made.registry)
        try:
            await eventually(lambda: _some(nc, 2))
            yield running, Monitors(nc, made, log), made, site
        finally:
            await running.stop()


async def _some(nc: Client, count: int) -> bool:
    return len(await runs(nc)) >= count


async def runs(nc: Client) -> list[RefreshEvent]:
    return cast("list[RefreshEvent]", await audit(nc, "audit.refresh.p0.*"))


async def test_who_is_down_is_not_refreshed_and_who_recovers_is_at_once(
    nc: Client, tmp_path: Path
) -> None:
    async with refresher(nc, tmp_path) as (running, monitors, made, _):
        await monitors.say("error", "outage")
        await eventually(_skipped(running, "down"))
        before = len(await runs(nc))
        await monitors.say("active")
        recovered = made.clock.now()
        await eventually(lambda: _some(nc, before + 1))

        started = (await runs(nc))[before]
        assert isinstance(started, RefreshStarted)
        assert started.reason == "recovery"
        assert elapsed(recovered, started.at).total_seconds() <= 5.0 + 1.0


def _skipped(running: Refresher, reason: Gate) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return running.vitals.skipped.get(("p0", reason), 0) >= 2

    return look


async def test_who_is_blocked_is_refreshed_again_with_another_key(
    nc: Client, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("one")
    async with refresher(nc, tmp_path, api_key={"file": str(key)}) as (running, monitors, _, _):
        await monitors.say("error", "credential")
        await eventually(_skipped(running, "blocked"))
        before = len(await runs(nc))
        key.write_text("two")
        await eventually(lambda: _some(nc, before + 2))

        started = (await runs(nc))[before]
        assert isinstance(started, RefreshStarted)
        assert started.reason == "credential"


async def test_a_list_that_a_check_has_just_seen_is_not_called_for(
    nc: Client, tmp_path: Path
) -> None:
    async with refresher(nc, tmp_path, speed=2) as (running, monitors, _, site):
        listing = running.watched["p0"].listing
        assert listing is not None
        await monitors.see((listing.validators.sha256 or "")[:32])

        async def heard() -> bool:
            return running.watched["p0"].checked is not None

        await eventually(heard)
        called, before = len(site.requests), len(await runs(nc))
        ticket = running.flights["p0"].request()
        outcome = await ticket.ended

        assert isinstance(outcome, RefreshSucceeded)
        assert (outcome.not_modified, outcome.attempts) == (True, 0)
        assert len(site.requests) == called
        assert len(await runs(nc)) == before + 2


async def test_a_check_that_sees_another_list_makes_a_refresh_due_until_that_proves_nothing(
    nc: Client, tmp_path: Path
) -> None:
    async with refresher(nc, tmp_path, speed=1) as (running, monitors, _, site):
        before = len(await runs(nc))
        site.models = [*(f"m{n}" for n in range(10)), "new"]
        await monitors.see("0" * 32)
        await eventually(lambda: _some(nc, before + 2))
        assert cast("RefreshSucceeded", (await runs(nc))[before + 1]).added == 1

        await monitors.see("1" * 32)  # a body that changes at every look
        await eventually(lambda: _some(nc, before + 4))
        await monitors.see("2" * 32)
        watched = running.watched["p0"]

        async def heard() -> bool:
            check = watched.checked
            return check is not None and check.list_ is not None and check.list_.sha256 == "2" * 32

        await eventually(heard)
        assert watched.restless
        assert len(await runs(nc)) == before + 4
