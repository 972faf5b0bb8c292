"""What is written of modelog is true of it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from docs import generate, words
from events.codec import types
from projections import Catalogue
from services import config
from services.cli import COMMANDS, GROUPS, command_of, run
from services.health_settings import HEALTH
from services.provider_settings import PROVIDER
from services.providers import DIALECTS
from services.providers.table import BUILTIN
from services.sections import ENRICHMENT, NATS, REFRESH, ROOT
from tests.support import shelf
from tests.support.cli import ROOT as CHECKOUT
from tests.support.cli import environment
from tests.support.logs import catalogue

DOCS = CHECKOUT / "docs"
README = (CHECKOUT / "README.md").read_text("utf-8")
PAGES = sorted([*CHECKOUT.glob("*.md"), *DOCS.rglob("*.md")])
SETTINGS = {
    "At the top": ROOT,
    "`[nats]`": NATS,
    "`[refresh]`": REFRESH,
    "`[enrichment]`": ENRICHMENT,
    "`[[providers]]`": PROVIDER,
    "`[health]`": HEALTH,
}


def read(page: str) -> str:
    return (DOCS / page).read_text("utf-8")


def section(page: str, title: str) -> str:
    """Return what stands below the heading *title*, empty where there is none."""
    return f"\n{read(page)}\n## ".partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def shell(text: str) -> Iterator[str]:
    """Yield every command of a block for the shell; quotes may span lines."""
    for block in blocks(text, "sh"):
        yield from block.splitlines()
    for block in blocks(text, "console"):
        for told in f"\n{block}".split("\n$ ")[1:]:
            lines = told.splitlines()
            yield next(
                command
                for count in range(1, len(lines) + 1)
                if whole(command := "\n".join(lines[:count]))
            )


def whole(command: str) -> bool:
    """Tell whether every quote in *command* is closed."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every `modelog` in *text*; `a|b` stands for two of them."""
    indented = re.findall(r"^    (?:\.venv/bin/)?modelog .+$", text, flags=re.MULTILINE)
    inline = re.findall(r"`(?:\.venv/bin/)?(modelog [^`]+)`", text)
    for line in [*shell(text), *indented, *inline]:
        called, *arguments = shlex.split(line, comments=True)
        if called.endswith("modelog"):
            yield from map(list, product(*(word.split("|") for word in arguments)))


def called(page: Path) -> list[str]:
    """Return the commands that *page* calls, quoted for the shell."""
    return sorted({shlex.join(one) for one in commands(page.read_text("utf-8"))})


WRITTEN = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
CALLED = sorted({line for page in WRITTEN for line in called(page)})


