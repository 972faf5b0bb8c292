"""The health monitor at work: real HTTP, a real log, a clock that runs fast."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from events.alerts import AlertOpened, AlertResolved, AlertUpdated
from events.audit import Failure, RefreshFailed, RefreshSucceeded
from events.base import elapsed
from events.envelope import seal
from events.health import CheckCompleted, HealthCoverageLost, HealthMaintenanceStarted
from events.requests import Acknowledge, Check, Silence
from services import clock as clocks
from services.broker import CommandRefused
from services.demo import faults
from services.jetstream.append import Log
from services.jetstream.connect import Client
from tests.support.monitoring import watched
from tests.support.offering import offer
from tests.support.refreshing import eventually

pytestmark = [pytest.mark.nats, pytest.mark.asyncio]


async def _nothing() -> None:
    """Accept a command."""


async def test_a_provider_that_answers_is_active_at_its_first_check(
    nc: Client, tmp_path: Path
) -> None:
    async with watched(nc, tmp_path) as (made, _), made.monitor():
        await made.becomes("p0", "active")
        (check, *_) = await made.checks("p0")

        assert (check.verdict, check.class_, check.state.status) == ("OK", "ok", "active")
        assert check.list_ is not None
        assert (check.list_.models, check.list_.complete) == (10, True)
        assert check.checks[0].phases.keys() == {"connect", "first_byte", "body"}
        assert await made.alerts() == []


async def test_an_outage_is_told_once_and_resolved_with_its_downtime(
    nc: Client, tmp_path: Path
) -> None:
    async with watched(nc, tmp_path) as (made, (site,)), made.monitor():
        await made.becomes("p0", "active")
        site.faults.always(faults.status(500))
        await made.becomes("p0", "error", "outage")
        failing = await made.checks("p0")
        site.faults.clear()
        await made.becomes("p0", "active")

        opened, over, back, resolved = await made.alerts("p0")
        assert isinstance(opened, AlertOpened)
        assert (opened.kind, opened.severity) == ("status_change", "high")
        assert "p0 is down since" in opened.message
        assert isinstance(back, AlertOpened)
        assert (back.kind, back.severity) == ("recovery", "low")
        assert isinstance(over, AlertResolved)
        assert over.alert_id == opened.alert_id
        assert isinstance(resolved, AlertResolved)
        assert resolved.duration_ms >= 20_000
        assert sum(one.verdict == "FAIL" for one in failing) >= 3


@pytest.mark.parametrize(
    ("step", "status", "cause"),
    [
        (faults.status(401), "error", "credential"),
        (faults.status(402), "error", "quota"),
        (faults.status(410), "error", "endpoint_gone"),
        (faults.no_credit(), "error", "quota"),
        (faults.rate_limited("seconds", 1), "degraded", "throttled"),
    ],
    ids=[
        "a refused key",
        "no credit",
        "an endpoint that is gone",
        "no credit by 429",
        "throttling",
    ],
)
async def test_what_is_no_outage_is_told_apart(
    nc: Client, tmp_path: Path, step: faults.Step, status: str, cause: str
) -> None:
    async with watched(nc, tmp_path) as (made, (site,)), made.monitor():
        await made.becomes("p0", "active")
        site.faults.always(step)

        await made.becomes("p0", status, cause)


async def test_one_failure_changes_nothing(nc: Client, tmp_path: Path) -> None:
    async with watched(nc, tmp_path) as (made, (site,)), made.monitor():
        await made.becomes("p0", "active")
        site.faults.next(faults.status(500), 2)  # the call and its one retry
        before = len(await made.checks("p0"))
        checks = await made.checked("p0", before + 4)

        assert [one.verdict for one in checks].count("FAIL") == 1
        assert await made.statuses("p0") == [("active", None)]


async def test_a_restart_changes_no_status_and_resets_no_counter(
    nc: Client, tmp_path: Path
) -> None:
    async with watched(nc, tmp_path) as (made, (site,)):
        async with made.monitor():
            await made.becomes("p0", "active")
            before = await made.checked("p0", 3)
        async with made.monitor("two"):
            after = await made.checked("p0", len(before) + 2)

        assert await made.statuses("p0") == [("active", None)]
        assert after[-1].state.g.count >= len(before) + 2
        assert site.answered >= 5


async def test_a_refresh_stands_for_the_list_call(nc: Client, tmp_path: Path) -> None:
    async with watched(nc, tmp_path, speed=5) as (made, (site,)), made.monitor():
        await made.becomes("p0", "active")
        log = await Log.open(nc)
        called = len(site.requests)
        run_id = clocks.new_id()
        outcome = RefreshSucceeded(
            at=made.clock.now(), provider="p0", run_id=run_id, attempts=1, models=10, complete=True
        )
        await log.record([seal(outcome, id=run_id, source="/modelog/refresher/x")])
        checks = await made.checked("p0", 2)
        shared = [one for one in checks if one.source == "refresh"]

        assert len(site.requests) - called == len(checks) - 1 - len(shared)


async def test_a_refresh_that_failed_pulls_the_next_cycle_forward(
    nc: Client, tmp_path: Path
) -> None:
    async with watched(nc, tmp_path, speed=5) as (made, _), made.monitor():
        await made.becomes("p0", "active")
        log = await Log.open(nc)
        (first,) = await made.checks("p0")
        run_id = clocks.new_id()
        failure = Failure(class_="server", message="HTTP 500", status=500)
        outcome = RefreshFailed(
            at=made.clock.now(), provider="p0", run_id=run_id, attempts=3, error=failure
        )
        await log.record([seal(outcome, id=run_id, source="/modelog/refresher/x")])
        checks = await made.checked("p0", 2)

        assert elapsed(first.started_at, checks[1].started_at).total_seconds() <= 10.5
        assert checks[1].verdict == "OK"


async def test_all_hosts_failing_at_once_are_our_own_network(nc: Client, tmp_path: Path) -> None:
    async with watched(nc, tmp_path, count=5) as (made, sites), made.monitor():
        for site in sites:
            await made.becomes(site.name, "active")
        for site in sites:
            site.refuse()

        async def told() -> bool:
            return bool(await made.alerts("all"))

        await eventually(told, 20)
        for site in sites:
            site.accept()

        async def over() -> bool:
            return isinstance((await made.alerts("all"))[-1], AlertResolved)

        await eventually(over, 20)
        kinds = [(type(one).__name__, one.kind) for one in await made.alerts()]
        assert kinds == [("AlertOpened", "monitor_offline"), ("AlertResolved", "monitor_offline")]
        for site in sites:
            assert await made.statuses(site.name) == [("active", None)]


@pytest.mark.chaos
async def test_a_restart_while_our_own_network_is_down_blames_no_provider(
    nc: Client, tmp_path: Path
) -> None:
    async with watched(nc, tmp_path, count=5) as (made, sites):
        async with made.monitor():
            for site in sites:
                await made.becomes(site.name, "active")
            for site in sites:
                site.refuse()

            async def told() -> bool:
                return bool(await made.alerts("all"))

            await eventually(told, 20)
            await asyncio.sleep(1.6)  # three intervals: what was reached before is too old by now
        before = {site.name: len(await made.checks(site.name)) for site in sites}
        async with made.monitor("two"):
            for site in sites:
                await made.checked(site.name, before[site.name] + 4)
            for site in sites:
                site.accept()

            async def over() -> bool:
                return isinstance((await made.alerts("all"))[-1], AlertResolved)

            await eventually(over, 20)

        for site in sites:
            assert await made.statuses(site.name) == [("active", None)]
        kinds = [(type(one).__name__, one.kind) for one in await made.alerts()]
        assert kinds == [("AlertOpened", "monitor_offline"), ("AlertResolved", "monitor_offline")]


@pytest.mark.parametrize("count", [1, 5])
async def test_after_a_restart_one_that_is_down_is_found_at_its_third_failure(
    nc: Client, tmp_path: Path, count: int
) -> None:
    async with watched(nc, tmp_path, count=count) as (made, sites):
        async with made.monitor():
            for site in sites:
                await made.becomes(site.name, "active")
        before = len(await made.checks("p0"))
        sites[0].refuse()
        async with made.monitor("two"):
            await made.becomes("p0", "error", "outage")

        failed = [one.verdict for one in (await made.checks("p0"))[before:]]
        assert failed[:3] == ["FAIL", "FAIL", "FAIL"]
        for site in sites[1:]:
            assert await made.statuses(site.name) == [("active", None)]


async def test_a_disabled_provider_is_not_asked(nc: Client, tmp_path: Path) -> None:
    async with watched(nc, tmp_path) as (made, (site,)):
        made.register(site, settings={"enabled": False})
        async with made.monitor():
            await made.becomes("p0", "inactive", "disabled")

        assert site.requests == []


async def test_a_provider_without_its_key_is_unconfigured(nc: Client, tmp_path: Path) -> None:
    async with watched(nc, tmp_path) as (made, (site,)):
        made.register(site, settings={"api_key": {"env": "NO_SUCH_KEY_HERE"}})
        async with made.monitor():
            await made.becomes("p0", "inactive", "unconfigured")

        assert site.requests == []


async def test_a_removed_provider_is_told_and_its_alerts_resolve(
    nc: Client, tmp_path: Path
) -> None:
    async with watched(nc, tmp_path) as (made, (site,)), made.monitor() as (monitor, _):
        await made.becomes("p0", "active")
        site.faults.always(faults.status(401))
        await made.becomes("p0", "error", "credential")
        await monitor.follow({})
        await made.becomes("p0", "inactive", "removed")

        last = (await made.alerts("p0"))[-1]
        assert isinstance(last, AlertResolved)
        assert last.reason == "removed"


async def test_in_maintenance_checks_go_on_and_nobody_is_told(nc: Client, tmp_path: Path) -> None:
    window = {"start": "2026-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}
    async with watched(nc, tmp_path) as (made, (site,)):
        made.register(site, settings={"health": {"maintenance": [window]}})
        async with made.monitor():
            await made.becomes("p0", "active")
            site.faults.always(faults.status(401))
            await made.becomes("p0", "error", "credential")

        assert any(isinstance(one, HealthMaintenanceStarted) for one in await made.health("p0"))
        assert await made.alerts() == []


async def test_an_endpoint_that_fails_makes_it_partial(nc: Client, tmp_path: Path) -> None:
    async with watched(nc, tmp_path) as (made, (site,)):
        made.register(site, settings={"health": {"endpoints": ["/status"]}})
        site.faults.always(faults.status(500), when=lambda asked: asked.path == "/status")
        async with made.monitor():
            await made.becomes("p0", "degraded", "partial")
            check = (await made.checks("p0"))[-1]

        assert check.verdict == "PARTIAL"
        assert {one.name: one.class_ for one in check.checks} == {
            "list_models": "ok",
            "/status": "server",
        }


CHECKS = """
async def quota(context):
    status, _ = await context.get("/v1/models")
    return "warn", f"{context.provider} answers {status}, and the quota is low"

