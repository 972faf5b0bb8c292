"""models.dev is asked, believed or not, remembered; and its words reach the log in one pass."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from events.decide.known import NOTHING, fold
from events.decide.providers import Settings
from events.models import ModelAdded, ModelUpdated
from events.record import ModelRecord
from events.subjects import FACTS
from services.calls.call import client
from services.calls.limits import Limits
from services.clock import new_id
from services.config import Config
from services.demo.simulator import Simulator, Site
from services.jetstream.append import Log
from services.jetstream.connect import Client
from services.jetstream.setup import ensure
from services.process import Host
from services.refresher.asking import Asking
from services.refresher.enrich import Enrichment
from services.refresher.filling import fill
from services.refresher.known import replay
from services.refresher.refresh import Run, refresh
from services.refresher.run import Refresher
from services.refresher.snapshot import FILE, keep, packaged
from services.refresher.watched import Watched
from services.settings import Enrichment as Wanted
from tests.support.cli import modelog
from tests.support.clock import ManualClock
from tests.support.http import Act, Asked, Server, answer, hang_up, reply, serving
from tests.support.nats import until
from tests.support.refreshing import configured, eventually, recorded, table, told
from tests.support.system import up

OPENAI = Settings(name="openai", dialect="openai", base_url="http://127.0.0.1:9/v1")
ACME = Settings(name="acme", dialect="openai", base_url="http://127.0.0.1:9/v1")
LOCAL = Settings(name="ollama", dialect="ollama", base_url="http://127.0.0.1:9")


def _document(window: int, *, models: int = 1, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """What models.dev says of `m`, and of so many models in all."""
    row = {"limit": {"context": window}, "last_updated": "2099-01-01", **more}
    return {"openai": {"models": {"m": row, **{f"x{number}": {} for number in range(1, models)}}}}


class Source:
    """A models.dev on loopback: *act* is what it does, *etag* what it sends and compares."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.act: Act = reply(b"", 503)
        self.etag: str | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"{self.server.url}/api.json"

    @property
    def asked(self) -> list[Asked]:
        assert self.server is not None
        return self.server.asked

    def says(self, document: object, etag: str | None = None) -> None:
        self.etag = etag
        self.act = answer(document, {} if etag is None else {"etag": etag})

    def script(self, asked: Asked) -> Act:
        if self.etag is not None and asked.headers.get("if-none-match") == self.etag:
            return reply(b"", 304)
        return self.act


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    made = Source()
    async with serving(made.script) as server:
        made.server = server
        yield made


@asynccontextmanager
async def _enrichment(folder: Path, source: Source, **settings: Any) -> AsyncIterator[Enrichment]:  # noqa: ANN401 - settings
    clock = ManualClock()
    wanted = Wanted(**{"url": source.url, **settings})
    async with client() as http:
        yield Enrichment(
            wanted, folder / FILE, client=http, limits=Limits(5, clock=clock), clock=clock
        )


def _window(enrichment: Enrichment, id_: str = "m", settings: Settings = OPENAI) -> int | None:
    return enrichment.of(settings)(ModelRecord(id=id_, name=id_)).context_window


async def test_what_was_installed_serves_until_it_answers(tmp_path: Path, source: Source) -> None:
    async with _enrichment(tmp_path, source) as enrichment:
        record = enrichment.of(OPENAI)(ModelRecord(id="gpt-4o", name="gpt-4o"))

    assert record.capabilities["vision"] is True
    assert (record.context_window, record.prices["input"]) == (128000, "2.5")
    assert source.asked == []


async def test_what_it_answers_counts_from_then_on(tmp_path: Path, source: Source) -> None:
    source.says(_document(7, models=5000))
    async with _enrichment(tmp_path, source) as enrichment:
        before = enrichment.of(OPENAI)
        new = await enrichment.ask()

        assert new
        assert (_window(enrichment), _window(enrichment, "gpt-4o")) == (7, None)
        assert before(ModelRecord(id="m", name="m")).context_window is None


