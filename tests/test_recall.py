from __future__ import annotations

import json

import pytest

from events.decide.providers import Settings
from services.calls.rows import fields
from services.providers import DIALECTS, Page
from services.providers.recall import Recall
from tests.support.answers import case, names


def _body(*rows: dict[str, object]) -> bytes:
    return json.dumps({"object": "list", "data": rows}).encode()


def _read(body: bytes, recall: Recall) -> Page:
    settings = Settings(name="acme", dialect="openai", base_url="https://x/v1")
    with recall.list():
        return DIALECTS["openai"].parse(body, "https://x/v1/models", settings)


ONE = {"id": "one", "created": 1754524800}
TWO = {"id": "two", "created": 1754524800}


def test_a_row_that_is_the_same_is_not_mapped_again() -> None:
    recall = Recall()
    first = _read(_body(ONE, TWO), recall)
    second = _read(_body(TWO, ONE), recall)

    assert second.rows[1] is first.rows[0]
    assert second.rows[0] is first.rows[1]


def test_a_row_that_differs_is_mapped() -> None:
    recall = Recall()
    first = _read(_body(ONE, TWO), recall)
    second = _read(_body(ONE, {**TWO, "context_length": 8}), recall)

    assert second.rows[0] is first.rows[0]
    assert second.rows[1].record.context_window == 8


def test_only_the_last_list_is_recalled() -> None:
    recall = Recall()
    first = _read(_body(ONE), recall)
    _read(_body(TWO), recall)

    assert _read(_body(ONE), recall).rows[0] is not first.rows[0]


def test_a_list_that_was_not_read_forgets_nothing() -> None:
    recall = Recall()
    first = _read(_body(ONE), recall)
    with recall.list():
        pass

    assert _read(_body(ONE), recall).rows[0] is first.rows[0]


def test_the_fields_of_rows_are_counted() -> None:
    rows = _read(_body(ONE, {"id": "two"}), Recall()).rows

    assert fields(rows) == {"created": 1, "id": 2}


@pytest.mark.parametrize("name", names())
def test_recalling_changes_no_record_of_any_dialect(name: str) -> None:
    found = case(name)
    dialect = DIALECTS[found.settings.dialect]
    url = found.url or dialect.first(found.settings)[0]
    recall = Recall()
    pages = []
    for _ in range(2):
        with recall.list():
            pages.append(dialect.parse(bytes(found.answer), url, found.settings))

    assert pages[1] == pages[0]
