"""Prices and other values as providers write them, and what the catalogue makes of them."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.providers.address import MissingOption, filled, ollama_host, with_query
from services.providers.dialect import Page
from services.providers.rows import decoder
from services.providers.table import BUILTIN, row_of
from services.providers.units import AS_IS, PER_MINUTE, PER_TOKEN, XAI_UNIT, price, prices
from services.providers.values import cutoff, day, flag, modalities, text, whole
from tests.support.answers import case


@pytest.mark.parametrize(
    ("written", "factor", "dollars"),
    [
        ("0.00000250", PER_TOKEN, "2.5"),
        ("0.0000025", PER_TOKEN, "2.5"),
        ("2.5e-6", PER_TOKEN, "2.5"),
        ("0", PER_TOKEN, "0"),
        ("-0.0", PER_TOKEN, "0"),
        ("0.00001", PER_TOKEN, "10"),
        (Decimal("0.05499999999999999"), AS_IS, "0.055"),
        (Decimal("0.10000000400000"), AS_IS, "0.1"),
        (Decimal("1E+2"), AS_IS, "100"),
        (10, AS_IS, "10"),
        (30000, XAI_UNIT * PER_TOKEN, "3"),
        (700_000_000, XAI_UNIT, "0.07"),
        (500_000_000_000, XAI_UNIT, "50"),
        ("0.0001", PER_MINUTE, "0.006"),
    ],
)
def test_a_price_is_exact(written: object, factor: Decimal, dollars: str) -> None:
    assert price(written, factor) == dollars


@pytest.mark.parametrize(
    "written",
    ["-1", -1, "", " ", "free", None, True, "NaN", "Infinity", "-Infinity", "1_000", {}, [],
     "1e999999999", "9" * 100, Decimal("1E+999999"), float("nan"), float("inf"), 10**30],
)  # fmt: skip
def test_what_is_no_price_is_unknown(written: object) -> None:
    assert price(written, PER_TOKEN) is None


def test_the_first_of_two_names_for_one_price_wins() -> None:
    raw = {"input": {"usd": "1", "tao": "9"}, "prompt": "2"}
    names = {"input.usd": "input", "prompt": "input", "absent": "output"}

    assert prices(raw, names, AS_IS) == {"input": "1"}
    assert prices(None, names, AS_IS) == prices("text", names, AS_IS) == {}


@given(st.decimals(0, 10**6, places=9))
def test_a_number_on_the_wire_is_read_without_a_float_between(amount: Decimal) -> None:
    body = f'{{"price": {amount:f}}}'.encode()
    read = decoder(dict[str, object]).decode(body)["price"]

    assert price(read, AS_IS) == price(amount, AS_IS)


@pytest.mark.parametrize(
    ("written", "date"),
    [
        (1767225600, "2026-01-01"),
        (1767225599, "2025-12-31"),
        (1767225600.9, "2026-01-01"),
        (1767225600000, "2026-01-01"),
        ("1767225600", "2026-01-01"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01"),
        ("2026-01-01T01:00:00+02:00", "2025-12-31"),
        ("2026-01-01T00:00:00.123456789Z", "2026-01-01"),
        ("2025-08-05 10:27:29.131", "2025-08-05"),
        ("2026-01-01T25:00:00Z", "2026-01-01"),
    ],
)
def test_a_date_is_the_day_in_utc(written: object, date: str) -> None:
    assert day(written) == date


@pytest.mark.parametrize(
    "written",
    [0, -1, 735790403, 1626777600, "", "soon", None, True, {}, "0001-01-01T00:00:00Z",
     "1970-01-01T00:00:00Z", "2026-02-30", "9999-12-31T23:59:59-10:00", 10**17, "20260101000000",
     float("nan"), float("inf")],
)  # fmt: skip
def test_what_is_no_date_is_unknown(written: object) -> None:
    assert day(written) is None


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5,
))  # fmt: skip
def test_no_value_is_too_odd_to_be_read(value: object) -> None:
    for read in (day, whole, flag, text, modalities, cutoff):
        read(value)
    price(value, PER_TOKEN)


@pytest.mark.parametrize(
    ("written", "limit"),
    [(1, 1), ("128000", 128000), (4096.0, 4096), (Decimal("8192.0"), 8192), (0, None), (-1, None),
     ("0", None), ("many", None), (True, None), (None, None), (10**18, None), (0.5, None)],
)  # fmt: skip
def test_a_limit_is_a_whole_number_above_zero(written: object, limit: int | None) -> None:
    assert whole(written) == limit


def test_a_text_cannot_break_a_terminal() -> None:
    assert text("a\x1b[31m\x00\x7f\x9bb\r\nc\td ") == "a[31mb c d"
    assert text(" \n ") is text("") is text(5) is None
    assert text(" " + "x" * 3000) == "x" * 2000


def test_modalities_are_ours_sorted_and_once() -> None:
    said = ["TEXT", "file", "speech", "audio", "rerank", "embeddings", 7, ""]

    assert modalities(said) == ["audio", "embedding", "pdf", "text"]
    assert modalities(None) is modalities("text") is None
    assert modalities(["rerank"]) == []


def test_a_knowledge_cutoff_is_a_month_or_a_day() -> None:
    assert [cutoff(one) for one in ("2025-08", "2025-08-31")] == ["2025-08", "2025-08-31"]
    assert {cutoff(one) for one in ("2025", "2025-13", "2025-08-40", "August", 2025)} == {None}


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("example.org", "http://example.org:11434"),
        ("example.org:8080", "http://example.org:8080"),
        ("http://example.org", "http://example.org:80"),
        ("https://example.org/ollama/", "https://example.org:443/ollama"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 - what they write
        ("0.0.0.0:5000", "http://127.0.0.1:5000"),
        (":5000", "http://127.0.0.1:5000"),
        ("[::]:5000", "http://[::1]:5000"),
        ("::1", "http://[::1]:11434"),
        (' "example.org" ', "http://example.org:11434"),
        ("", None),
        ("ftp://example.org", None),
        ("example.org:port", None),
    ],
)
def test_ollama_host_is_read_as_its_own_client_reads_it(written: str, url: str | None) -> None:
    assert ollama_host(written) == url


def test_a_cursor_is_put_into_the_query_and_replaces_the_last_one() -> None:
    url = with_query("https://a.example/v1/models?x%5B%5D=1&x%5B%5D=2&after=old", after="a b&c")

    assert url == "https://a.example/v1/models?x%5B%5D=1&x%5B%5D=2&after=a+b%26c"


def test_an_address_is_filled_from_the_options_percent_encoded() -> None:
    settings = msgspec.structs.replace(case("openai").settings, options={"account": "a/b c"})

    assert filled("https://a.example/{account}/x", settings) == "https://a.example/a%2Fb%20c/x"
    with pytest.raises(MissingOption, match="needs the option 'region'"):
        filled("https://{region}.example", settings)


def test_the_traits_of_a_row_hold_for_its_name_or_its_address_in_its_dialect() -> None:
    settings = case("cerebras").settings
    renamed = msgspec.structs.replace(settings, name="mine", base_url=settings.base_url + "/")
    elsewhere = msgspec.structs.replace(settings, name="mine", base_url="https://other.example")
    otherwise = msgspec.structs.replace(settings, dialect="openrouter")

    assert row_of(settings) == row_of(renamed) == BUILTIN["cerebras"]
    assert row_of(elsewhere) is row_of(otherwise) is None


def test_what_was_sent_counts_every_row() -> None:
    assert Page([], failed=2, unusable=3).sent == 5