def test_what_is_made_from_the_code_is_current() -> None:
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"],
        cwd=CHECKOUT,
        env=environment(COLUMNS="40"),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_stale_page_is_named_and_mended(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in generate.PAGES:
        shutil.copy(DOCS / page, tmp_path)
    text = (tmp_path / name).read_text("utf-8")
    made = "| --- |" if "| --- |" in text else "Usage: "
    (tmp_path / name).write_text(text.replace(made, "", 1), "utf-8")

    assert generate.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err == f"{tmp_path / name} is stale; run `make docs`\n"
    assert generate.main([], tmp_path) == 0
    assert (tmp_path / name).read_text("utf-8") == text


@pytest.mark.parametrize("tag", types())
def test_every_event_is_documented_with_a_sample(tag: str) -> None:
    told = section("events.md", tag)

    assert "Subject: `modelog." in told
    assert f'"type": "{tag}"' in told
    for field in types()[tag].__struct_encode_fields__:
        assert f"| `{field}` |" in told


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    assert f"Usage: modelog {name} " in section("cli.md", f"modelog {name}")


@pytest.mark.parametrize(
    ("title", "key"), [(title, key) for title, reads in SETTINGS.items() for key in reads]
)
def test_every_setting_is_documented(title: str, key: str) -> None:
    assert f"| `{key}` |" in section("settings.md", title)


def test_no_setting_is_documented_that_there_is_not() -> None:
    known = {f"{name}{key}" for name, reads, _ in generate.SECTIONS.values() for key in reads}

    assert set(words.MEANINGS) == known
    assert set(words.DEFAULTS) <= known


def test_every_table_and_view_is_documented_with_its_columns(tmp_path: Path) -> None:
    with Catalogue.open(catalogue(tmp_path) / "catalogue.db") as opened:
        listed = opened.query(
            "SELECT t.name, c.name FROM pragma_table_list AS t, pragma_table_info(t.name) AS c"
            " WHERE t.schema = 'main' AND t.type <> 'shadow' AND t.name NOT LIKE 'sqlite_%'"
        ).rows

    assert listed
    for table, column in listed:
        assert f"| `{column}` |" in section("catalogue.md", table), f"{table}.{column}"


@pytest.mark.parametrize("question", words.QUERIES)
def test_the_questions_to_the_catalogue_have_answers(question: str, tmp_path: Path) -> None:
    path = catalogue(tmp_path, shelf.FACTS, shelf.OPERATIONS) / "catalogue.db"
    with Catalogue.open(path) as opened:
        answer = opened.query(words.QUERIES[question])

    assert answer.rows


@pytest.mark.parametrize("name", BUILTIN)
def test_every_provider_is_documented(name: str) -> None:
    row = BUILTIN[name]
    line = next(
        line for line in read("providers.md").splitlines() if line.startswith(f"| {name} |")
    )

    for told in (row.dialect, row.base_url, *row.keys, *row.models_dev, row.auto):
        assert told in line


def test_the_readme_lists_every_command_and_no_other() -> None:
    told = README.partition("\n## Commands\n")[2].partition("\n## ")[0]
    rows = [line for line in told.splitlines() if line.startswith("| ") and "`modelog`" not in line]

    assert sorted(re.findall(r"`([a-z ]+)`", "\n".join(rows))) == sorted(COMMANDS)


@pytest.mark.parametrize("line", CALLED)
def test_every_command_that_is_written_down_is_one(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option that does not exist is refused, also beside --help."""
    arguments = shlex.split(line)

    assert command_of(arguments) in COMMANDS or arguments[0] in GROUPS
    assert run([*arguments, "--help"]) == 0
    assert "Usage: modelog" in capsys.readouterr().out


def test_commands_are_found_in_what_is_written() -> None:
    assert {"up", "watch", "query", "models", "replay"} <= {
        line.partition(" ")[0] for line in CALLED
    }
    assert {"models diff", "models validate"} <= set(CALLED)


def test_the_sql_of_the_readme_is_answered(tmp_path: Path) -> None:
    asked = [arguments[1] for arguments in commands(README) if arguments[0] == "query"]
    path = catalogue(tmp_path, shelf.FACTS, shelf.OPERATIONS) / "catalogue.db"
    with Catalogue.open(path) as opened:
        columns = [opened.query(sql).columns for sql in asked if sql != "SQL"]

    assert columns == [
        ["provider", "model_id", "was", "is_now", "day"],
        ["provider", "status", "cause", "effective_at", "until"],
    ]


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    catalogue(tmp_path / ".modelog", shelf.FACTS, shelf.OPERATIONS)
    (snippet,) = blocks(README, "python")
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert (done.stdout, done.stderr) == ("openai gpt-4.1 2.5\n", "")


def test_the_configuration_of_the_readme_is_allowed(tmp_path: Path) -> None:
    (example,) = blocks(README, "toml")
    file = tmp_path / "modelog.toml"
    file.write_text(example, "utf-8")
    found = config.load(file, environ={}, cwd=tmp_path)

    assert [one.name for one in found.providers] == ["openai", "acme"]
    assert {one.dialect for one in found.providers} <= set(DIALECTS)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_target_of_make_that_is_written_down_is_one(page: Path) -> None:
    makefile = (CHECKOUT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    told = re.findall(r"(?:^    |`|&& )make ([a-z-]+)", page.read_text("utf-8"), flags=re.MULTILINE)

    assert set(told) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_every_relative_link_leads_to_something(page: Path) -> None:
    text = page.read_text("utf-8")
    links = re.findall(r"\]\((?!https?://)([^)\s]+)\)", text)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}

    for link in links:
        path, _, anchor = link.partition("#")
        assert (page.parent / path).exists() if path else anchor in anchors, link


def test_the_changelog_has_a_section_for_what_is_to_come() -> None:
    changes = (CHECKOUT / "CHANGELOG.md").read_text("utf-8")

    assert re.search(r"^## Unreleased$", changes, flags=re.MULTILINE)
