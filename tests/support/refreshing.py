"""A refresher of one provider on a real log, that runs when a test says so, on the test's clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

from events.audit import AuditEvent, RefreshOutcome, RefreshReason
from events.decide.known import Known
from events.decide.providers import Settings
from events.envelope import Message, Recorded, opened
from events.models import ModelEvent
from events.subjects import AUDIT, FACTS
from services.calls.call import Client as HttpClient
from services.calls.call import client
from services.calls.limits import Limits
from services.clock import Clock, new_id
from services.config import Config, load
from services.demo.simulator import Simulator, Site
from services.jetstream.append import Appended, Log
from services.jetstream.connect import Client
from services.jetstream.read import pages
from services.jetstream.setup import ensure
from services.process import Host
from services.refresher.asking import Asking
from services.refresher.known import replay
from services.refresher.refresh import Run, refresh
from services.refresher.run import Refresher
from services.refresher.watched import Watched
from services.waits import Waits
from tests.support.clock import ManualClock

QUICK: Mapping[str, object] = {"base_delay": "1ms", "max_delay": "2ms", "timeout": "5s"}


def toml(value: object) -> str:
    """Write *value* as TOML: a table stands in one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def table(site: Site, **settings: object) -> str:
    """Write the `[[providers]]` table of a simulated provider."""
    given: dict[str, object] = {
        "name": site.name, "dialect": site.dialect, "base_url": site.base_url, **settings
    }  # fmt: skip
    lines = [f"{key} = {toml(value)}" for key, value in given.items()]
    return "\n".join(["[[providers]]", *lines, ""])


def configuration(*tables: str, **refresh: object) -> str:
    """Write a configuration: providers, and what is true of refreshing all of them."""
    settings = {**QUICK, **refresh}
    lines = [f"{key} = {toml(value)}" for key, value in settings.items()]
    return "\n".join([*([] if tables else ["providers = []"]), "[refresh]", *lines, *tables])


def configured(folder: Path, *tables: str, **refresh: object) -> Config:
    """Write `modelog.toml` into *folder*, and read it."""
    path = folder / "modelog.toml"
    path.write_text(configuration(*tables, **refresh))
    return load(path, environ={}, cwd=folder)


async def recorded(nc: Client, stream: str, filter: str) -> list[Recorded]:
    """Return what a stream holds under *filter*, in order."""
    return [
        opened(stream, stored)
        async for page in pages(nc, stream, after=0, filter=filter)
        for stored in page
    ]


async def facts(nc: Client, provider: str = "*") -> list[ModelEvent]:
    """Return the facts of the models and capabilities of *provider*."""
    found = await recorded(nc, FACTS, "log.>")
    return [
        cast("ModelEvent", one.event)
        for one in found
        if one.subject.split(".")[1] in {"model", "capability"}
        and provider in {"*", one.subject.split(".")[2]}
    ]


async def audit(nc: Client, filter: str = "audit.>") -> list[AuditEvent]:
    """Return what the audit trail holds under *filter*."""
    return [cast("AuditEvent", one.event) for one in await recorded(nc, AUDIT, filter)]


def told(events: Sequence[object]) -> list[str]:
    """Say each event in two or three words: `added a`, `gained a vision`."""
    return [_told(event) for event in events]


def _told(event: object) -> str:
    name = type(event).__name__
    for family in ("Model", "Capability", "Refresh", "Provider", "Command", "Discovery"):
        name = name.removeprefix(family)
    model = getattr(event, "model", None)
    about = [getattr(event, "model_id", None) or getattr(model, "id", None)]
    return " ".join([name.lower(), *filter(None, [*about, getattr(event, "capability", None)])])


class Crash(BaseException):
    """The process is gone: nothing of ours catches this."""


class Mortal(Host):
    """A host that dies where it is told to: *at* what it is about to write, or has just written.

    ``before started``, ``after started``, ``before batch 2``, ``after batch 2``, ``before outcome``
    and ``after outcome``.
    """

    def __init__(self, host: Host, at: str) -> None:
        super().__init__(host.name, host.config, host.clock, host.nc, host.log)
        self._at = at
        self.batches = 0
        self.log = _MortalLog(self)

    def passes(self, point: str) -> None:
        if point == self._at:
            raise Crash(point)

    async def record(
        self, *events: AuditEvent, correlation_id: str | None = None, deadline: float = 30.0
    ) -> None:
        what = "started" if type(events[0]).__name__ == "RefreshStarted" else "outcome"
        self.passes(f"before {what}")
        await super().record(*events, correlation_id=correlation_id, deadline=deadline)
        self.passes(f"after {what}")


