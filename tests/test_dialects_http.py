"""Every dialect over real HTTP: authentication, paging and mapping, against the simulator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from events.decide.providers import Settings
from events.record import ModelRecord
from services.calls.call import client
from services.calls.fetching import fetch
from services.calls.limits import Limits
from services.calls.pages import Fetched
from services.calls.rows import merged
from services.clock import Clock
from services.demo.more_shapes import MORE
from services.demo.shapes import SHAPES
from services.demo.simulator import Simulator, Site
from services.keys import Secret
from services.providers import DIALECTS
from tests.support.answers import case

KEY = "the-right-key"
OPTIONS = {
    "account": "a",
    "subscription": "s",
    "location": "l",
    "project": "p",
    "publishers": ["google"],
    "collections": ["official"],
    "region": "r",
}
ROWS = {
    "anthropic": ("data",),
    "azure_management": ("value",),
    "bedrock": ("modelSummaries",),
    "cloudflare": ("result",),
    "cohere": ("models",),
    "dashscope": ("output", "models"),
    "fireworks": ("models",),
    "gemini": ("models",),
    "lmstudio": ("models",),
    "ollama": ("models",),
    "replicate": ("models",),
    "vertex": ("publisherModels",),
}
"""Where the rows are in a dialect's answer; elsewhere under `data`, or it is an array."""
ANSWERS = {"openrouter_provider": "groq"}
PAGED: tuple[str, ...] = (
    "anthropic",
    "azure_management",
    "cloudflare",
    "cohere",
    "dashscope",
    "fireworks",
    "gemini",
)
PAGED = (*PAGED, "openrouter", "together_catalog", "vertex")


def _rows(dialect: str) -> list[dict[str, Any]]:
    """Return those rows of the dialect's stored answer that become a record of their own."""
    answer = json.loads(bytes(case(ANSWERS.get(dialect, dialect)).answer))
    if dialect == "tgi":
        return [answer]
    if not isinstance(answer, list):
        for key in ROWS.get(dialect, ("data",)):
            answer = answer[key]
    return [row for row in answer if len(_parsed(dialect, [row])) == 1]


def _parsed(dialect: str, rows: list[dict[str, Any]]) -> tuple[ModelRecord, ...]:
    """Return what the dialect makes of *rows*, all on one page."""
    found = DIALECTS[dialect]
    settings = _settings(dialect, "http://127.0.0.1:1")
    document: Any = rows
    for key in reversed(ROWS.get(dialect, ("data",))):
        document = {key: document}
    if dialect in {"together", "github_models", "elevenlabs"}:
        document = rows
    if dialect == "tgi":
        document = rows[0]
    page = found.parse(json.dumps(document).encode(), found.first(settings)[0], settings)
    return merged(row.record for row in page.rows)


def _settings(dialect: str, base_url: str) -> Settings:
    options = {**OPTIONS, "account": "fireworks"} if dialect == "fireworks" else OPTIONS
    return Settings(name="acme", dialect=dialect, base_url=base_url, options=options)


async def _fetched(site: Site, dialect: str, key: str | None) -> Fetched:
    clock = Clock()
    names = (
        ("api_key", "access_token") if dialect in {"vertex", "azure_management"} else ("api_key",)
    )
    secrets: dict[str, Secret] = dict.fromkeys(names, Secret(key)) if key else {}
    async with client() as http:
        return await fetch(
            DIALECTS[dialect],
            _settings(dialect, site.base_url),
            secrets,
            client=http,
            limits=Limits(2, clock=clock),
            timeout=10,
            max_bytes=1 << 20,
            validators=None,
            clock=clock,
        )


def test_the_simulator_speaks_every_dialect() -> None:
    assert SHAPES.keys() | MORE.keys() == DIALECTS.keys()


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_a_list_is_read_over_http_as_it_was_stored(dialect: str) -> None:
    rows = _rows(dialect)
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect=dialect, key=KEY)
        site.models = rows
        fetched = await _fetched(site, dialect, KEY)

    assert rows, "there is something to read"
    assert (fetched.outcome.class_, fetched.outcome.message) == ("ok", "")
    assert fetched.complete
    assert [record.id for record in fetched.records] == [one.id for one in _parsed(dialect, rows)]


@pytest.mark.parametrize("dialect", PAGED)
async def test_every_page_is_read(dialect: str) -> None:
    rows = _rows(dialect)
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect=dialect, key=KEY)
        site.models, site.page_size = rows, 1
        fetched = await _fetched(site, dialect, KEY)

    assert fetched.outcome.class_ == "ok"
    assert fetched.complete
    assert fetched.pages >= len(rows) > 1
    assert fetched.records == _parsed(dialect, rows)


@pytest.mark.parametrize("key", [None, "a-wrong-one"])
@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_without_the_right_key_nothing_is_read(dialect: str, key: str | None) -> None:
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect=dialect, key=KEY)
        site.models = _rows(dialect)
        fetched = await _fetched(site, dialect, key)

    assert fetched.outcome.class_ == "credential"
    assert fetched.records == ()
