"""Each fault is what its name says, as a client sees it."""

import asyncio
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

import httpx
import pytest

from services.demo import faults
from services.demo.exchange import Asked
from services.demo.simulator import Simulator, Site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Simulator() as simulator:
        site = simulator.provider("acme")
        site.models = ["one", "two", "three"]
        yield site


async def get(site: Site, tail: str = "/models", patience: float = 5) -> httpx.Response:
    async with httpx.AsyncClient(timeout=patience) as client:
        return await client.get(site.base_url + tail)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("400", 400),
        ("401", 401),
        ("402", 402),
        ("403 page", 403),
        ("404", 404),
        ("408", 408),
        ("410", 410),
        ("412", 412),
        ("429", 429),
        ("500", 500),
        ("502", 502),
        ("503", 503),
        ("529", 529),
        ("page", 200),
        ("empty body", 200),
        ("empty list", 200),
        ("cut list", 200),
        ("error with 200", 200),
        ("repeated cursor", 200),
        ("redirect loop", 307),
        ("delay", 200),
    ],
)
async def test_a_fault_has_its_status(site: Site, name: str, status: int) -> None:
    site.faults.next(faults.FAULTS[name]())

    assert (await get(site)).status_code == status
    assert (await get(site)).json()["data"][0]["id"] == "one"


@pytest.mark.parametrize("name", ["hang", "hang after head"])
async def test_a_hanging_site_never_ends(site: Site, name: str) -> None:
    site.faults.next(faults.FAULTS[name]())

    with pytest.raises(httpx.ReadTimeout):
        await get(site, patience=0.1)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("reset", httpx.ReadError),
        ("hang up", httpx.RemoteProtocolError),
        ("truncate", httpx.RemoteProtocolError),
        ("wrong length", httpx.RemoteProtocolError),
    ],
)
async def test_a_connection_ends_early(
    site: Site, name: str, error: type[httpx.TransportError]
) -> None:
    site.faults.next(faults.FAULTS[name]())

    with pytest.raises(error):
        await get(site)


async def test_a_body_may_be_cut_although_it_would_be_packed(site: Site) -> None:
    site.packed = True
    site.faults.next(faults.truncate(0.9))

    with pytest.raises(httpx.RemoteProtocolError):
        await get(site)


async def test_a_body_drips(site: Site) -> None:
    site.faults.next(faults.drip(size=1, pause=0.05))

    with pytest.raises(TimeoutError):
        await _within(0.3, site)


async def _within(seconds: float, site: Site) -> None:
    async with asyncio.timeout(seconds):
        await get(site)


async def test_an_empty_list_keeps_its_envelope(site: Site) -> None:
    site.faults.next(faults.empty_list())

    assert (await get(site)).json() == {"object": "list", "data": []}


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "openrouter", "mistral", "ollama"])
async def test_an_emptied_first_page_is_the_last(dialect: str) -> None:
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect=dialect)
        site.models, site.page_size = ["one", "two"], 1
        site.faults.next(faults.empty_list())
        path = {"anthropic": "/v1/models", "ollama": "/api/tags"}.get(dialect, "/models")
        async with httpx.AsyncClient() as client:
            answer = await client.get(site.base_url + path, headers={"anthropic-version": "1"})
        document = answer.json()

    assert document.get("data", document.get("models")) == []
    assert not document.get("has_more")
    assert not document.get("nextPageToken")
    assert not document.get("links", {}).get("next")
    assert not document.get("total_count")


async def test_a_shrunken_list_keeps_the_first_rows(site: Site) -> None:
    site.faults.next(faults.shrunken_list(1))

    assert [row["id"] for row in (await get(site)).json()["data"]] == ["one"]


async def test_a_cut_list_is_proper_http_and_broken_json(site: Site) -> None:
    site.faults.next(faults.cut_list())
    answer = await get(site)

    with pytest.raises(ValueError, match=r"delimiter|Expecting|Unterminated"):
        answer.json()


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ("seconds", {"retry-after": "7"}),
        ("ms", {"retry-after-ms": "7000"}),
        ("azure_ms", {"x-ms-retry-after-ms": "7000"}),
        ("garbage", {"retry-after": "soon"}),
        ("none", {}),
    ],
)
async def test_a_wait_is_asked_for_in_each_form(
    site: Site, form: faults.RetryAfter, header: dict[str, str]
) -> None:
    site.faults.next(faults.rate_limited(form, 7))
    answer = await get(site)

    assert answer.status_code == 429
    assert {name: value for name, value in answer.headers.items() if "retry" in name} == header


