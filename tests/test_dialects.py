"""What each dialect makes of an answer; the answers and their records are in `answers/`."""

import msgspec
import pytest

from events.decide.providers import Settings
from events.record import CAPABILITIES, TOKEN_PRICES, UNIT_PRICES, ModelRecord
from services.providers import DIALECTS, Dialect, Page, Refused, usable
from services.providers.table import BUILTIN, Builtin
from tests.support.answers import Case, case, names


def read(one: Case) -> tuple[Dialect, str, Page]:
    dialect = DIALECTS[one.settings.dialect]
    url = one.url or dialect.first(one.settings)[0]
    return dialect, url, dialect.parse(bytes(one.answer), url, one.settings)


def merged(one: Case, dialect: Dialect, records: list[ModelRecord]) -> list[ModelRecord]:
    """Add the details, which are asked in the order of the case."""
    if dialect.details is None:
        return records
    asked = dialect.details(one.settings, records)
    wire = [(ask.request.url, ask.request.body) for ask in asked]

    assert wire == [
        (answer.ask, msgspec.json.encode(answer.body) if answer.body else None)
        for answer in one.details
    ]
    for ask, answer in zip(asked, one.details, strict=True):
        records = ask.merge(bytes(answer.answer), records)
    return records


@pytest.mark.parametrize("name", names())
def test_an_answer_is_read_as_these_records(name: str) -> None:
    one = case(name)
    dialect, _, page = read(one)

    assert merged(one, dialect, [row.record for row in page.rows]) == one.expected
    assert (page.next, page.total, page.failed, page.unusable) == (
        one.next,
        one.total,
        one.failed,
        one.unusable,
    )


@pytest.mark.parametrize("name", names())
def test_a_case_is_read_at_the_url_that_is_asked(name: str) -> None:
    one = case(name)
    asked = DIALECTS[one.settings.dialect].first(one.settings)

    assert one.url is None or one.url in asked


@pytest.mark.parametrize("name", names())
def test_only_the_words_of_the_contract_come_out(name: str) -> None:
    _, _, page = read(case(name))

    for row in page.rows:
        assert row.record.capabilities.keys() <= set(CAPABILITIES)
        assert row.record.prices.keys() <= {*TOKEN_PRICES, *UNIT_PRICES}
        assert msgspec.json.decode(msgspec.json.encode(row.record), type=ModelRecord) == row.record


@pytest.mark.parametrize("name", names())
def test_the_order_of_rows_and_of_sets_changes_no_record(name: str) -> None:
    one = case(name)
    dialect, url, page = read(one)
    turned = msgspec.json.encode(backwards(msgspec.json.decode(one.answer)))
    again = dialect.parse(turned, url, one.settings)

    assert by_id(again) == by_id(page)


