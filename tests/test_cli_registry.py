from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.demo.simulator import Simulator
from tests.support.cli import Answer, modelog
from tests.support.nats import until
from tests.support.system import up

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]


class _Running:
    """A system with one configured provider, and the base URL of another."""

    def __init__(self, folder: Path, base_url: str) -> None:
        self.folder = folder
        self.base_url = base_url

    async def ask(self, *words: str) -> Answer:
        return await asyncio.to_thread(modelog, *words, cwd=self.folder)


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[_Running]:
    async with Simulator() as simulator:
        filed = simulator.provider("filed", dialect="openai")
        filed.models = ["one"]
        other = simulator.provider("other", dialect="openai")
        other.models = ["two", "three"]
        (tmp_path / "modelog.toml").write_text(
            f'[[providers]]\nname = "filed"\ndialect = "openai"\nbase_url = "{filed.base_url}"\n'
        )
        async with up(tmp_path):
            told = tmp_path / "out.txt"
            await until(lambda: told.read_text().count(" ready ") == 3, 30)
            yield _Running(tmp_path, other.base_url)


async def _models(system: _Running, provider: str) -> list[str]:
    answer = await system.ask("models", "list", "--provider", provider, "--json")
    return [row["id"] for row in answer.json] if answer.code == 0 else []


async def test_a_provider_comes_and_goes_by_command(system: _Running) -> None:
    added = await system.ask(
        "providers", "add", "acme", "--dialect", "openai", "--base-url", system.base_url
    )
    refreshed = await system.ask("providers", "refresh", "acme", "--json")
    waited = await system.ask("query", "SELECT 1", "--json")
    listed = await _models(system, "acme")
    removed = await system.ask("providers", "remove", "acme", "--json")
    history = await system.ask("models", "history", "two", "--json")
    again = await system.ask("providers", "refresh", "acme")

    assert (added.code, added.err) == (0, "")
    assert added.out.startswith("registered acme, at sequence ")
    assert [one["type"] for one in refreshed.json] == ["refresh.succeeded"]
    assert waited.code == 0
    assert listed == ["three", "two"]
    assert removed.json["accepted"] is True
    assert [one["change"] for one in history.json] == ["added", "removed"]
    assert again.code == 3


async def test_a_disabled_provider_keeps_its_models_and_is_not_asked(system: _Running) -> None:
    await system.ask(
        "providers", "add", "acme", "--dialect", "openai", "--base-url", system.base_url
    )
    await system.ask("providers", "refresh", "acme")
    disabled = await system.ask("providers", "disable", "acme")
    twice = await system.ask("providers", "disable", "acme")
    refreshed = await system.ask("providers", "refresh", "acme")
    listed = await _models(system, "acme")
    shown = await system.ask("providers", "show", "acme", "--json")
    enabled = await system.ask("providers", "enable", "acme")

    assert disabled.out.startswith("disabled acme, at sequence ")
    assert twice.out == disabled.out
    assert refreshed.code == 3
    assert listed == ["three", "two"]
    assert shown.json["enabled"] is False
    assert enabled.code == 0


async def test_an_update_changes_what_it_names_and_nothing_else(system: _Running) -> None:
    await system.ask(
        *("providers", "add", "acme", "--dialect", "openai", "--base-url", system.base_url),
        *("--interval", "10m", "--key-env", "ACME_KEY"),
    )
    updated = await system.ask("providers", "update", "acme", "--priority", "3")
    shown = await system.ask("providers", "show", "acme", "--json")

    assert updated.code == 0
    assert (shown.json["priority"], shown.json["origin"]) == (3, "command")
    assert shown.json["base_url"] == system.base_url


REFUSED: list[tuple[tuple[str, ...], int, str]] = [
    (("add", "filed", "--dialect", "openai", "--base-url", "http://x"), 1, "is registered"),
    (("add", "acme"), 2, "is not built in"),
    (("add", "acme", "--dialect", "opnai", "--base-url", "http://x"), 2, 'mean "openai"?'),
    (("add", "acme", "--dialect", "openai", "--base-url", "x"), 2, "is no address"),
    (("add", "All", "--dialect", "openai", "--base-url", "http://x"), 2, "is no name"),
    (("add", "acme", "--option", "region"), 2, "write KEY=VALUE"),
    (("add", "acme", "--key-env", "A", "--key-file", "b"), 2, "is enough"),
    (("remove", "nobody"), 3, "no provider 'nobody'"),
    (("remove", "filed"), 1, "configuration file"),
    (("update", "nobody", "--priority", "1"), 3, "no provider 'nobody'"),
    (("update", "filed", "--priority", "1"), 1, "configuration file"),
    (("update", "filed"), 2, "nothing to change"),
    (("disable", "filed"), 1, "configuration file"),
]


@pytest.mark.chaos
async def test_what_cannot_be_done_is_refused_in_one_line(system: _Running) -> None:
    answers = [await system.ask("providers", *words) for words, _, _ in REFUSED]

    for answer, (words, code, says) in zip(answers, REFUSED, strict=True):
        assert answer.code == code, words
        assert says in answer.err, words
        assert len(answer.err.splitlines()) == 1, words


def test_without_a_server_a_command_says_so(tmp_path: Path) -> None:
    answer = modelog("providers", "remove", "acme", cwd=tmp_path)

    assert answer.code == 4
    assert "modelog up" in answer.err
