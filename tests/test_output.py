from __future__ import annotations

import json
import unicodedata
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.output import clean, progress, write_array, write_lines, write_object
from services.cli.sentences import changes, money, tokens, value
from services.cli.tables import GAP, NARROWEST, Column, fitted, write_record, write_table

COLUMNS = (
    Column("NAME", lambda row: row["name"]),
    Column("PRICE", lambda row: row["price"], right=True),
    Column("MORE", lambda row: row["more"], wide=True),
)


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    cleaned = clean(text)

    assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in cleaned)
    assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e") & set(cleaned)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gpt-4.1", "gpt-4.1"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("one\ntwo\tthree\x00", "one\\x0atwo\\x09three\\x00"),
        ("abc\u202efdp", "abc\\u202efdp"),
        ("通义千问 é 🤖", "通义千问 é 🤖"),
        ("[bold]not markup[/bold]", "[bold]not markup[/bold]"),
        (None, ""),
        (12, "12"),
    ],
)
def test_what_a_provider_says_is_shown_and_not_obeyed(text: object, shown: str) -> None:
    assert clean(text) == shown


@given(st.lists(st.dictionaries(st.text(), st.text() | st.none() | st.booleans())))
def test_an_array_is_json_and_harmless(items: list[dict[str, Any]]) -> None:
    with redirect_stdout(StringIO()) as out:
        write_array(items)
    text = out.getvalue()

    assert json.loads(text) == items
    assert not any(unicodedata.category(char) == "Cc" for char in text.replace("\n", ""))


def test_an_object_is_indented_json(capsys: pytest.CaptureFixture[str]) -> None:
    write_object({"name": "\x9b31m", "known": True, "seq": None})

    out = capsys.readouterr().out
    assert out == '{\n  "name": "\\u009b31m",\n  "known": true,\n  "seq": null\n}\n'


def test_lines_are_an_object_each(capsys: pytest.CaptureFixture[str]) -> None:
    write_lines([{"seq": 1}, {"seq": 2}])

    assert capsys.readouterr().out == '{"seq":1}\n{"seq":2}\n'


def test_a_pipe_gets_plain_aligned_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"name": "通义", "price": "10.00", "more": "x"},
        {"name": "a-name-that-is-long" * 6, "price": "0.5\x1b", "more": "x"},
    ]
    write_table(rows, COLUMNS)

    name = "a-name-that-is-long" * 6
    assert capsys.readouterr().out.splitlines() == [
        f"{'NAME'.ljust(len(name))}    PRICE",
        f"{'通义'.ljust(len(name) - 2)}    10.00",
        f"{name}  0.5\\x1b",
    ]


def test_an_empty_table_is_silent_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    write_table([], COLUMNS, empty="nothing differs")

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "nothing differs\n")


def test_a_record_leaves_out_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    write_record([("id", "gpt\x1b"), ("family", None), ("prices", "input $2\noutput $8")])

    assert capsys.readouterr().out == "id      gpt\\x1b\nprices  input $2\n        output $8\n"


@given(st.lists(st.tuples(st.integers(1, 200), st.booleans(), st.booleans()), min_size=1))
def test_columns_fit_as_far_as_they_may_give(shapes: list[tuple[int, bool, bool]]) -> None:
    columns = [
        Column("", lambda _: "", elastic=elastic, folded=folded) for _, elastic, folded in shapes
    ]
    widths = [width for width, _, _ in shapes]
    fit = fitted(columns, widths, 80)

    needed = sum(fit) + len(GAP) * (len(fit) - 1)
    gives = [elastic or folded for _, elastic, folded in shapes]
    assert needed <= 80 or all(
        now <= NARROWEST for now, give in zip(fit, gives, strict=True) if give
    )
    assert all(now <= before for now, before in zip(fit, widths, strict=True))
    assert all(now == before or now >= NARROWEST for now, before in zip(fit, widths, strict=True))


def test_progress_is_silent_where_no_one_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("replay") as advance:
        advance(1, 2)
        advance(2, 2)

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize(
    ("number", "said"),
    [(None, ""), (512, "512"), (8192, "8.192k"), (128_000, "128k"), (1_048_576, "1.049M")],
)
def test_tokens_are_said_in_short(number: int | None, said: str) -> None:
    assert tokens(number) == said


@pytest.mark.parametrize(
    ("price", "said"),
    [(None, ""), ("10", "10.00"), ("2.5", "2.50"), ("0.0375", "0.0375"), ("0", "0.00")],
)
def test_prices_have_two_decimals_at_least(price: str | None, said: str) -> None:
    assert money(price) == said


def test_changes_say_what_was_and_what_is() -> None:
    changed = [
        ("capabilities.vision", None, True),
        ("prices.input", "3", "2.5"),
        ("aliases", ["a", "b"], []),
        ("family", "gpt", None),
    ]

    assert changes(changed) == (
        "capabilities.vision = yes, prices.input 3 → 2.5, aliases a b → none, family gone (was gpt)"
    )
    assert value("x" * 100) == "x" * 59 + "…"
