"""Whatever a provider, a user or the server gets wrong: a recorded outcome, or a clear end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from events.audit import RefreshFailed, ServiceFailed
from events.subjects import AUDIT, FACTS, escape, unescape
from projections import Catalogue
from services.demo import faults
from services.demo.faults import Fault
from services.demo.simulator import Simulator, Site
from services.jetstream.api import ask, stream_info
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from tests.support.cli import modelog
from tests.support.http import refusing_port
from tests.support.nats import Servers, connected, until
from tests.support.processes import Process, spawned
from tests.support.refreshing import (
    acme,
    audit,
    bench,
    configuration,
    facts,
    recorded,
    row,
    table,
    told,
)

pytestmark = pytest.mark.nats

# What a provider gets wrong


async def test_a_wrong_key_is_asked_once_and_never_shown(
    nc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_KEY", "sk-not-the-right-one")
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect="openai", key="the right one")
        async with bench(nc, tmp_path, site, key="ACME_KEY", attempts=3) as made:
            outcome = await made.run()
        everything = await recorded(nc, AUDIT, "audit.>")

    assert isinstance(outcome, RefreshFailed)
    assert outcome.error is not None
    assert (outcome.error.class_, outcome.error.status) == ("credential", 401)
    assert (outcome.attempts, len(site.requests)) == (1, 1)
    assert "not-the-right" not in repr(everything)


async def test_a_key_that_is_not_there_is_told_and_nobody_asked(
    nc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACME_KEY", raising=False)
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect="openai")
        async with bench(nc, tmp_path, site, key="ACME_KEY") as made:
            outcome = await made.run()

    assert outcome.error is not None
    assert outcome.error.class_ == "credential"
    assert "ACME_KEY" in outcome.error.message
    assert (outcome.attempts, site.requests) == (0, [])


async def test_a_key_that_is_mended_is_used_by_the_next_run(
    nc: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_KEY", "wrong")
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect="openai", key="right")
        site.models = ["a"]
        async with bench(nc, tmp_path, site, key="ACME_KEY") as made:
            await made.run()
            monkeypatch.setenv("ACME_KEY", "right")
            outcome = await made.run()

    assert (outcome.error, outcome.added) == (None, 1)


SPOILT: dict[str, tuple[Fault, str]] = {
    "HTML with 200": (faults.page(), "invalid_response"),
    "an empty body": (faults.empty_body(), "invalid_response"),
    "a list cut in the middle": (faults.cut_list(), "invalid_response"),
    "a connection cut in the middle": (faults.truncate(), "connect"),
    "an error object with 200": (faults.refused_inside(), "invalid_response"),
    "a bomb of gzip": (faults.bomb(), "invalid_response"),
    "a redirect to itself": (faults.redirect_loop(), "config"),
    "a firewall's page": (faults.page(403), "forbidden_edge"),
}


@pytest.mark.parametrize("what", SPOILT)
async def test_an_answer_that_is_no_list_is_a_failure_and_no_fact(
    what: str, nc: Client, tmp_path: Path
) -> None:
    fault, class_ = SPOILT[what]
    async with acme(nc, tmp_path, ["a", "b"], attempts=1) as (made, site, _):
        await made.run()
        before = await made.facts()
        site.faults.always(fault)
        outcome = await made.run()

        assert await made.new(before) == []
        assert outcome.error is not None
        assert outcome.error.class_ == class_
        assert "\n" not in outcome.error.message
        assert len(outcome.error.message) <= 200

        site.faults.clear()
        after = await made.run()

        assert await made.new(before) == []
        assert after.error is None


async def test_a_provider_that_never_answers_fails_at_its_deadline(
    nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, ["a"], attempts=2, timeout="150ms") as (made, site, _):
        site.faults.always(faults.hang())
        async with asyncio.timeout(5):
            outcome = await made.run()

    assert outcome.error is not None
    assert outcome.error.class_.startswith("timeout")
    assert outcome.attempts == 2


async def test_a_provider_that_drips_fails_at_its_deadline(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, ["a"], attempts=1, timeout="200ms") as (made, site, _):
        site.faults.always(faults.drip())
        async with asyncio.timeout(5):
            outcome = await made.run()

    assert outcome.error is not None
    assert outcome.error.class_ == "timeout_total"


@pytest.mark.parametrize("dialect", ["gemini", "anthropic", "openrouter"])
async def test_a_page_cursor_that_repeats_makes_the_whole_list_fail(
    dialect: str, nc: Client, tmp_path: Path
) -> None:
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect=dialect)
        site.models = [f"m{number}" for number in range(5)]
        site.page_size = 2
        first = dialect != "gemini"  # its simulator makes sure that a token is one of its own
        site.faults.always(
            faults.repeated_cursor(), when=lambda asked: first or bool(asked.one("pageToken"))
        )
        async with bench(nc, tmp_path, site, attempts=1) as made:
            outcome = await made.run()

            assert await made.facts() == []
            assert outcome.error is not None
            assert outcome.error.class_ == "invalid_response"
            assert len(site.requests) <= 3


async def test_a_duplicate_id_is_one_model_and_counted(nc: Client, tmp_path: Path) -> None:
    twice = [row("a", context_length=1), row("b"), row("a", context_length=2)]
    async with acme(nc, tmp_path, twice) as (made, site, _):
        outcome = await made.run()
        before = await made.facts()
        site.models = twice[::-1]
        await made.run()

        assert told(before) == ["added a", "added b"]
        assert await made.new(before) == []
        assert (outcome.models, outcome.duplicates, outcome.complete) == (2, 1, True)


STRANGE = [
    "with space",
    "gpt-4.1",
    "a/b/c",
    "*",
    ">",
    "a.*.>",
    "tab\tand\nline",
    "nul\0bell\x07",
    "escape\x1b[31m",
    " ",
    "…",
    "模型",
    "=2E",
    "'; DROP TABLE models; --",
]


@pytest.mark.parametrize("id_", STRANGE, ids=ascii)
async def test_a_strange_id_is_a_model_with_a_subject_of_its_own(
    id_: str, nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, [id_, "plain"]) as (made, site, _):
        await made.run()
        (strange,) = (one for one in await made.facts() if told([one]) != ["added plain"])
        stored = await recorded(nc, FACTS, f"log.model.acme.added.{escape(id_)}")
        bench_known = await made.known()
        site.models = [row("plain")]
        outcome = await made.run()

    assert getattr(strange, "model").id == id_  # noqa: B009 - of a union
    assert [unescape(one.subject.split(".")[4]) for one in stored] == [id_]
    assert set(bench_known.models) == {id_, "plain"}
    assert (outcome.missing, outcome.skipped) == (1, 0)


async def test_an_id_that_no_subject_can_hold_is_left_out_and_counted(
    nc: Client, tmp_path: Path
) -> None:
    async with acme(nc, tmp_path, ["a", "x" * 500, "", "." * 51]) as (made, _, _):
        outcome = await made.run()

        assert told(await made.facts()) == ["added a"]
        assert (outcome.skipped, outcome.complete, outcome.error) == (3, True, None)


async def test_a_row_of_enormous_values_costs_nobody_anything(nc: Client, tmp_path: Path) -> None:
    huge = row(
        "huge",
        name="n" * 500_000,
        description="d" * 500_000,
        canonical_slug="s" * 500_000,
        context_length=10**30,
        pricing={"prompt": "9" * 10_000, "completion": "1e400", "request": "-1"},
        supported_parameters=["tools"] * 10_000,
        knowledge_cutoff="k" * 100_000,
    )
    async with acme(nc, tmp_path, ["a", huge]) as (made, _, _):
        outcome = await made.run()

        assert "added a" in told(await made.facts())
        assert outcome.error is None


async def test_any_number_of_held_fields_fits_into_the_outcome(nc: Client, tmp_path: Path) -> None:
    """Long ids, each with other fields that are sent no more: the audit trail takes 64 kB."""
    names = ["context_length", "knowledge_cutoff", "description", "name"]
    values: dict[str, Any] = dict(zip(names, (1000, "2024-06", "text", "N"), strict=True))
    prices = ["prompt", "completion", "input_cache_read", "input_cache_write", "request", "audio"]
    full = [
        row(
            f"{number:03}-{'x' * 140}",
            **values,
            pricing=dict.fromkeys(prices, "0.000001"),
        )
        for number in range(600)
    ]
    reduced = [
        {
            **{key: value for place, (key, value) in enumerate(one.items()) if not n >> place & 1},
            "id": one["id"],
            "pricing": {p: "0.000001" for place, p in enumerate(prices) if not n >> place + 4 & 1},
        }
        for n, one in enumerate(full)
    ]
    async with acme(nc, tmp_path, full) as (made, site, clock):
        await made.run()
        before = await made.facts()
        site.models = reduced
        clock.advance(hours=1)
        outcome = await made.run()
        made.restart()
        clock.advance(hours=1)
        again = await made.run()

        assert outcome.error is None
        assert [one for one in told(await made.new(before)) if "updated" in one] == []
        assert again.error is None


# What a user gets wrong


@pytest.mark.process
@pytest.mark.parametrize("process", ["refresher", "projector"])
def test_a_broken_configuration_starts_nothing_and_is_told_whole(
    process: str, tmp_path: Path
) -> None:
    (tmp_path / "modelog.toml").write_text(
        '[refresh]\ninterval = 5\nspeed = 1\n[[providers]]\nname = "all"\napi_key = "sk-secret"\n'
    )
    answer = modelog("run", process, cwd=tmp_path)

    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) >= 4
    assert all(key in answer.err for key in ("interval", "speed", "name", "api_key"))
    assert "sk-secret" not in answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["modelog.toml"]


# What the log's server does


@pytest.mark.chaos
@pytest.mark.process
@pytest.mark.parametrize("process", ["refresher", "projector"])
def test_without_a_server_a_process_says_so_in_one_line(process: str, tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text(configuration())
    with refusing_port() as port:
        url = f"nats://127.0.0.1:{port}"
        answer = modelog("run", process, cwd=tmp_path, env={"MODELOG_NATS_URL": url})

    assert answer.code == 4
    (line,) = answer.err.strip().splitlines()
    assert url in line


@pytest.mark.process
def test_without_any_url_a_process_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text(configuration())
    answer = modelog("run", "refresher", cwd=tmp_path)

    assert answer.code == 4
    assert "modelog up" in answer.err


@pytest.mark.process
async def test_a_log_that_was_not_made_yet_ends_a_process(
    nats_server: Server, tmp_path: Path
) -> None:
    (tmp_path / "modelog.toml").write_text(configuration())
    env = {"MODELOG_NATS_URL": nats_server.url}
    answer = await asyncio.to_thread(modelog, "run", "refresher", cwd=tmp_path, env=env)

    assert answer.code == 4
    assert "MODELOG" in answer.err
    assert len(answer.err.strip().splitlines()) == 1


class _System:
    """A server, a provider, and both processes."""

    def __init__(self, folder: Path, servers: Servers, site: Site) -> None:
        self.folder = folder
        self.servers = servers
        self.site = site

    @asynccontextmanager
    async def process(self, name: str) -> AsyncIterator[Process]:
        env = {"MODELOG_NATS_URL": self.servers.url}
        async with spawned(self.folder, "run", name, env=env) as process:
            await process.line(" ready ")
            yield process

    async def refreshed(self, *, again: bool = False) -> dict[str, Any]:
        """Ask for a refresh; *again* where the refresher may be connecting to its server."""
        env = {"MODELOG_NATS_URL": self.servers.url}
        words = ("providers", "refresh", "acme", "--force", "--json")
        answer = await asyncio.to_thread(modelog, *words, cwd=self.folder, env=env)
        while again and "no refresher answers" in answer.err:
            answer = await asyncio.to_thread(modelog, *words, cwd=self.folder, env=env)
        found: dict[str, Any] = answer.json[0] if answer.out else {"type": answer.err}
        return found

    def catalogued(self) -> list[str]:
        with Catalogue.open(self.folder / ".modelog" / "catalogue.db") as catalogue:
            return [one.id for one in catalogue.by_provider("acme")]


@pytest.fixture
async def system(servers: Servers, tmp_path: Path) -> AsyncIterator[_System]:
    async with Simulator() as simulator, connected(servers.url) as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)
        site = simulator.provider("acme", dialect="openrouter")
        site.models = ["a", "b"]
        (tmp_path / "modelog.toml").write_text(configuration(table(site), timeout="8s"))
        yield _System(tmp_path, servers, site)


@pytest.mark.process
@pytest.mark.chaos
async def test_both_processes_go_on_when_the_server_was_restarted(system: _System) -> None:
    """While a run is on its way: nothing is lost, and nothing is there twice."""
    async with system.process("refresher") as refresher, system.process("projector") as projector:
        await refresher.line("refreshed", "models=2")
        system.site.models = ["a", "b", "c"]
        system.site.faults.next(faults.delay(0.5))
        run = asyncio.create_task(system.refreshed())
        await until(lambda: len(system.site.requests) == 2)
        await system.servers.restart()
        await refresher.line("refreshed", "changes=1")
        await asyncio.wait([run])
        system.site.models = ["a", "c", "d"]
        later = await system.refreshed(again=True)
        async with connected(system.servers.url) as nc:
            found = told(await facts(nc))
            events = await audit(nc, "audit.refresh.>")
        await until(lambda: system.catalogued() == ["a", "b", "c", "d"])
        codes = [await refresher.stop(), await projector.stop()]

    facts_of_models = [one for one in found if not one.startswith("gained")]
    assert facts_of_models == ["added a", "added b", "added c", "missing b", "added d"]
    assert later["type"] == "refresh.succeeded"
    assert told(events) == ["started", "succeeded"] * 3
    assert codes == [0, 0]
    assert refresher.text.count(" ready ") == 1


@pytest.mark.process
async def test_a_catalogue_that_is_no_database_stops_the_projector_alone(system: _System) -> None:
    data = system.folder / ".modelog"
    data.mkdir()
    (data / "catalogue.db").write_text("this is no database\n" * 100)
    env = {"MODELOG_NATS_URL": system.servers.url}
    async with system.process("refresher") as refresher:
        await refresher.line("refreshed", "models=2")
        async with connected(system.servers.url) as nc:
            before = await recorded(nc, FACTS, "log.>")
            words = ("run", "projector")
            answer = await asyncio.to_thread(modelog, *words, cwd=system.folder, env=env)
            after = await recorded(nc, FACTS, "log.>")
            failed = await audit(nc, "audit.service.projector.failed")

    assert answer.code == 4
    assert "catalogue.db is not a catalogue" in answer.err.strip().splitlines()[-1]
    assert after == before
    assert len(after) > 2
    assert [type(one) for one in failed] == [ServiceFailed]
    assert (data / "catalogue.db").read_text().startswith("this is no database")


@pytest.mark.process
async def test_a_full_log_is_told_and_goes_on_when_there_is_room(system: _System) -> None:
    async with connected(system.servers.url) as nc:
        async with system.process("refresher") as refresher:
            await refresher.line("refreshed", "models=2")
            before = await recorded(nc, FACTS, "log.>")
            await _limit(nc, (await stream_info(nc, FACTS))["state"]["bytes"] + 100)
            system.site.models = ["a", *(f"new-{number}" for number in range(50))]
            refused = await system.refreshed()
            code = await refresher.ended()
            during = await recorded(nc, FACTS, "log.>")
        failed = await audit(nc, "audit.service.refresher.failed")
        await _limit(nc, -1)
        async with system.process("refresher") as refresher:
            await refresher.line("refreshed", "models=51")
        after = told(await facts(nc))
        events = await audit(nc, "audit.refresh.>")

    assert code == 1
    assert "refresh." not in refused["type"]
    assert "LogFull" in str(getattr(failed[-1], "reason", ""))
    assert during == before
    assert sorted(one for one in after if not one.startswith("gained")) == sorted(
        ["added a", "added b", "missing b", *(f"added new-{n}" for n in range(50))]
    )
    assert told(events) == ["started", "succeeded", "started", "failed", "started", "succeeded"]


async def _limit(nc: Client, bytes_: int) -> None:
    config = (await stream_info(nc, FACTS))["config"]
    await ask(nc, f"STREAM.UPDATE.{FACTS}", {**config, "max_bytes": bytes_})
