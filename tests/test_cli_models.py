from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from projections.rows import Difference, Model, Version
from tests.support.cli import modelog, on_terminal
from tests.support.logs import catalogue
from tests.support.shelf import FACTS, HOSTILE, LONG, OPERATIONS

pytestmark = pytest.mark.process

ALL = [
    ("openai", "davinci-002"),
    ("openai", "gpt-4.1"),
    ("router", LONG.id),
    ("router", HOSTILE.id),
    ("router", "fading"),
    ("router", "gpt-4.1"),
    ("router", "通义千问-plus"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalogue, and neither log nor server."""
    folder = tmp_path_factory.mktemp("models")
    catalogue(folder / ".modelog", FACTS, OPERATIONS)
    return folder


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", ALL),
        ("--limit 2", ALL[:2]),
        ("--provider openai", ALL[:2]),
        ("--capability vision", [("openai", "gpt-4.1")]),
        ("--capability chat --capability embeddings", [("router", LONG.id)]),
        ("--capability reasoning", []),
        ("--modality image", [("openai", "gpt-4.1")]),
        ("--min-context 1M", [("openai", "gpt-4.1"), ("router", "gpt-4.1")]),
        ("--min-context 131072 --provider router", [("router", LONG.id), ("router", "gpt-4.1")]),
        ("--min-context 1000001", [("openai", "gpt-4.1")]),
        ("--max-input-price 2.2", [("openai", "davinci-002"), ("router", "gpt-4.1")]),
        ("--lifecycle deprecated", [("openai", "davinci-002")]),
        ("--availability missing", [("router", "fading")]),
        ("--text gpt", [("openai", "gpt-4.1"), ("router", "gpt-4.1")]),
        ("--sort -price_input --limit 2", [("openai", "gpt-4.1"), ("router", "gpt-4.1")]),
        ("--as-of 2026-01-15 --provider openai", [*ALL[:1], ("openai", "gone"), *ALL[1:2]]),
        ("--as-of 3", [("openai", "gpt-4.1")]),
        ("--limit 99999999999999999999", ALL),
        ("--offset 99999999999999999999", []),
        ("--as-of 0", []),
        ("--as-of 0s", ALL),
    ],
)
def test_models_are_listed(options: str, found: list[tuple[str, str]], folder: Path) -> None:
    answer = modelog("models", "list", *options.split(), "--json", cwd=folder)
    ids = [(row["provider"], row["id"]) for row in answer.json]

    assert (answer.code, answer.err) == (0, "")
    assert ids == (sorted(found) if "--text" in options else found)


def test_a_models_row_has_the_contracts_columns(folder: Path) -> None:
    answer = modelog("models", "list", "--provider", "openai", "--json", cwd=folder)
    row = answer.json[1]

    assert tuple(row) == Model.__struct_fields__
    assert row["prices"] == {"input": "2.5", "output": "8", "cache_read": "0.5", "image": "0.04"}
    assert (row["price_input"], row["open_weights"], row["missing_since"]) == (2.5, False, None)
    assert row["capabilities"]["reasoning"] is False
    assert row["lifecycle"]["state"] == "active"


def test_a_search_looks_at_more_than_ids(folder: Path) -> None:
    found = modelog("models", "search", "capable", "--json", cwd=folder)

    assert [(row["provider"], row["id"]) for row in found.json] == [("openai", "gpt-4.1")]


def test_a_pipe_gets_plain_columns(folder: Path) -> None:
    answer = modelog("models", "list", "--limit", 3, cwd=folder)

    assert answer.err == ""
    pad = len(LONG.id)
    assert answer.out.splitlines() == [
        f"PROVIDER  {'MODEL':<{pad}}  CONTEXT  IN $/M  OUT $/M  STATE",
        f"openai    {'davinci-002':<{pad}}           0.0375           deprecated",
        f"openai    {'gpt-4.1':<{pad}}   1.048M    2.50     8.00  active",
        f"router    {LONG.id}   131.1k                   active",
    ]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "command",
    [
        "models list",
        "models show gpt-4.1",
        "models history gpt-4.1",
        "models diff --from 0 --to 0s",
        "models search gpt",
    ],
)
def test_every_view_fits_and_obeys_no_provider(command: str, columns: int, folder: Path) -> None:
    screen = on_terminal(*command.split(), cwd=folder, columns=columns)

    assert screen.code == 0
    assert all(width(line) <= columns for line in screen.lines)
    assert "\x1b" not in screen.text
    assert "\x07" not in screen.text
    assert "\x9b" not in screen.text
    assert "\u202e" not in screen.text


def width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line)


def test_a_terminal_gets_colour_unless_it_is_not_wanted(folder: Path) -> None:
    styled = on_terminal("models", "list", cwd=folder)
    plain = on_terminal("models", "list", cwd=folder, env={"NO_COLOR": "1"})

    assert "\x1b[36m" in styled.raw
    assert "\x1b[36m" not in plain.raw
    assert plain.text == styled.text


def test_a_long_id_is_folded_and_whole(folder: Path) -> None:
    screen = on_terminal("models", "list", "--provider", "router", cwd=folder)
    column = "".join(line[10:44].split(" ")[0] for line in screen.lines[1:4])

    assert LONG.id in column


def test_one_model_is_shown_of_every_provider_that_serves_it(folder: Path) -> None:
    answer = modelog("models", "show", "gpt-4.1", "--json", cwd=folder)
    told = answer.json

    assert tuple(told) == (*Model.__struct_fields__, "others")
    assert (told["provider"], told["seq"]) == ("openai", 19)
    assert [other["provider"] for other in told["others"]] == ["router"]


def test_one_model_of_one_provider_is_the_row_itself(folder: Path) -> None:
    answer = modelog("models", "show", "gpt-4.1", "--provider", "router", "--json", cwd=folder)

    assert tuple(answer.json) == Model.__struct_fields__
    assert answer.json["provider"] == "router"


def test_one_model_is_shown_as_it_was(folder: Path) -> None:
    options = ("--provider", "openai", "--as-of", "2026-01-15", "--json")
    answer = modelog("models", "show", "gpt-4.1", *options, cwd=folder)

    assert answer.json["prices"]["input"] == "2"


def test_a_model_is_shown_in_words(folder: Path) -> None:
    out = modelog("models", "show", "davinci-002", cwd=folder).out

    assert "state        deprecated, deprecated 2026-01-10, retires 2026-09-01\n" in out
    assert "replacement  gpt-4.1\n" in out
    assert "prices       input $0.0375/M\n" in out


def test_history_tells_every_version(folder: Path) -> None:
    answer = modelog("models", "history", "gpt-4.1", "--json", cwd=folder)
    rows = answer.json

    assert all(tuple(row) == Version.__struct_fields__ for row in rows)
    assert [(row["provider"], row["seq"], row["until_seq"], row["change"]) for row in rows] == [
        ("openai", 3, 19, "added"),
        ("openai", 19, None, "updated"),
        ("router", 11, None, "added"),
    ]
    assert rows[1]["changed"] == [{"path": "prices.input", "old": "2", "new": "2.5"}]
    assert rows[1]["record"]["prices"]["input"] == "2.5"


def test_history_is_kept_of_what_is_gone(folder: Path) -> None:
    answer = modelog("models", "history", "gone", "--json", cwd=folder)

    assert [row["change"] for row in answer.json] == ["added", "removed"]


def test_a_limit_keeps_the_newest_versions(folder: Path) -> None:
    answer = modelog("models", "history", "gpt-4.1", "--limit", 2, "--json", cwd=folder)

    assert [row["seq"] for row in answer.json] == [19, 11]


def test_history_in_words(folder: Path) -> None:
    answer = modelog("models", "history", "gpt-4.1", "--provider", "openai", cwd=folder)

    assert answer.out == (
        "AT                   SEQ  PROVIDER  CHANGE   WHAT\n"
        "2026-01-01 00:00:00    3  openai    added    1.048M tokens, $2 in, $8 out\n"
        "2026-02-01 00:00:00   19  openai    updated  prices.input 2 → 2.5\n"
    )


def test_two_moments_are_compared(folder: Path) -> None:
    options = ("--from", "2026-01-15", "--to", "2026-04-01", "--json")
    answer = modelog("models", "diff", *options, cwd=folder)
    rows = answer.json

    assert all(tuple(row) == Difference.__struct_fields__ for row in rows)
    assert [(row["provider"], row["model_id"], row["change"]) for row in rows] == [
        ("openai", "gone", "vanished"),
        ("openai", "gpt-4.1", "changed"),
    ]
    assert rows[1]["changed"] == [{"path": "prices.input", "old": "2", "new": "2.5"}]


def test_nothing_differs_is_no_failure(folder: Path) -> None:
    answer = modelog("models", "diff", "--from", "2027-01-01", cwd=folder)

    assert answer == (0, "", "nothing differs\n")


@pytest.mark.parametrize(
    ("required", "code", "told"),
    [
        (["chat", "tools"], 0, ""),
        (
            ["chat", "reasoning", "batch"],
            1,
            "openai gpt-4.1: reasoning is false, batch is unknown\n",
        ),
        (["chatting"], 2, '"chatting" is no capability; did you mean "chat"?\n'),
    ],
)
def test_a_model_is_validated(required: list[str], code: int, told: str, folder: Path) -> None:
    options = [word for name in required for word in ("--require", name)]
    answer = modelog("models", "validate", "gpt-4.1", "--provider", "openai", *options, cwd=folder)

    assert (answer.code, answer.err) == (code, told)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("show gpt-4", 'there is no model "gpt-4"; did you mean "gpt-4.1"?\n'),
        ("show nothing-like-it", "look for it with `modelog models search`\n"),
        ("show gpt-4.1 --provider opanai", 'no provider "opanai"; did you mean "openai"?\n'),
        ("show gone", 'there is no model "gone"; look for it'),
        ("show fading --provider openai", 'there is no model "fading" of openai; look for it'),
        ("history gpt4", 'did you mean "gpt-4.1"?\n'),
        ("validate gpt --provider router --require chat", 'no model "gpt" of router'),
        ("list --provider nobody", "take one of: anthropic, openai, router\n"),
        ("diff --from 0 --provider nobody", 'no provider "nobody"'),
        ("list --as-of 999", "--as-of: the catalogue ends at sequence "),
        ("show gpt-4.1 --as-of 999", ", before 999\n"),
        ("diff --from 0 --to 999", "--to: the catalogue ends at sequence "),
    ],
)
def test_what_does_not_exist_is_exit_code_3(arguments: str, told: str, folder: Path) -> None:
    answer = modelog("models", *arguments.split(), cwd=folder)

    assert (answer.code, answer.out) == (3, "")
    assert told in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("command", ["models list", "models show x", "models diff --from 7d"])
def test_without_a_catalogue_the_way_to_one_is_told(command: str, tmp_path: Path) -> None:
    answer = modelog(*command.split(), cwd=tmp_path)

    assert answer.code == 4
    assert "no catalogue at" in answer.err
    assert "modelog up" in answer.err
    assert not (tmp_path / ".modelog").exists()


def test_a_file_that_is_no_catalogue_is_named(tmp_path: Path) -> None:
    (tmp_path / ".modelog").mkdir()
    (tmp_path / ".modelog" / "catalogue.db").write_text("no database" * 100)
    answer = modelog("models", "list", cwd=tmp_path)

    assert answer.code == 4
    assert "catalogue.db is not a catalogue" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        "--data {} models list --json",
        "models --data {} list --json",
        "models list --data={} --json",
    ],
)
def test_the_data_directory_may_be_named_anywhere(
    arguments: str, folder: Path, tmp_path: Path
) -> None:
    words = arguments.format(folder / ".modelog").split()
    answer = modelog(*words, cwd=tmp_path)

    assert len(answer.json) == len(ALL)


def test_the_environment_names_the_data_directory(folder: Path, tmp_path: Path) -> None:
    env = {"MODELOG_DATA": str(folder / ".modelog")}
    answer = modelog("models", "list", "--json", cwd=tmp_path, env=env)

    assert len(answer.json) == len(ALL)


def test_a_broken_configuration_is_told_whole(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text('dat = "x"\n[refresh]\ninterval = "sixty"\n')
    answer = modelog("models", "list", "--data", folder / ".modelog", cwd=tmp_path)

    assert answer.code == 2
    assert len(answer.err.splitlines()) == 2
    assert "dat" in answer.err
    assert '"sixty" is no duration' in answer.err
