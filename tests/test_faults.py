"""Each fault is what its name says, as a client sees it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from itertools import cycle

import httpx
import pytest

from services.demo import faults
from services.demo.exchange import Answer, Asked
from services.demo.simulator import Simulator, Site
from tests.support.faulty import Certificates


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Simulator() as simulator:
        site = simulator.provider("acme")
        site.models = ["one", "two", "three"]
        yield site


async def get(
    site: Site, tail: str = "/models", patience: float = 5, tls: ssl.SSLContext | None = None
) -> httpx.Response:
    async with httpx.AsyncClient(timeout=patience, verify=tls or False) as client:
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
        ("garbage", httpx.RemoteProtocolError),
        ("refuse", httpx.TransportError),
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


async def test_half_a_list_has_half_the_rows(site: Site) -> None:
    site.models = [str(number) for number in range(10)]
    site.faults.next(faults.half_list())

    assert [row["id"] for row in (await get(site)).json()["data"]] == ["0", "1", "2", "3", "4"]


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
        ("float", {"retry-after": "7.000"}),
        ("absurd", {"retry-after": "31536000000"}),
        ("negative", {"retry-after": "-7"}),
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


@pytest.mark.parametrize("form", ["date", "rfc850", "asctime"])
async def test_a_wait_is_asked_for_as_a_date(site: Site, form: faults.RetryAfter) -> None:
    site.faults.next(faults.rate_limited(form, 3600))
    headers = (await get(site)).headers
    until, sent = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))

    assert (until.replace(tzinfo=sent.tzinfo) - sent).total_seconds() == 3600


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


async def told(site: Site) -> int | None:
    """Return the status of an answer on a connection of its own; None without one."""
    try:
        return (await get(site, patience=1)).status_code
    except httpx.TransportError:
        return None


async def test_a_script_is_one_step_a_request_and_then_all_is_well(site: Site) -> None:
    site.faults.script([faults.refuse()] * 3 + [faults.ok, faults.status(500), faults.reset()])
    seen = [await told(site) for _ in range(8)]

    assert seen == [None, None, None, 200, 500, None, 200, 200]
    assert site.connections == 8
    assert len(site.requests) == 5


async def test_a_script_of_one_step_is_for_every_request_until_the_next_script(site: Site) -> None:
    site.faults.script(faults.status(503))
    down = [await told(site) for _ in range(3)]
    site.faults.script(faults.refuse())
    refused = [await told(site) for _ in range(3)]
    site.faults.script(faults.ok)

    assert (down, refused, await told(site)) == ([503] * 3, [None] * 3, 200)


async def test_a_script_may_never_end(site: Site) -> None:
    site.faults.script(cycle([faults.status(500), faults.ok]))

    assert [await told(site) for _ in range(5)] == [500, 200, 500, 200, 500]


async def test_a_script_may_be_a_function_of_the_request(site: Site) -> None:
    def moody(asked: Asked, right: Answer) -> Answer:
        return faults.status(mood)(asked, right)

    site.faults.script(moody)
    mood = 500
    first = await told(site)
    mood = 502

    assert (first, await told(site)) == (500, 502)


async def test_a_simulator_is_scripted_by_the_name_of_a_site() -> None:
    async with Simulator() as simulator:
        one, other = simulator.provider("one"), simulator.provider("other", host="127.0.0.2")
        simulator.script("one", [faults.status(500)])

        assert (await told(one), await told(other), await told(one)) == (500, 200, 200)
        assert "//127.0.0.2:" in other.base_url


async def test_a_window_holds_steps_and_refusals_too() -> None:
    now = ["2026-02-01T05:00:00.000Z"]
    async with Simulator(now=lambda: now[0]) as simulator:
        site = simulator.provider("acme")
        start, end = "2026-02-01T06:00:00.000Z", "2026-02-01T18:00:00.000Z"
        site.faults.between(start, end, [faults.status(503), faults.refuse()])
        before = await told(site)
        now[0] = start
        within = [await told(site) for _ in range(3)]
        now[0] = end

        assert (before, within, await told(site)) == (200, [503, None, 200], 200)


async def test_an_open_connection_is_closed_before_the_next_is_refused(site: Site) -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        url = f"{site.base_url}/models"
        await client.get(url)
        site.faults.script([faults.refuse()])
        right = await client.get(url)

        with pytest.raises(httpx.TransportError):
            await client.get(url)
    assert (right.status_code, right.headers["connection"]) == (200, "close")


async def test_a_refusal_waits_for_no_request_that_is_asked_for_by_another(site: Site) -> None:
    site.faults.next(faults.status(500), when=lambda asked: "page" in asked.query)
    site.faults.always(faults.refuse())

    assert await told(site) is None


async def test_a_site_speaks_tls_with_a_certificate_that_changes(site: Site) -> None:
    certificates = Certificates()
    site.tls = certificates.good
    site.faults.script([faults.certificate(certificates.expired), faults.hang_up()])

    with pytest.raises(httpx.ConnectError, match="expired"):
        await get(site, tls=certificates.trusting)
    with pytest.raises(httpx.RemoteProtocolError):
        await get(site, tls=certificates.trusting)
    assert (await get(site, tls=certificates.trusting)).status_code == 200


async def test_a_redirect_to_http_names_the_same_place(site: Site) -> None:
    site.faults.next(faults.redirect_to_http())

    assert (await get(site, "/models?a=b")).headers["location"] == f"{site.base_url}/models?a=b"