@pytest.mark.parametrize("etag", ['"one"', 'W/"one"', None])
async def test_the_same_answer_is_nothing_new(
    tmp_path: Path, source: Source, etag: str | None
) -> None:
    source.says(_document(7, models=5000), etag)
    async with _enrichment(tmp_path, source) as enrichment:
        first, second = await enrichment.ask(), await enrichment.ask()

        assert (first, second) == (True, False)
        assert _window(enrichment) == 7
    assert source.asked[1].headers.get("if-none-match") == etag


async def test_a_restart_goes_on_with_the_last_answer(tmp_path: Path, source: Source) -> None:
    """Else the installed words would come back for a moment, and every price flip twice."""
    source.says(_document(7, models=5000), '"one"')
    async with _enrichment(tmp_path, source) as enrichment:
        await enrichment.ask()
    async with _enrichment(tmp_path, source) as enrichment:
        before = _window(enrichment)
        new = await enrichment.ask()

    assert (before, new) == (7, False)
    assert source.asked[1].headers["if-none-match"] == '"one"'


async def test_an_installation_that_is_younger_than_the_last_answer_wins(
    tmp_path: Path, source: Source
) -> None:
    old = json.dumps(_document(7, last_updated="2025-01-01")).encode()
    keep(tmp_path / FILE, source.url, '"old"', old)
    async with _enrichment(tmp_path, source) as enrichment:
        assert (_window(enrichment), _window(enrichment, "gpt-4o")) == (None, 128000)
        await enrichment.ask()
    assert "if-none-match" not in source.asked[0].headers