class _MortalLog(Log):
    def __init__(self, host: Mortal) -> None:
        self.__dict__.update(host.log.__dict__)
        self._mortal = host

    async def append(  # noqa: PLR0913 - as the one of Log
        self,
        messages: Sequence[Message],
        *,
        family: str,
        provider: str,
        expected: int,
        also: Mapping[str, int] | None = None,
        deadline: float = 30.0,
    ) -> Appended:
        self._mortal.batches += 1
        self._mortal.passes(f"before batch {self._mortal.batches}")
        done = await super().append(
            messages,
            family=family,
            provider=provider,
            expected=expected,
            also=also,
            deadline=deadline,
        )
        self._mortal.passes(f"after batch {self._mortal.batches}")
        return done


class Bench:
    """One provider, and the refresher that watches it."""

    def __init__(self, host: Host, http: HttpClient, settings: Settings, clock: Clock) -> None:
        self.host = host
        self.settings = settings
        self.clock = clock
        self._http = http
        self._limits = Limits(5, clock=clock)
        self.restart()

    async def run(
        self, *, force: bool = False, reason: RefreshReason = "schedule", host: Host | None = None
    ) -> RefreshOutcome:
        """Run it once, now."""
        run = Run(new_id(), force=force, reason=reason)
        return await refresh(host or self.host, self.asking, self.watched, run)

    async def crash(self, at: str) -> None:
        """Run it once, and let the process die *at* that point; what it knew is lost."""
        try:
            await self.run(host=Mortal(self.host, at))
        except Crash:
            pass
        else:
            raise AssertionError(f"the run never came to {at!r}")
        self.restart()

    def restart(self) -> None:
        """Forget all that a process forgets when it ends."""
        self.watched = Watched(self.settings)
        self.asking = Asking(self._http, self._limits, self.clock, Waits(self.clock, self.host.nc))

    async def start(self) -> None:
        """Let a new process start, refresh once as it does at its start, and end again."""
        refresher = Refresher(self.host, self.asking)
        before = len(await self.outcomes())
        owed = 1 if len(await self.audit("started")) > before else 0
        await refresher.follow({self.settings.name: self.settings})

        async def ended() -> bool:
            return len(await self.outcomes()) > before + owed

        await eventually(ended)
        await refresher.stop()
        self.restart()

    async def known(self) -> Known:
        """Return what the log alone tells of the provider."""
        return (await replay(self.host.nc, self.settings.name)).known

    async def facts(self) -> list[ModelEvent]:
        return await facts(self.host.nc, self.settings.name)

    async def new(self, before: list[ModelEvent]) -> list[ModelEvent]:
        """Return the facts behind *before*."""
        now = await self.facts()
        assert now[: len(before)] == before
        return now[len(before) :]

    async def audit(self, kind: str = "*") -> list[AuditEvent]:
        return await audit(self.host.nc, f"audit.refresh.{self.settings.name}.{kind}")

    async def outcomes(self) -> list[RefreshOutcome]:
        events = await self.audit()
        return [cast("RefreshOutcome", e) for e in events if type(e).__name__ != "RefreshStarted"]


async def eventually(look: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    """Wait until *look*, which asks the log, says so; at most *seconds*."""
    async with asyncio.timeout(seconds):
        while not await look():  # noqa: ASYNC110 - the log is what is asked
            await asyncio.sleep(0.02)


@asynccontextmanager
async def bench(
    nc: Client, folder: Path, site: Site, *, key: str | None = None, **refresh: object
) -> AsyncIterator[Bench]:
    """A fresh log with one provider at *site*; *key* is the variable that holds its key."""
    await ensure(nc, audit_max_age=None, monitor_url=None)
    credential = {} if key is None else {"api_key": {"env": key}}
    config = configured(folder, table(site, **credential), **refresh)
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(client())
        host = Host("refresher", config, clock, nc, await Log.open(nc))
        yield Bench(host, http, config.providers[0], clock)


@asynccontextmanager
async def acme(
    nc: Client, folder: Path, models: Sequence[object] = (), **refresh: object
) -> AsyncIterator[tuple[Bench, Site, ManualClock]]:
    """The same with a provider `acme` that speaks OpenRouter's dialect and lists *models*."""
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect="openrouter")
        site.models = [row(one) if isinstance(one, str) else one for one in models]  # type: ignore[misc]  # rows
        async with bench(nc, folder, site, key=None, **refresh) as made:
            assert isinstance(made.clock, ManualClock)
            yield made, site, made.clock


def row(id: str, **fields: object) -> dict[str, object]:
    """A row of OpenRouter's list: what *fields* do not say, it does not say."""
    return {"id": id, **fields}
