"""The simulated providers speak as the real ones do, over real HTTP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.demo import faults
from services.demo.rows import ROWS
from services.demo.simulator import Simulator, Site

KEYS = {
    "openai": {"authorization": "Bearer k"},
    "openrouter": {"authorization": "Bearer k"},
    "mistral": {"authorization": "Bearer k"},
    "ollama": {"authorization": "Bearer k"},
    "anthropic": {"x-api-key": "k", "anthropic-version": "2023-06-01"},
    "gemini": {"x-goog-api-key": "k"},
}
TAILS = {
    "openai": "/models",
    "openrouter": "/models?output_modalities=all",
    "mistral": "/models",
    "ollama": "/api/tags",
    "anthropic": "/v1/models?limit=1000&lifecycle[]=active",
    "gemini": "/models?pageSize=1000",
}
DIALECTS = sorted(KEYS)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


async def ask(client: httpx.AsyncClient, site: Site, tail: str | None = None) -> httpx.Response:
    url = site.base_url + (TAILS[site.dialect] if tail is None else tail)
    return await client.get(url, headers=KEYS[site.dialect])


def names(document: Any) -> list[str]:  # noqa: ANN401 - any dialect's document
    rows = document.get("data", document.get("models"))
    return [row.get("id") or row["name"].removeprefix("models/") for row in rows]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_dialect_lists_what_it_is_given(
    simulator: Simulator, client: httpx.AsyncClient, dialect: str
) -> None:
    site = simulator.provider("acme", dialect=dialect, key="k")
    site.models = ["one", "two/three:free"]

    assert names((await ask(client, site)).json()) == ["one", "two/three:free"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_wrong_or_absent_key_is_401(
    simulator: Simulator, client: httpx.AsyncClient, dialect: str
) -> None:
    site = simulator.provider("acme", dialect=dialect, key="another")
    headers = {"anthropic-version": "2023-06-01"}

    assert (await ask(client, site)).status_code == 401
    assert (await client.get(site.base_url + TAILS[dialect], headers=headers)).status_code == 401


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_without_a_key_of_its_own_a_site_is_open(
    simulator: Simulator, client: httpx.AsyncClient, dialect: str
) -> None:
    site = simulator.provider("acme", dialect=dialect)
    headers = {"anthropic-version": "2023-06-01"}

    assert (await client.get(site.base_url + TAILS[dialect], headers=headers)).status_code == 200


async def test_rows_are_sent_as_they_were_given(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    row = {"id": "x", "object": "model", "extra": [1, {"deep": None}]}
    simulator.provider("acme").models = [row]

    assert (await ask(client, simulator.sites["acme"])).json()["data"] == [row]


async def test_a_list_changes_between_two_requests(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    site = simulator.provider("acme")
    seen = []
    for models in (["a"], ["a", "b"], []):
        simulator.set_models("acme", models)
        seen.append(names((await ask(client, site)).json()))

    assert seen == [["a"], ["a", "b"], []]


async def test_anthropic_pages_by_after_id(simulator: Simulator, client: httpx.AsyncClient) -> None:
    site = simulator.provider("acme", dialect="anthropic", key="k")
    site.models = ["a", "b", "c"]
    first = (await ask(client, site, "/v1/models?limit=2")).json()
    second = (await ask(client, site, "/v1/models?limit=2&after_id=b")).json()

    assert (names(first), first["has_more"], first["last_id"]) == (["a", "b"], True, "b")
    assert (names(second), second["has_more"], second["last_id"]) == (["c"], False, "c")


@pytest.mark.parametrize("tail", ["limit=0", "limit=1001", "limit=x", "after_id=gone"])
async def test_anthropic_refuses_bad_paging(
    simulator: Simulator, client: httpx.AsyncClient, tail: str
) -> None:
    site = simulator.provider("acme", dialect="anthropic")

    assert (await ask(client, site, f"/v1/models?{tail}")).status_code == 400


async def test_anthropic_asks_for_its_version(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    site = simulator.provider("acme", dialect="anthropic")

    assert (await client.get(f"{site.base_url}/v1/models")).status_code == 400


async def test_anthropic_sends_twenty_rows_where_nothing_is_asked_for(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    site = simulator.provider("acme", dialect="anthropic")
    site.models = [f"m{n}" for n in range(30)]

    assert len(names((await ask(client, site, "/v1/models")).json())) == 20


async def test_gemini_pages_by_token(simulator: Simulator, client: httpx.AsyncClient) -> None:
    site = simulator.provider("acme", dialect="gemini")
    site.models = [f"m{n}" for n in range(60)]
    first = (await ask(client, site, "/models")).json()
    token = first["nextPageToken"]
    second = (await ask(client, site, f"/models?pageToken={token}")).json()

    assert [len(names(page)) for page in (first, second)] == [50, 10]
    assert "nextPageToken" not in second


@pytest.mark.parametrize("tail", ["pageSize=0", "pageSize=x", "pageToken=!", "pageToken=Z29uZQ=="])
async def test_gemini_refuses_bad_paging(
    simulator: Simulator, client: httpx.AsyncClient, tail: str
) -> None:
    site = simulator.provider("acme", dialect="gemini")
    site.models = ["a"]

    assert (await ask(client, site, f"/models?{tail}")).status_code == 400


@pytest.mark.parametrize("dialect", ["anthropic", "gemini"])
async def test_a_list_that_changes_between_two_pages_does_not_shift(
    simulator: Simulator, client: httpx.AsyncClient, dialect: str
) -> None:
    site = simulator.provider("acme", dialect=dialect, key="k")
    site.models, site.page_size = ["a", "b", "c"], 2
    first = (await ask(client, site)).json()
    site.models = ["b", "c"]
    cursor = {"after_id": first.get("last_id"), "pageToken": first.get("nextPageToken")}
    query = "&".join(f"{name}={value}" for name, value in cursor.items() if value)
    tail = TAILS[dialect].split("?")[0]
    second = (await ask(client, site, f"{tail}?{query}")).json()

    assert names(second) == ["c"]


async def test_openrouter_links_to_the_next_page(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    site = simulator.provider("acme", dialect="openrouter")
    site.models = ["a", "b", "c"]
    site.page_size = 2
    first = (await ask(client, site)).json()
    second = (await client.get(first["links"]["next"])).json()

    assert first["links"]["next"].startswith(site.base_url)
    assert "output_modalities=all" in first["links"]["next"]
    assert (names(first), names(second)) == (["a", "b"], ["c"])
    assert (first["total_count"], second["total_count"]) == (3, 3)
    assert second["links"]["next"] is None


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "openrouter"])
async def test_a_site_may_bound_its_pages_below_what_is_asked_for(
    simulator: Simulator, client: httpx.AsyncClient, dialect: str
) -> None:
    site = simulator.provider("acme", dialect=dialect, key="k")
    site.models = ["a", "b", "c"]
    site.page_size = 1

    assert names((await ask(client, site)).json()) == ["a"]


async def test_ollama_tells_a_models_details(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    site = simulator.provider("acme", dialect="ollama")
    site.models = ["llama3:8b"]
    url = f"{site.base_url}/api/show"
    known = await client.post(url, json={"model": "llama3:8b"})
    unknown = await client.post(url, json={"model": "llama4"})
    broken = await client.post(url, content=b"{")

    assert known.json()["capabilities"] == ["completion"]
    assert (unknown.status_code, broken.status_code) == (404, 400)
    assert (await client.get(url)).status_code == 405


async def test_mistrals_created_is_the_moment_of_the_answer(client: httpx.AsyncClient) -> None:
    async with Simulator(now=lambda: "2026-02-01T00:00:01.000Z") as simulator:
        site = simulator.provider("acme", dialect="mistral")
        site.models = ["m"]
        row = (await ask(client, site)).json()["data"][0]

    assert row["created"] == 1769904001


async def test_an_etag_answers_304_until_the_list_changes(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    site = simulator.provider("acme")
    site.models, site.etag = ["a"], True
    url = site.base_url + "/models"
    tag = {"if-none-match": (await client.get(url)).headers["etag"]}
    unchanged = await client.get(url, headers=tag)
    site.models = ["b"]
    changed = await client.get(url, headers=tag)

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (changed.status_code, names(changed.json())) == (200, ["b"])


async def test_gzip_is_sent_to_those_who_take_it(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    site = simulator.provider("acme")
    site.models, site.packed = ["a"], True
    url = site.base_url + "/models"
    packed = await client.get(url, headers={"accept-encoding": "gzip"})
    plain = await client.get(url, headers={"accept-encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()


async def test_raw_bytes_may_stand_in_for_the_list(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    site = simulator.provider("acme")
    site.body = b"\xff not json"

    assert (await ask(client, site)).content == b"\xff not json"


async def test_requests_are_kept_in_order(simulator: Simulator, client: httpx.AsyncClient) -> None:
    site = simulator.provider("acme", dialect="anthropic")
    await ask(client, site, "/v1/models?lifecycle[]=active&lifecycle[]=retired")
    await client.get(f"{site.base_url}/nowhere")
    first, second = site.requests

    assert first.query == {"lifecycle[]": ["active", "retired"]}
    assert first.headers["x-api-key"] == "k"
    assert (second.path, site.answered) == ("/nowhere", 1)


async def test_a_process_that_runs_long_keeps_no_requests(client: httpx.AsyncClient) -> None:
    async with Simulator(remember=False) as simulator:
        site = simulator.provider("acme")
        await ask(client, site)

    assert (site.requests, site.answered) == ([], 1)


async def test_other_paths_and_methods_are_refused(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    site = simulator.provider("acme")

    assert (await client.get(f"{site.base_url}/chat/completions")).status_code == 404
    assert (await client.post(f"{site.base_url}/models")).status_code == 405


async def test_every_site_has_a_port_of_its_own(simulator: Simulator) -> None:
    urls = {simulator.provider(name).origin for name in ("a", "b", "c")}

    assert len(urls) == 3


async def test_a_name_is_taken_once(simulator: Simulator) -> None:
    simulator.provider("acme")

    with pytest.raises(ValueError, match="acme"):
        simulator.provider("acme")


async def test_a_refusing_site_comes_back_on_its_port(
    simulator: Simulator, client: httpx.AsyncClient
) -> None:
    site = simulator.provider("acme")
    site.models = ["a"]
    await ask(client, site)
    origin = site.origin
    site.refuse()
    for _ in range(2):
        with pytest.raises(httpx.ConnectError):
            await ask(client, site)
    site.accept()

    assert names((await ask(client, site)).json()) == ["a"]
    assert site.origin == origin


async def test_nothing_listens_when_the_simulator_has_ended(client: httpx.AsyncClient) -> None:
    async with Simulator() as simulator:
        site = simulator.provider("acme")
        site.faults.always(faults.hang())
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"{site.base_url}/models", timeout=0.05)

    with pytest.raises(httpx.ConnectError):
        await ask(client, site)


async def test_many_clients_are_served_at_once(simulator: Simulator) -> None:
    site = simulator.provider("acme")
    site.faults.next(faults.hang(), times=1)
    site.models = ["a"]
    async with httpx.AsyncClient() as slow, httpx.AsyncClient(timeout=5) as quick:
        with pytest.raises(httpx.ReadTimeout):
            await slow.get(f"{site.base_url}/models", timeout=0.05)
        answers = [await quick.get(f"{site.base_url}/models") for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}


def test_prices_are_strings_per_token_without_noise() -> None:
    row = ROWS["openrouter"]({"id": "x", "cost": {"input": 0.055, "output": 0}}, "acme")

    assert row["pricing"] == {"prompt": "0.000000055", "completion": "0"}
    assert json.dumps(row)