@pytest.mark.parametrize("left", [b"", b"no gzip", b"\x1f\x8b\x08\x00"])
async def test_a_broken_memory_is_none(
    tmp_path: Path, source: Source, left: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(left)
    async with _enrichment(tmp_path, source) as enrichment:
        assert _window(enrichment, "gpt-4o") == 128000
    assert [record.message.split()[:2] for record in caplog.records] == [["not", "read"]]


async def test_an_answer_of_another_address_is_not_believed(tmp_path: Path, source: Source) -> None:
    keep(tmp_path / FILE, "http://elsewhere/api.json", None, json.dumps(_document(7)).encode())
    async with _enrichment(tmp_path, source) as enrichment:
        assert _window(enrichment) is None


@pytest.mark.parametrize(
    ("act", "class_"),
    [
        (reply(b"", 503), "overloaded"),
        (reply(b"<html>"), "invalid_response"),
        (reply(b"{}"), "invalid_response"),
        (reply(b'{"error": "gone"}'), "invalid_response"),
        (hang_up, "connect"),
        (reply(b"", 404), "config"),
    ],
    ids=["503", "no JSON", "nothing", "an error", "hangs up", "404"],
)
async def test_a_failure_is_a_log_line_and_the_last_words_serve_on(
    tmp_path: Path, source: Source, act: Act, class_: str, caplog: pytest.LogCaptureFixture
) -> None:
    source.says(_document(7, models=5000))
    async with _enrichment(tmp_path, source) as enrichment:
        await enrichment.ask()
        source.act = act
        new = await enrichment.ask()

        assert not new
        assert _window(enrichment) == 7
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.startswith("not enriched source=models.dev error=")
    assert class_ == re.findall(r"error=(\w+)", record.message)[0]


async def test_a_document_that_lost_most_is_believed_the_third_time(
    tmp_path: Path, source: Source
) -> None:
    source.says(_document(7, models=5000))
    async with _enrichment(tmp_path, source) as enrichment:
        await enrichment.ask()
        source.says(_document(8, models=2000))
        answers = [await enrichment.ask() for _ in range(3)]

        assert answers == [False, False, True]
        assert _window(enrichment) == 8


async def test_it_works_without_a_place_to_remember(
    tmp_path: Path, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    source.says(_document(7, models=5000))
    (tmp_path / "file").write_text("")
    async with _enrichment(tmp_path / "file", source) as enrichment:
        assert await enrichment.ask()
        assert _window(enrichment) == 7
    assert [record.message.split()[:2] for record in caplog.records] == [["not", "kept"]]


@pytest.mark.parametrize("settings", [ACME, LOCAL], ids=["a name of the user's", "a local server"])
async def test_it_tells_nothing_of_a_provider_that_it_does_not_know(
    tmp_path: Path, source: Source, settings: Settings
) -> None:
    async with _enrichment(tmp_path, source) as enrichment:
        assert _window(enrichment, "gpt-4o", settings) is None


async def test_turned_off_it_tells_nothing(tmp_path: Path, source: Source) -> None:
    async with _enrichment(tmp_path, source, sources=()) as enrichment:
        assert _window(enrichment, "gpt-4o") is None


@pytest.mark.parametrize(("name", "state"), [("openai", "deprecated"), ("anthropic", "active")])
async def test_a_provider_that_tells_where_its_models_stand_is_not_contradicted(
    tmp_path: Path, source: Source, name: str, state: str
) -> None:
    models = {f"x{number}": {"status": "deprecated"} for number in range(3000)}
    source.says({name: {"models": models}})
    async with _enrichment(tmp_path, source) as enrichment:
        await enrichment.ask()
        settings = Settings(name=name, dialect=name, base_url="http://127.0.0.1:9")
        record = enrichment.of(settings)(ModelRecord(id="x1", name="x1"))

    assert record.lifecycle.state == state


class _Followed(NamedTuple):
    enrichment: Enrichment
    passes: list[str]


@asynccontextmanager
async def _followed(
    folder: Path,
    source: Source,
    **settings: Any,  # noqa: ANN401 - settings
) -> AsyncIterator[_Followed]:
    """One that is followed on a clock whose sleeps end when a day of it is over: never."""
    passes: list[str] = []
    async with client() as http:
        clock = _Still()
        enrichment = Enrichment(
            Wanted(**{"url": source.url, **settings}),
            folder / FILE,
            client=http,
            limits=Limits(5, clock=clock),
            clock=clock,
        )

        async def apply() -> None:
            passes.append(f"{_window(enrichment)}")

        task = asyncio.create_task(enrichment.follow(apply))
        try:
            yield _Followed(enrichment, passes)
        finally:
            task.cancel()
            await asyncio.wait([task])


class _Still(ManualClock):
    """Who sleeps on it is woken by the test: `wake`."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []
        self.woken = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.woken.wait()
        self.woken.clear()


async def test_it_is_not_asked_before_a_provider_needs_it(tmp_path: Path, source: Source) -> None:
    source.says(_document(7, models=5000))
    async with _followed(tmp_path, source) as (enrichment, passes):
        enrichment.of(ACME)
        await asyncio.sleep(0)
        before = len(source.asked)
        enrichment.of(OPENAI)
        await until(lambda: passes == ["7"], 5)

    assert (before, len(source.asked)) == (0, 1)


async def test_a_pass_is_made_at_the_start_also_where_it_does_not_answer(
    tmp_path: Path, source: Source
) -> None:
    async with _followed(tmp_path, source) as (enrichment, passes):
        enrichment.of(OPENAI)
        await until(lambda: passes == ["None"], 5)

    assert len(source.asked) == 1


async def test_other_settings_are_seen_to_at_once(tmp_path: Path, source: Source) -> None:
    source.says(_document(7, models=5000))
    async with _followed(tmp_path, source) as (enrichment, passes):
        enrichment.of(OPENAI)
        await until(lambda: passes == ["7"], 5)
        enrichment.configure(Wanted(url=source.url))
        enrichment.configure(Wanted(url=source.url, sources=()))
        await until(lambda: passes == ["7", "None"], 5)
        enrichment.configure(Wanted(url=source.url))
        await until(lambda: passes == ["7", "None", "7"], 5)


async def test_turned_off_from_the_start_it_takes_out_what_it_filled(
    tmp_path: Path, source: Source
) -> None:
    async with _followed(tmp_path, source, sources=()) as (_, passes):
        await until(lambda: passes == ["None"], 5)

    assert source.asked == []


class _Bench:
    """A provider `openai` on a real log, with what models.dev says beside it."""

    def __init__(self, config: Config, host: Host, enrichment: Enrichment, site: Site) -> None:
        self.config = config
        self.host = host
        self.site = site
        self.enrichment = enrichment
        self.watched = Watched(config.providers[0])
        self.watched.enrich = enrichment.of(self.watched.settings)

    async def refresh(self, asking: Asking) -> Any:  # noqa: ANN401 - the outcome of any kind
        return await refresh(self.host, asking, self.watched, Run(new_id()))

    async def fill(self) -> None:
        await fill([(self.watched, self.host)], self.enrichment.of)

    async def facts(self) -> list[Any]:
        return await recorded(self.host.nc, FACTS, "log.>")


@asynccontextmanager
async def _bench(
    nc: Client, folder: Path, source: Source, models: list[str]
) -> AsyncIterator[tuple[_Bench, Asking]]:
    await ensure(nc, audit_max_age=None, monitor_url=None)
    clock = ManualClock()
    async with Simulator() as simulator, client() as http:
        site = simulator.provider("openai", dialect="openai", key="k")
        site.models = models
        key = folder / "key"
        key.write_text("k")
        config = configured(folder, table(site, api_key={"file": str(key)}))
        host = Host("refresher", config, clock, nc, await Log.open(nc))
        limits = Limits(5, clock=clock)
        enrichment = Enrichment(
            Wanted(url=source.url), folder / FILE, client=http, limits=limits, clock=clock
        )
        yield _Bench(config, host, enrichment, site), Asking(http, limits, clock)


@pytest.mark.nats
async def test_the_first_list_is_filled_already(nc: Client, tmp_path: Path, source: Source) -> None:
    async with _bench(nc, tmp_path, source, ["gpt-4o", "nobody-knows-me"]) as (bench, asking):
        await bench.refresh(asking)
        facts = [one.event for one in await bench.facts()]

    added = {event.model.id: event.model for event in facts if isinstance(event, ModelAdded)}
    assert added["gpt-4o"].capabilities["vision"] is True
    assert added["gpt-4o"].sources["capabilities.vision"] == "models.dev"
    assert added["gpt-4o"].sources["owned_by"] == "provider"
    assert "models.dev" not in added["nobody-knows-me"].sources.values()
    assert not any(isinstance(event, ModelUpdated) for event in facts)


@pytest.mark.nats
async def test_other_words_are_one_pass_with_an_id_of_its_own(
    nc: Client, tmp_path: Path, source: Source
) -> None:
    async with _bench(nc, tmp_path, source, ["m", "n"]) as (bench, asking):
        await bench.refresh(asking)
        before = len(await bench.facts())
        source.says(_document(7, models=5000, tool_call=True))
        await bench.enrichment.ask()
        await bench.fill()
        new = (await bench.facts())[before:]
        await bench.refresh(asking)
        await bench.fill()
        after = await bench.facts()
        known = (await replay(nc, "openai")).known

    assert told([one.event for one in new]) == ["updated m", "gained m tools"]
    assert len({one.correlation_id for one in new} - {None}) == 1
    assert after[before:] == new
    assert known.models == fold(NOTHING, [cast("Any", one.event) for one in after]).models
    assert bench.watched.known == known


@pytest.mark.nats
async def test_a_pass_that_loses_a_race_reads_again(
    nc: Client, tmp_path: Path, source: Source
) -> None:
    """Another refresher has removed `n` and added `o` since this one looked."""
    async with _bench(nc, tmp_path, source, ["m", "n"]) as (bench, asking):
        await bench.refresh(asking)
        other = Watched(bench.watched.settings)
        bench.site.models = ["m", "o"]
        await refresh(bench.host, asking, other, Run(new_id()))
        source.says(_document(7, models=5000))
        await bench.enrichment.ask()
        await bench.fill()
        facts = told([one.event for one in await bench.facts()])
        known = (await replay(nc, "openai")).known

    assert facts[-1] == "updated m"
    assert facts.count("returned n") == 0
    assert known.models["m"].record.context_window == 7


@pytest.mark.nats
async def test_turning_it_off_takes_out_what_it_filled(
    nc: Client, tmp_path: Path, source: Source
) -> None:
    async with _bench(nc, tmp_path, source, ["gpt-4o"]) as (bench, asking):
        await bench.refresh(asking)
        bench.enrichment.configure(Wanted(url=source.url, sources=()))
        await bench.fill()
        await bench.refresh(asking)
        facts = [one.event for one in await bench.facts()]
        record = (await replay(nc, "openai")).known.models["gpt-4o"].record

    assert "lost gpt-4o vision" in told(facts)
    assert set(record.sources.values()) == {"provider"}
    assert (record.capabilities, record.prices) == ({}, {})


@pytest.mark.nats
async def test_a_refresher_asks_beside_its_refreshes(
    nc: Client, tmp_path: Path, source: Source
) -> None:
    source.says(_document(7, models=5000))
    async with _bench(nc, tmp_path, source, ["m"]) as (bench, asking):
        bench.host.clock = _Still()
        refresher = Refresher(bench.host, asking)
        refresher.enrich(bench.enrichment)
        await refresher.follow({"openai": bench.config.providers[0]})

        async def filled() -> bool:
            models = (await replay(nc, "openai")).known.models
            return "m" in models and models["m"].record.context_window == 7

        await eventually(filled)
        await refresher.stop()


CONFIGURATION = """
[enrichment]
sources = {sources}
url = "{url}"

[[providers]]
name = "openai"
base_url = "{base_url}"
api_key = {{ file = "key" }}
"""


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.chaos
async def test_an_openai_key_alone_tells_what_can_see(tmp_path: Path, source: Source) -> None:
    """Without network: the list gives ids alone, and models.dev does not answer."""
    (tmp_path / "key").write_text("k")
    config = tmp_path / "modelog.toml"

    async def ask(*words: str) -> Any:  # noqa: ANN401 - JSON
        answer = await asyncio.to_thread(modelog, *words, "--json", cwd=tmp_path)
        return answer.json if answer.code == 0 else None

    async def listed() -> bool:
        return len(await ask("models", "list", "--provider", "openai") or []) == 6

    async def alone() -> bool:
        shown = await ask("models", "show", "gpt-4.1")
        return shown is not None and not shown["prices"]

    async with Simulator() as simulator:
        site = simulator.provider("openai", dialect="openai", key="k")
        site.models = ["gpt-4o", "gpt-4.1", "o3", "o3-mini", "gpt-3.5-turbo", "my-own"]
        text = CONFIGURATION.format(
            sources='["models.dev"]', url=source.url, base_url=site.base_url
        )
        config.write_text(text)
        async with up(tmp_path):
            await eventually(listed, 30)
            seeing = await ask("models", "list", "--capability", "vision", "--provider", "openai")
            shown = await ask("models", "show", "gpt-4.1")
            history = await ask("models", "history", "gpt-4.1")
        config.write_text(text.replace('["models.dev"]', "[]"))
        async with up(tmp_path):
            await eventually(alone, 30)
            plain = await ask("models", "show", "gpt-4.1")

    assert [row["id"] for row in seeing] == ["gpt-4.1", "gpt-4o", "o3"]
    assert (shown["context_window"], shown["prices"]["input"]) == (1047576, "2")
    assert (shown["sources"]["prices.input"], shown["sources"]["owned_by"]) == (
        "models.dev",
        "provider",
    )
    assert [version["change"] for version in history] == ["added"]
    assert (plain["context_window"], plain["prices"], set(plain["sources"].values())) == (
        None,
        {},
        {"provider"},
    )


def test_the_installed_package_still_has_what_is_read_of_it() -> None:
    """It is read without its own code, which would keep all of it in memory."""
    offers = packaged()

    assert len(offers) > 1000
    assert offers.newest >= "2026-05-21"