def backwards(value: object) -> object:
    """Turn every list of objects or of texts around, and every object."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(item) for item in reversed(value)] if isinstance(value, list) else value


def by_id(page: Page) -> list[ModelRecord]:
    return sorted((row.record for row in page.rows), key=msgspec.json.encode)


def test_every_dialect_has_an_answer_and_two_records_or_more() -> None:
    counts = dict.fromkeys(DIALECTS, 0)
    for name in names():
        counts[case(name).settings.dialect] += len(case(name).records)

    assert [dialect for dialect, count in counts.items() if count < 2] == []


@pytest.mark.parametrize("builtin", BUILTIN.values(), ids=list(BUILTIN))
def test_a_built_in_provider_can_be_asked(builtin: Builtin) -> None:
    assert usable(builtin)
    needed = {option.name: "it" for option in builtin.options if option.needed}
    settings = Settings(
        name=builtin.name, dialect=builtin.dialect, base_url=builtin.base_url, options=needed
    )
    urls = DIALECTS[builtin.dialect].first(settings)

    assert urls
    assert not [url for url in urls if "{" in url or "//" in url.partition("://")[2]]


def test_no_key_serves_two_providers_that_are_used_by_themselves() -> None:
    keys = [key for row in BUILTIN.values() if row.auto != "no" for key in row.keys]

    assert sorted(keys) == sorted(set(keys))


LISTED = [name for name in DIALECTS if name != "tgi"]


@pytest.mark.parametrize("dialect", LISTED)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"42",
        b'"models"',
        b"<html><body>blocked</body></html>",
        b'{"unexpected": true}',
        b'{"data": {}, "models": 1, "result": "x", "value": 5}',
        b'{"data": [{"id": "cut',
        b'{"data": [{"id": "\xff"}', b"[" * 5000,
    ],
    ids=[
        "nothing", "null", "number", "text", "page", "other object", "no lists", "cut off",
        "no text", "too deep",
    ],
)  # fmt: skip
def test_a_body_that_is_no_list_is_never_an_empty_one(dialect: str, body: bytes) -> None:
    settings = any_settings(dialect)
    url = DIALECTS[dialect].first(settings)[0]

    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refused)):
        DIALECTS[dialect].parse(body, url, settings)


@pytest.mark.parametrize("dialect", LISTED)
@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "no such account", "type": "invalid"}}',
        b'{"error": "no such account"}',
        b'{"success": false, "errors": [{"code": 10000, "message": "no such account"}]}',
        b'{"success": false, "message": "no such account"}',
    ],
    ids=["error object", "error text", "errors", "no success"],
)
def test_an_error_with_status_200_is_refused_with_its_words(dialect: str, body: bytes) -> None:
    settings = any_settings(dialect)
    url = DIALECTS[dialect].first(settings)[0]

    with pytest.raises(Refused, match="no such account") as refused:
        DIALECTS[dialect].parse(body, url, settings)
    assert refused.value.class_ == "invalid_response"


def any_settings(dialect: str) -> Settings:
    names = ("region", "account", "location", "project", "subscription", "resource")
    row = next((row for row in BUILTIN.values() if row.dialect == dialect), None)
    return Settings(
        name=row.name if row else dialect,
        dialect=dialect,
        base_url=row.base_url if row else "http://127.0.0.1:9",
        options=dict.fromkeys(names, "here"),
    )


def test_a_bad_row_spoils_no_other() -> None:
    rows = b'[{"id": "a"}, null, 7, "b", [], {"id": 5}, {"id": null}, {"id": "c", "x": "\xff"}, '
    rows += b'{"id": "\\ud800"}, {"id": "d", "created": 1e999999999999999999999}, {"id": "e"}]'
    page = DIALECTS["openai"].parse(rows, "", any_settings("openai"))

    assert [row.record.id for row in page.rows] == ["a", "c", "e"]
    assert (page.sent, page.failed, page.unusable) == (11, 7, 1)


def test_a_text_that_was_cut_within_a_letter_loses_that_letter_alone() -> None:
    rows = rb'[{"id": "a", "name": "A \ud83d\ude00 \ud83d"}, {"id": "b\\ud83d"}]'
    page = DIALECTS["openai"].parse(rows, "", any_settings("openai"))

    assert [(row.record.id, row.record.name) for row in page.rows] == [
        ("a", "A \U0001f600"),
        ("b\\ud83d", "b\\ud83d"),
    ]


def test_the_fields_of_a_row_are_the_names_at_its_top() -> None:
    body = b'{"data": [{"id": "a", "extra": {"inner": [1]}, "none": null}]}'
    page = DIALECTS["openai"].parse(body, "", any_settings("openai"))

    assert page.rows[0].fields == {"id", "extra", "none"}


def test_an_id_that_no_subject_can_carry_is_unusable() -> None:
    longest, longer = "a" * 150, "a" * 151
    dots, more_dots = "." * 50, "." * 51
    body = msgspec.json.encode(
        [{"id": one} for one in (longest, longer, dots, more_dots, "", "\n")]
    )
    page = DIALECTS["openai"].parse(body, "", any_settings("openai"))

    assert [row.record.id for row in page.rows] == [longest, dots, "\n"]
    assert (page.failed, page.unusable) == (0, 3)