def broken(context):
    raise ValueError("a fault of its own")

def nothing(context):
    return "skip"
"""


async def test_checks_of_ones_own_warn_skip_and_break_for_themselves_alone(
    nc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("quota", "broken", "nothing")
    points = {name: f"acme_checks:{name}" for name in names}
    offer(tmp_path / "site", monkeypatch, CHECKS, **points)
    checks = [{"name": name, "type": "python", "entry_point": name} for name in names]
    async with watched(nc, tmp_path) as (made, (site,)):
        made.register(site, settings={"health": {"checks": checks}})
        async with made.monitor():
            await made.becomes("p0", "degraded", "partial")
            check = (await made.checks("p0"))[-1]

        assert {one.name: (one.verdict, one.message) for one in check.checks} == {
            "list_models": ("OK", ""),
            "quota": ("PARTIAL", "p0 answers 200, and the quota is low"),
            "broken": ("UNKNOWN", "ValueError"),
        }


async def test_check_on_order_answers_with_the_verdict(nc: Client, tmp_path: Path) -> None:
    async with watched(nc, tmp_path, count=2) as (made, _), made.monitor() as (_, orders):
        await made.becomes("p0", "active")
        await made.becomes("p1", "active")
        reply = await orders.check(Check(wait=True), "c", _nothing)
        again = await orders.check(Check(provider="p0", wait=True), "c", _nothing)

        assert [run.provider for run in reply.runs] == ["p0", "p1"]
        assert [one["verdict"] for one in reply.outcomes or ()] == ["OK", "OK"]
        assert again.runs[0].run_id == reply.runs[0].run_id
        assert again.runs[0].joined


async def test_check_of_a_provider_that_is_not_there_is_refused(nc: Client, tmp_path: Path) -> None:
    async with watched(nc, tmp_path) as (made, _), made.monitor() as (_, orders):
        with pytest.raises(CommandRefused, match="no provider 'x' that is checked; there are: p0"):
            await orders.check(Check(provider="x"), "c", _nothing)


async def test_an_alert_is_acknowledged_and_silenced_and_then_resolves_as_before(
    nc: Client, tmp_path: Path
) -> None:
    async with watched(nc, tmp_path) as (made, (site,)), made.monitor() as (_, orders):
        await made.becomes("p0", "active")
        site.faults.always(faults.status(401))
        await made.becomes("p0", "error", "credential")
        (opened,) = await made.alerts("p0")
        await orders.acknowledge(Acknowledge(alert_id=opened.alert_id), _nothing)
        await orders.silence(
            Silence(alert_id=opened.alert_id, until="2099-01-01T00:00:00Z"), _nothing
        )
        site.faults.clear()
        await orders.check(Check(provider="p0"), "c", _nothing)
        await made.becomes("p0", "active")

        told = await made.alerts("p0")
        assert [one.change for one in told if isinstance(one, AlertUpdated)] == [
            "acknowledged",
            "silenced",
        ]
        assert any(
            isinstance(one, AlertResolved) and one.alert_id == opened.alert_id for one in told
        )
        with pytest.raises(CommandRefused, match="no open alert"):
            await orders.acknowledge(Acknowledge(alert_id=opened.alert_id), _nothing)


async def test_what_was_not_checked_for_long_is_stale_and_never_down(
    nc: Client, tmp_path: Path
) -> None:
    async with watched(nc, tmp_path, speed=60) as (made, _):
        async with made.monitor():
            await made.becomes("p0", "active")
            before = await made.checked("p0", 2)
        await asyncio.sleep(1.5)  # a minute and a half of the monitor's time
        async with made.monitor("two"):
            await made.checked("p0", len(before) + 2)

        facts = await made.health("p0")
        assert [type(one).__name__ for one in facts] == [
            "HealthStatusChanged",
            "HealthCoverageLost",
            "HealthCoverageRestored",
        ]
        assert isinstance(facts[1], HealthCoverageLost)
        assert facts[1].reason == "silent"
        checks = await made.checks("p0")
        assert all(isinstance(one, CheckCompleted) and one.verdict == "OK" for one in checks)


async def test_a_restart_goes_on_with_the_number_of_turns_of_one_that_flaps(
    nc: Client, tmp_path: Path
) -> None:
    async with watched(nc, tmp_path) as (made, _):
        async with made.monitor():
            await made.becomes("p0", "active")
        *_, last = await made.checks("p0")
        cycle_id = clocks.new_id()
        restless = replace(last.state, fails=0b1010_1010_1010, seen=21, flapping=True, turns=4)
        check = replace(last, at=made.clock.now(), cycle_id=cycle_id, state=restless)
        log = await Log.open(nc)
        await log.record([seal(check, id=cycle_id, source="/modelog/health-monitor/x")])
        async with made.monitor("two"):
            await made.becomes("p0", "degraded", "flapping")

            async def told() -> bool:
                return bool(await made.alerts("p0"))

            await eventually(told, 20)

        (opened, *_) = await made.alerts("p0")
        assert (opened.cause, opened.message) == ("flapping", "p0 flaps: 5 changes of status")
