"""Every page of a list, or nothing of it; and what makes a list complete."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.decide.providers import Settings
from events.record import ModelRecord
from services.calls.call import Client, client
from services.calls.fetching import fetch
from services.calls.limits import Limits
from services.calls.pages import Fetched, Validators
from services.calls.rows import merged
from services.clock import Clock
from services.keys import Secret
from services.providers import Detail, Dialect, Page, Refused, Request, Row
from tests.support.http import Act, Asked, answer, hang, raw, redirect, reply, serving

KEY = "sk-a-planted-secret-0123456789"


class Raw(msgspec.Struct):
    """A page as the dialect of these tests has it; a row without an id does not decode."""

    data: list[dict[str, Any]]
    next: str | None = None
    total: int | None = None
    error: str | None = None


def parse(body: bytes, url: str, _: Settings) -> Page:
    page = msgspec.json.decode(body, type=Raw)
    if page.error is not None:
        raise Refused("quota", page.error)
    rows = [
        Row(ModelRecord(id=row["id"], name=row.get("name", row["id"])), frozenset(row))
        for row in page.data
        if row.get("id")
    ]
    following = None if page.next is None else urljoin(url, page.next)
    failed = sum("id" not in row for row in page.data)
    unusable = sum(row.get("id") == "" for row in page.data)
    return Page(rows, following, page.total, failed, unusable)


def headers(_: Settings, secrets: Mapping[str, Secret]) -> dict[str, str]:
    key = secrets.get("api_key")
    return {} if key is None else {"Authorization": f"Bearer {key.reveal()}"}


def lists(*paths: str) -> Dialect:
    def first(settings: Settings) -> list[str]:
        return [settings.base_url + path for path in paths or ("/models",)]

    return Dialect("test", first, parse, headers)


PLAIN = lists()


@pytest.fixture
async def http() -> AsyncIterator[Client]:
    async with client() as opened:
        yield opened


async def get(
    http: Client,
    url: str,
    dialect: Dialect = PLAIN,
    *,
    custom: Mapping[str, object] | None = None,
    secrets: Mapping[str, Secret] | None = None,
    **changes: object,
) -> Fetched:
    bounds: dict[str, Any] = {
        "client": http,
        "limits": Limits(5, clock=Clock()),
        "timeout": 5.0,
        "max_bytes": 1_000_000,
        "validators": None,
        "clock": Clock(),
    }
    bounds.update(changes)
    settings = Settings(name="demo", dialect="test", base_url=url, headers=dict(custom or {}))
    secrets = {"api_key": Secret(KEY)} if secrets is None else secrets
    async with asyncio.timeout(20):
        return await fetch(dialect, settings, secrets, **bounds)


async def fetched(http: Client, *acts: Act, dialect: Dialect = PLAIN, **changes: object) -> Fetched:
    async with serving(acts) as server:
        return await get(http, server.url, dialect, custom=None, secrets=None, **changes)


def page(*ids: str, **fields: object) -> Act:
    return answer({"data": [{"id": each} for each in ids], **fields})


def ids(found: Fetched) -> list[str]:
    return [record.id for record in found.records]


async def test_one_page_is_a_whole_list(http: Client) -> None:
    found = await fetched(http, page("b", "a"))

    assert ids(found) == ["a", "b"]
    assert (found.outcome.class_, found.complete, found.pages) == ("ok", True, 1)
    assert found.outcome.body == b""
    assert found.fields == {"id": 2}


async def test_pages_are_read_to_the_end_mark(http: Client) -> None:
    found = await fetched(
        http, page("a", next="/models?p=2"), page("b", next="?p=3"), page("c"), page("never")
    )

    assert (ids(found), found.complete, found.pages) == (["a", "b", "c"], True, 3)
    assert found.validators is None


async def test_several_lists_are_one_fetch(http: Client) -> None:
    def script(asked: Asked) -> Act:
        return {
            "/one": page("a", next="/one?p=2"),
            "/one?p=2": page("b"),
            "/two": page("b", "c"),
        }[asked.target]

    async with serving(script) as server:
        found = await get(http, server.url, lists("/one", "/two"))

    assert (ids(found), found.complete, found.pages) == (["a", "b", "c"], True, 3)
    assert (found.duplicates, found.validators) == (1, None)


async def test_lists_that_are_alike_are_no_repeated_page(http: Client) -> None:
    found = await fetched(http, page("a"), page("a"), dialect=lists("/one", "/two"))

    assert (ids(found), found.complete, found.duplicates) == (["a"], True, 1)


async def test_no_list_at_all_is_a_mistake_and_no_empty_list(http: Client) -> None:
    found = await fetched(http, page("a"), dialect=PLAIN._replace(first=lambda _: []))

    assert (found.outcome.class_, found.complete, found.pages) == ("config", False, 0)


async def test_an_empty_list_is_a_list(http: Client) -> None:
    found = await fetched(http, page())

    assert (found.outcome.class_, found.records, found.complete) == ("ok", (), True)


LATER_FAULTS: dict[str, tuple[Act, str]] = {
    "status": (reply(b"{}", 503), "overloaded"),
    "key": (reply(b"{}", 401), "credential"),
    "html": (reply(b"<html>", headers={"content-type": "text/html"}), "invalid_response"),
    "cut": (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{", close=True), "connect"),
    "repeats": (page("b", next="/models"), "invalid_response"),
    "goes on the same": (page("a", next="/models?p=2"), "invalid_response"),
    "other host": (page("b", next="http://localhost:1/models"), "invalid_response"),
    "other scheme": (page("b", next="https://127.0.0.1:1/models"), "invalid_response"),
    "other port": (page("b", next="http://127.0.0.1:1/models"), "invalid_response"),
    "with a password": (page("b", next="http://a:b@127.0.0.1/models"), "invalid_response"),
    "no URL": (page("b", next="http://[::1"), "invalid_response"),
    "no port": (page("b", next="http://127.0.0.1:x/"), "invalid_response"),
    "no text": (reply(b'{"data":[],"next":"?\\ud800"}'), "invalid_response"),
}


@pytest.mark.parametrize(("second", "class_"), LATER_FAULTS.values(), ids=LATER_FAULTS)
async def test_a_page_that_fails_fails_the_whole_fetch(
    http: Client, second: Act, class_: str
) -> None:
    found = await fetched(http, page("a", next="/models?p=2"), second)

    assert (found.outcome.class_, found.records, found.complete) == (class_, (), False)
    assert (found.pages, found.validators) == (2, None)
    assert found.outcome.message


async def test_a_page_that_repeats_under_other_cursors_is_found(http: Client) -> None:
    same = '{"data":[{"id":"a"}],"next":null}'
    counted = itertools.count()

    def paged(body: bytes, url: str, settings: Settings) -> Page:
        return parse(body, url, settings)._replace(next=f"{url}?{next(counted)}")

    found = await fetched(http, reply(same), dialect=PLAIN._replace(parse=paged))

    assert (found.outcome.class_, found.pages) == ("invalid_response", 2)
    assert found.outcome.message == "a page that repeats"


async def test_a_list_without_an_end_is_given_up(http: Client) -> None:
    numbers = itertools.count()

    def script(_: Asked) -> Act:
        number = next(numbers)
        return page(f"m{number}", next=f"/models?p={number}")

    async with serving(script) as server:
        found = await get(http, server.url, timeout=15.0)

        assert len(server.asked) == 1000
    assert (found.outcome.class_, found.records) == ("invalid_response", ())
    assert found.outcome.message == "more than 1000 pages"


async def test_the_time_limit_holds_for_all_pages_together(http: Client) -> None:
    numbers = itertools.count()

    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        await page(f"m{next(numbers)}", next=f"/models?p={next(numbers)}")(writer)

    async with serving(lambda _: slow) as server:
        found = await get(http, server.url, timeout=0.4)

    assert (found.outcome.class_, found.records) == ("timeout_total", ())
    assert 400 <= found.outcome.latency_ms < 2000
    assert found.pages > 1


BAD_BODIES: dict[str, bytes] = {
    "html": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "nothing": b"",
    "blanks": b" \r\n ",
    "cut JSON": b'{"data":[{"id":"a"},{"id"',
    "two answers": b'{"data":[]}{"data":[]}',
    "another shape": b'{"models":[]}',
    "rows that are none": b'{"data":{"id":"a"}}',
    "a number": b"1",
    "null": b"null",
    "not UTF-8": b'{"data":[{"id":"a","x":"\xff\xfe"}]}',
    "not UTF-8 where nobody looks": b'{"data":[],"ignored":"\xff\xfe"}',
    "UTF-16": '{"data":[]}'.encode("utf-16"),
    "nested deeply": b'{"data":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    "nested deeply where nobody looks": b'{"data":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_that_is_no_list_is_an_invalid_response(http: Client, body: bytes) -> None:
    found = await fetched(http, reply(body))

    assert (found.outcome.class_, found.outcome.group) == ("invalid_response", "FAIL")
    assert (found.outcome.status, found.records, found.complete) == (200, (), False)
    assert found.outcome.message.isprintable()


async def test_the_message_names_the_field_that_does_not_fit(http: Client) -> None:
    found = await fetched(http, reply(b'{"data":{"id":"a"}}'))

    assert "$.data" in found.outcome.message


@pytest.mark.parametrize("type_", ["text/html", "text/plain", "nonsense", ""])
async def test_the_type_that_an_answer_claims_does_not_matter(http: Client, type_: str) -> None:
    found = await fetched(http, reply(b'{"data":[{"id":"a"}]}', headers={"content-type": type_}))

    assert (ids(found), found.complete) == (["a"], True)


async def test_a_byte_order_mark_is_passed_over(http: Client) -> None:
    assert ids(await fetched(http, reply(b'\xef\xbb\xbf{"data":[{"id":"a"}]}'))) == ["a"]


async def test_an_error_object_with_200_has_its_own_class_and_no_secret(http: Client) -> None:
    found = await fetched(http, answer({"data": [], "error": f"no credit for {KEY}\n"}))

    assert (found.outcome.class_, found.outcome.group) == ("quota", "BLOCKED")
    assert found.outcome.message.startswith("HTTP 200: no credit for")
    assert KEY not in found.outcome.message


async def test_a_row_that_does_not_decode_makes_the_list_incomplete(http: Client) -> None:
    found = await fetched(http, answer({"data": [{"id": "a"}, {"name": "no id"}]}))

    assert (ids(found), found.complete, found.skipped) == (["a"], False, 1)
    assert (found.undecodable, found.validators) == (1, None)


@pytest.mark.parametrize(("known", "complete"), [(0, False), (1, True), (2, False)])
async def test_as_many_broken_rows_as_last_time_are_complete_again(
    http: Client, known: int, *, complete: bool
) -> None:
    body = answer({"data": [{"id": "a"}, {"name": "no id"}]})
    found = await fetched(http, body, known_undecodable=known)

    assert (found.complete, found.undecodable) == (complete, 1)
    assert (found.validators is not None) == complete


async def test_rows_that_decode_again_are_complete(http: Client) -> None:
    found = await fetched(http, page("a"), known_undecodable=3)

    assert (found.complete, found.undecodable) == (True, 0)


async def test_an_unusable_id_is_left_out_by_rule(http: Client) -> None:
    found = await fetched(http, answer({"data": [{"id": "a"}, {"id": ""}]}))

    assert (ids(found), found.complete, found.skipped) == (["a"], True, 1)
    assert found.undecodable == 0


@pytest.mark.parametrize(
    ("pages", "complete"),
    [
        ([{"data": [{"id": "a"}, {"id": ""}, {"id": "a"}], "total": 3}], True),
        ([{"data": [{"id": "a"}], "total": 2}], False),
        ([{"data": [{"id": "a"}], "total": 0}], False),
        (
            [
                {"data": [{"id": "a"}], "total": 2, "next": "?p=2"},
                {"data": [{"id": "b"}], "total": 2},
            ],
            True,
        ),
        ([{"data": [{"id": "a"}], "total": 2, "next": "?p=2"}, {"data": [{"id": "b"}]}], True),
        (
            [
                {"data": [{"id": "a"}], "total": 3, "next": "?p=2"},
                {"data": [{"id": "b"}], "total": 2},
            ],
            False,
        ),
    ],
    ids=["all rows as sent", "one lacks", "none said", "each page", "first page", "it changed"],
)
async def test_the_providers_own_total_must_agree(
    http: Client, pages: list[dict[str, Any]], *, complete: bool
) -> None:
    found = await fetched(http, *map(answer, pages))

    assert (found.outcome.class_, found.complete) == ("ok", complete)


async def test_each_list_has_a_total_of_its_own(http: Client) -> None:
    both = [page("a", total=1), page("b", "c", total=2)]
    found = await fetched(http, *both, dialect=lists("/one", "/two"))

    assert found.complete


TAGGED = {"ETag": '"v1"', "Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"}
BODY = b'{"data":[{"id":"a"}]}'
KNOWN = Validators('"v1"', TAGGED["Last-Modified"], hashlib.sha256(BODY).hexdigest())


async def test_a_whole_list_of_one_page_has_validators(http: Client) -> None:
    tagged = await fetched(http, reply(BODY, headers=TAGGED))
    bare = await fetched(http, reply(BODY))

    assert tagged.validators == KNOWN
    assert bare.validators == Validators(None, None, KNOWN.sha256)


async def test_not_modified_is_a_complete_list_with_nothing_new(http: Client) -> None:
    tag = b'HTTP/1.1 304 Not Modified\r\nETag: W/"v1"\r\n\r\n'
    async with serving(raw(tag)) as server:
        found = await get(http, server.url, validators=KNOWN)
        (asked,) = server.asked

    assert asked.headers["if-none-match"] == '"v1"'
    assert asked.headers["if-modified-since"] == TAGGED["Last-Modified"]
    assert (found.not_modified, found.complete, found.records) == (True, True, ())
    assert found.outcome.class_ == "ok"
    assert found.validators == KNOWN._replace(etag='W/"v1"')


async def test_an_unchanged_body_is_not_decoded(http: Client) -> None:
    def never(*_: object) -> Page:
        raise AssertionError("decoded")

    dialect = PLAIN._replace(parse=never)
    found = await fetched(http, reply(BODY), dialect=dialect, validators=KNOWN)

    assert (found.not_modified, found.complete, found.validators) == (True, True, KNOWN)


async def test_a_changed_body_is_read(http: Client) -> None:
    found = await fetched(http, page("b"), validators=KNOWN)

    assert (ids(found), found.not_modified) == (["b"], False)


async def test_without_validators_nothing_is_asked_conditionally(http: Client) -> None:
    async with serving(reply(BODY, headers=TAGGED)) as server:
        await get(http, server.url)
        (asked,) = server.asked

    assert not asked.headers.keys() & {"if-none-match", "if-modified-since"}


async def test_an_etag_that_cannot_be_sent_back_is_not(http: Client) -> None:
    async with serving(reply(BODY)) as server:
        found = await get(http, server.url, validators=Validators("\u00fc", None, "x"))

        assert "if-none-match" not in server.asked[0].headers
    assert ids(found) == ["a"]


async def test_several_lists_are_always_read_in_full(http: Client) -> None:
    async with serving([page("a"), page("b")]) as server:
        found = await get(http, server.url, lists("/one", "/two"), validators=KNOWN)

        assert all("if-none-match" not in asked.headers for asked in server.asked)
    assert ids(found) == ["a", "b"]


async def test_not_modified_that_nobody_asked_for_is_no_answer(http: Client) -> None:
    found = await fetched(http, raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"))

    assert found.outcome.class_ == "invalid_response"


async def test_the_users_own_headers_go_along_and_win(http: Client) -> None:
    custom = {"X-Team": "blue", "authorization": {"env": "OTHER"}, "x-absent": {"env": "NONE"}}
    secrets = {"api_key": Secret(KEY), "headers.authorization": Secret("Token t")}
    async with serving(page()) as server:
        await get(http, server.url, custom=custom, secrets=secrets)
        (asked,) = server.asked

    assert asked.headers["x-team"] == "blue"
    assert asked.headers["authorization"] == "Token t"
    assert "x-absent" not in asked.headers


async def test_each_page_carries_the_key_and_a_redirect_elsewhere_does_not(http: Client) -> None:
    async with serving(page("never")) as elsewhere:
        acts = [page("a", next="?p=2"), redirect(f"{elsewhere.url}/models")]
        async with serving(acts) as server:
            found = await get(http, server.url)

            assert [each.headers["authorization"] for each in server.asked] == [f"Bearer {KEY}"] * 2
        assert elsewhere.asked == []
    assert found.outcome.class_ == "config"


def with_details(url: str) -> Dialect:
    def merge(body: bytes, known: Sequence[ModelRecord]) -> list[ModelRecord]:
        said = msgspec.json.decode(body, type=dict[str, str])
        return [
            msgspec.structs.replace(each, family=said.get(each.id, each.family)) for each in known
        ]

    def details(_: Settings, records: Sequence[ModelRecord]) -> list[Detail]:
        return [
            Detail(Request(f"{url}/show", "POST", {}, record.id.encode()), merge)
            for record in records
        ]

    return PLAIN._replace(details=details)


async def test_details_add_fields_to_rows(http: Client) -> None:
    def script(asked: Asked) -> Act:
        if asked.target == "/models":
            return page("a", "b")
        return answer({asked.body.decode(): f"family of {asked.body.decode()}"})

    async with serving(script) as server:
        found = await get(http, server.url, with_details(server.url), validators=KNOWN)

        assert "if-none-match" not in server.asked[0].headers
        assert server.asked[1].headers["authorization"] == f"Bearer {KEY}"
    assert [record.family for record in found.records] == ["family of a", "family of b"]
    assert (found.complete, found.validators) == (True, None)


@pytest.mark.parametrize(
    "act", [reply(b"{}", 500), reply(b"{}", 404), reply(b"<html>"), reply(b"\xff")]
)
async def test_a_detail_that_is_refused_leaves_its_fields_unknown(http: Client, act: Act) -> None:
    async with serving([page("a"), act]) as server:
        found = await get(http, server.url, with_details(server.url))

    assert (found.complete, [record.family for record in found.records]) == (True, [None])


@pytest.mark.parametrize(
    ("act", "class_"),
    [
        (hang, "timeout_total"),
        (raw(b"", close=True), "connect"),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", close=True), "connect"),
    ],
    ids=["silence", "hung up", "cut"],
)
async def test_a_detail_that_is_not_answered_fails_the_fetch(
    http: Client, act: Act, class_: str
) -> None:
    async with serving([page("a"), act]) as server:
        found = await get(http, server.url, with_details(server.url), timeout=1.0)

    assert (found.outcome.class_, found.records, found.complete) == (class_, (), False)


async def test_another_list_may_serve_instead_of_one_that_is_not_there(http: Client) -> None:
    def script(asked: Asked) -> Act:
        return page("a") if asked.target == "/v1" else reply(b"", 404)

    def instead(url: str, settings: Settings) -> str | None:
        return settings.base_url + "/v1" if url.endswith("/models") else None

    async with serving(script) as server:
        found = await get(http, server.url, PLAIN._replace(instead=instead))

    assert (ids(found), found.complete) == (["a"], True)


async def test_where_nothing_serves_instead_the_list_is_not_there(http: Client) -> None:
    def circle(url: str, _: Settings) -> str:
        return url

    nothing = await fetched(http, reply(b"", 404), dialect=PLAIN._replace(instead=lambda *_: None))
    around = await fetched(http, reply(b"", 404), dialect=PLAIN._replace(instead=circle))

    assert (nothing.outcome.class_, around.outcome.class_) == ("config", "invalid_response")


async def test_static_rows_may_serve_instead(http: Client) -> None:
    rows = [Row(ModelRecord(id="s", name="s"), frozenset())]

    def static(_: str, __: Settings) -> Page:
        return Page(rows)

    found = await fetched(http, reply(b"", 404), dialect=PLAIN._replace(instead=static))

    assert (ids(found), found.complete, found.outcome.class_) == (["s"], True, "ok")
    assert found.outcome.message == ""


def record(**fields: Any) -> ModelRecord:  # noqa: ANN401 - whatever a record has
    given: dict[str, Any] = {"id": "m", "name": "m"}
    return ModelRecord(**(given | fields))


def test_a_capability_is_true_if_any_row_says_so() -> None:
    rows = [
        record(capabilities={"tools": False, "vision": False, "chat": True}),
        record(capabilities={"tools": True, "batch": False}),
    ]
    (one,) = merged(rows)

    assert one.capabilities == {"batch": False, "chat": True, "tools": True, "vision": False}


def test_modalities_are_united_with_their_sources() -> None:
    rows = [
        record(input_modalities=["text"], sources={"input_modalities": "provider"}),
        record(
            input_modalities=["audio"],
            output_modalities=["text"],
            capabilities={"tools": True},
            sources={
                "capabilities.tools": "provider",
                "input_modalities": "provider",
                "output_modalities": "provider",
            },
        ),
    ]
    (one,) = merged(rows)

    assert one.input_modalities == ["audio", "text"]
    assert one.output_modalities == ["text"]
    assert one.sources == rows[1].sources


def test_every_other_field_is_the_smallest_records() -> None:
    rows = [record(context_window=9, owned_by="b"), record(context_window=10, owned_by="a")]
    (one,) = merged(rows)

    assert (one.context_window, one.owned_by) == (10, "a")


records = st.builds(
    record,
    id=st.sampled_from(["a", "b"]),
    name=st.sampled_from(["x", "y"]),
    context_window=st.none() | st.integers(1, 3),
    capabilities=st.dictionaries(st.sampled_from(["tools", "vision"]), st.booleans()),
    input_modalities=st.lists(st.sampled_from(["text", "image"]), unique=True).map(sorted),
    sources=st.dictionaries(
        st.sampled_from(["name", "input_modalities", "capabilities.tools"]),
        st.sampled_from(["provider", "models.dev"]),
    ),
)


@given(
    st.lists(records, max_size=6).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(rows))
    )
)
def test_the_order_of_rows_decides_nothing(
    both: tuple[list[ModelRecord], list[ModelRecord]],
) -> None:
    one, other = both

    assert merged(one) == merged(other)
    assert [each.id for each in merged(one)] == sorted({each.id for each in one})