async def test_a_wait_is_asked_for_as_a_date(site: Site) -> None:
    site.faults.next(faults.rate_limited("date", 3600))
    headers = (await get(site)).headers
    until, sent = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))

    assert abs((until - sent).total_seconds() - 3600) <= 5


@pytest.mark.parametrize(
    ("dialect", "first", "second", "cursor"),
    [
        ("anthropic", "/v1/models", "/v1/models?after_id=one", "last_id"),
        ("gemini", "/models", "/models?pageToken=bW9kZWxzL29uZQ==", "nextPageToken"),
    ],
)
async def test_a_cursor_repeats(dialect: str, first: str, second: str, cursor: str) -> None:
    async with Simulator() as simulator:
        site = simulator.provider("acme", dialect=dialect)
        site.models, site.page_size = ["one", "two"], 1
        site.faults.next(faults.repeated_cursor(), times=2)
        async with httpx.AsyncClient(headers={"anthropic-version": "1"}) as client:
            told = (await client.get(site.base_url + first)).json()
            again = await client.get(site.base_url + second)

    assert told[cursor]
    assert again.json()[cursor] == {"anthropic": "one", "gemini": "bW9kZWxzL29uZQ=="}[dialect]


async def test_a_redirect_leads_back_to_itself(site: Site) -> None:
    site.faults.always(faults.redirect_loop())
    async with httpx.AsyncClient(follow_redirects=True) as client:
        with pytest.raises(httpx.TooManyRedirects):
            await client.get(f"{site.base_url}/models?a=b")

    assert {asked.target for asked in site.requests} == {"/v1/models?a=b"}


async def test_a_bomb_is_small_on_the_wire(site: Site) -> None:
    site.faults.next(faults.bomb(size=1 << 22))
    async with (
        httpx.AsyncClient() as client,
        client.stream("GET", f"{site.base_url}/models") as answer,
    ):
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])

    assert answer.headers["content-encoding"] == "gzip"
    assert len(raw) < 10_000


async def test_an_encoding_that_nobody_asked_for_is_claimed(site: Site) -> None:
    site.faults.next(faults.odd_encoding("zstd-of-the-future"))

    assert (await get(site)).headers["content-encoding"] == "zstd-of-the-future"


async def test_the_next_few_requests_fail_and_no_more(site: Site) -> None:
    site.faults.next(faults.status(503), times=2)

    assert [(await get(site)).status_code for _ in range(4)] == [503, 503, 200, 200]


async def test_a_standing_fault_ends_when_it_is_cleared(site: Site) -> None:
    site.faults.always(faults.status(500))
    before = [(await get(site)).status_code for _ in range(3)]
    site.faults.clear()

    assert before == [500, 500, 500]
    assert (await get(site)).status_code == 200


async def test_a_fault_may_wait_for_its_request(site: Site) -> None:
    def second_page(asked: Asked) -> bool:
        return "page" in asked.query

    site.faults.next(faults.status(500), when=second_page)

    assert (await get(site)).status_code == 200
    assert (await get(site, "/models?page=2")).status_code == 500
    assert (await get(site, "/models?page=2")).status_code == 200


async def test_a_window_of_the_modelled_clock_holds_a_fault() -> None:
    now = ["2026-02-01T00:00:00.000Z"]
    async with Simulator(now=lambda: now[0]) as simulator:
        site = simulator.provider("acme")
        site.faults.between(
            "2026-02-01T06:00:00.000Z", "2026-02-01T18:00:00.000Z", faults.status(503)
        )
        seen = []
        for hour in ("00", "06", "17", "18"):
            now[0] = f"2026-02-01T{hour}:00:00.000Z"
            seen.append((await get(site)).status_code)

    assert seen == [200, 503, 503, 200]


async def test_a_test_may_write_its_own_fault(site: Site) -> None:
    site.faults.next(lambda _, right: right._replace(status=418))

    assert (await get(site)).status_code == 418
