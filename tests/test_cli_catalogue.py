"""Providers, SQL and the state of it all, from a catalogue without a server."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from projections.rows import Provider
from services.directory import DataDirectory
from services.providers.table import BUILTIN
from tests.support.cli import modelog, on_terminal
from tests.support.logs import catalogue, tell
from tests.support.nats import Servers, connected
from tests.support.shelf import FACTS, OPERATIONS

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalogue")
    catalogue(folder / ".modelog", FACTS, OPERATIONS)
    return folder


def test_providers_are_listed(folder: Path) -> None:
    answer = modelog("providers", "list", "--json", cwd=folder)
    rows = answer.json

    assert all(tuple(row) == Provider.__struct_fields__ for row in rows)
    assert [(row["name"], row["enabled"], row["refresh_outcome"]) for row in rows] == [
        ("anthropic", False, None),
        ("openai", True, "succeeded"),
        ("router", True, "failed"),
    ]
    assert [row["model_count"] for row in rows] == [0, 2, 5]


def test_providers_in_words(folder: Path) -> None:
    answer = modelog("providers", "list", "--limit", 2, cwd=folder)

    assert answer.out == (
        "NAME       DIALECT    STATUS    MODELS  REFRESHED            OUTCOME\n"
        "anthropic  anthropic  disabled       0\n"
        "openai     openai     inactive       2  2026-01-01 00:00:00  succeeded\n"
    )


def test_providers_are_listed_by_status(folder: Path) -> None:
    assert modelog("providers", "list", "--status", "error", "--json", cwd=folder).json == []
    assert len(modelog("providers", "list", "--status", "inactive", "--json", cwd=folder).json) == 3


def test_all_built_in_providers_are_available_without_a_catalogue(tmp_path: Path) -> None:
    env = {"OPENAI_API_KEY": "sk-secret"}
    answer = modelog("providers", "list", "--available", "--json", cwd=tmp_path, env=env)
    rows = {row["name"]: row for row in answer.json}

    assert list(rows) == sorted(BUILTIN)
    assert rows["openai"]["keys"] == ["OPENAI_API_KEY"]
    assert rows["openai"]["key_set"] is True
    assert rows["anthropic"]["key_set"] is False
    assert "sk-secret" not in answer.out


def test_one_provider_is_one_object(folder: Path) -> None:
    answer = modelog("providers", "show", "openai", "--json", cwd=folder)

    assert tuple(answer.json)[:-3] == Provider.__struct_fields__


def test_one_provider_comes_with_its_last_refreshes(folder: Path) -> None:
    answer = modelog("providers", "show", "router", cwd=folder)

    assert "base url    https://api.router.example/v1\n" in answer.out
    assert "2026-03-01 00:00:00  failed" in answer.out
    assert "credential: the key was\\x1b[2J refused" in answer.out


def test_an_unknown_provider_is_exit_code_3(folder: Path) -> None:
    answer = modelog("providers", "show", "ruoter", cwd=folder)

    assert answer == (3, "", 'there is no provider "ruoter"; did you mean "router"?\n')


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "command",
    ["providers list", "providers show router", "providers list --available", "status"],
)
def test_every_view_fits(command: str, columns: int, folder: Path) -> None:
    screen = on_terminal(*command.split(), cwd=folder, columns=columns)

    assert screen.code == 0
    assert max(map(len, screen.lines)) <= columns
    assert "\x1b" not in screen.text


def test_sql_answers_in_columns(folder: Path) -> None:
    answer = modelog("query", "select provider, count(*) n from models group by 1", cwd=folder)

    assert answer == (0, "provider  n\nopenai    2\nrouter    5\n", "")


def test_sql_answers_in_json_with_nested_columns(folder: Path) -> None:
    sql = "select id, aliases, context_window from models where provider = 'openai' order by id"
    answer = modelog("query", sql, "--json", cwd=folder)

    assert answer.json == [
        {"id": "davinci-002", "aliases": [], "context_window": None},
        {"id": "gpt-4.1", "aliases": ["gpt-4.1-2025-04-14"], "context_window": 1_047_576},
    ]


def test_sql_answers_in_csv(folder: Path) -> None:
    sql = "select id, description, null as void from models where provider = 'router'"
    answer = modelog("query", sql, "--csv", cwd=folder)
    rows = list(csv.reader(io.StringIO(answer.out)))

    assert rows[0] == ["id", "description", "void"]
    assert ["evil\x1b[31m/x\u202e:1", "a\x07b\nc", ""] in rows


def test_csv_on_a_terminal_is_harmless(folder: Path) -> None:
    screen = on_terminal("query", "select id, description from models", "--csv", cwd=folder)

    assert "\x1b" not in screen.text
    assert "\x07" not in screen.text


def test_bytes_are_told_in_hex(folder: Path) -> None:
    sql = "select x'00ff' as bytes"

    assert modelog("query", sql, "--json", cwd=folder).json == [{"bytes": "00ff"}]
    assert modelog("query", sql, cwd=folder).out == "bytes\n00ff\n"


def test_sql_is_read_from_stdin(folder: Path) -> None:
    answer = modelog("query", "-", cwd=folder, stdin="select 1 as one;\n")

    assert answer.out == "one\n  1\n"


def test_no_rows_are_no_failure(folder: Path) -> None:
    assert modelog("query", "select 1 where 0", cwd=folder) == (0, "", "no rows\n")
    assert modelog("query", "select 1 where 0", "--json", cwd=folder) == (0, "[]\n", "")


@pytest.mark.parametrize(
    "sql",
    ["delete from models", "drop table models", "create table t (a)", "update models set id = 'x'"],
)
def test_sql_changes_nothing(sql: str, folder: Path) -> None:
    answer = modelog("query", sql, cwd=folder)

    assert answer.code == 2
    assert "readonly" in answer.err
    assert len(modelog("models", "list", "--json", cwd=folder).json) == 7


def test_wrong_sql_is_wrong_usage(folder: Path) -> None:
    answer = modelog("query", "from models select", cwd=folder)

    assert answer.code == 2
    assert "syntax error" in answer.err
    assert answer.err.count("\n") == 1


def test_the_status_needs_no_server(folder: Path) -> None:
    answer = modelog("status", "--json", cwd=folder)
    told = answer.json

    assert answer.code == 0
    assert told["server"] is None
    assert told["streams"] == [
        {"stream": "MODELOG", "last_seq": None, "folded": 23, "lag": None},
        {"stream": "MODELOG_AUDIT", "last_seq": None, "folded": 4, "lag": None},
    ]
    assert told["providers"] == {
        "registered": 3,
        "enabled": 2,
        "outcomes": {"failed": 1, "never refreshed": 1, "succeeded": 1},
        "failing": ["router"],
    }
    assert (told["models"]["listed"], told["models"]["missing"]) == (6, 1)
    assert told["unknown_events"] == 0
    assert told["data"] == str(folder / ".modelog")


def test_the_status_in_words_says_that_no_server_runs(folder: Path) -> None:
    out = modelog("status", cwd=folder).out

    assert "not running; start it with `modelog up`" in out
    assert "failing    router" in out


def test_without_anything_the_status_says_how_to_begin(tmp_path: Path) -> None:
    answer = modelog("status", cwd=tmp_path)

    assert answer.code == 4
    assert "modelog demo" in answer.err


@pytest.mark.nats
async def test_the_status_tells_how_far_the_catalogue_is_behind(
    servers: Servers, folder: Path
) -> None:
    async with connected(servers.url) as nc:
        await tell(nc)
    env = {"MODELOG_NATS_URL": servers.url}
    told = modelog("status", "--json", cwd=folder, env=env).json

    assert told["server"] == {"url": servers.url}
    assert [one["last_seq"] for one in told["streams"]] == [7, 8]
    assert [one["lag"] for one in told["streams"]] == [0, 4]


def test_the_effective_configuration_holds_references_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text(
        '[refresh]\ninterval = "10m"\n[[providers]]\nname = "openai"\n'
    )
    env = {"OPENAI_API_KEY": "sk-secret"}
    answer = modelog("status", "--config", cwd=tmp_path, env=env)

    assert answer.code == 0
    assert answer.json["refresh"]["interval"] == "10m"
    assert answer.json["providers"][0]["api_key"] == {"env": "OPENAI_API_KEY"}
    assert "sk-secret" not in answer.out


def test_a_configuration_and_what_it_amounts_to(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('data = "here"\n')
    answer = modelog("--config", "mine.toml", "status", "--config", cwd=tmp_path)

    assert answer.json["data"] == str(tmp_path / "here")
    assert not DataDirectory(tmp_path / "here").path.exists()
