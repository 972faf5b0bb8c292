"""The dialects against recorded answers of real providers, where a folder of them is beside us."""

import json
from collections import Counter
from pathlib import Path
from unicodedata import category

import msgspec
import pytest
import zstandard

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers import DIALECTS, Page
from services.providers.table import BUILTIN

FOLDER = Path(__file__).parents[2] / "shared" / "recordings" / "responses"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no recordings beside the checkout")

OPTIONS = {"region": "us-east-1", "account": "a"}
ANSWERS = {
    "anthropic-2025-09-08.json": ("anthropic", 9),
    "baseten-2025-09-08.json.zst": ("baseten", 11),
    "bedrock-foundation-models-us-east-1-2026-01-01.json.zst": ("bedrock", 126),
    "bedrock-inference-profiles-us-east-1-2026-01-01.json.zst": ("bedrock", 55),
    "cerebras-2025-09-08.json": ("cerebras", 9),
    "chutes-2025-09-08.json.zst": ("chutes", 66),
    "cloudflare-models-search-assembled.json.zst": ("cloudflare", 7),
    "deepinfra-2025-09-08.json.zst": ("deepinfra", 151),
    "deepseek-2025-09-08.json": ("deepseek", 2),
    "featherless-2025-09-08.json.zst": ("featherless", 6504),
    "fireworks-2025-09-08.json.zst": ("fireworks", 37),
    "friendli-2025-09-08.json.zst": ("friendli", 10),
    "gemini-native-page1-2025-06-25.json.zst": ("gemini", 50),
    "gemini-openai-2025-09-08.json.zst": ("gemini-openai", 62),
    "groq-2025-09-08.json.zst": ("groq", 21),
    "huggingface-2025-09-08.json.zst": ("huggingface", 105),
    "huggingface-router-example-2026-08.json": ("huggingface", 1),
    "infermatic-2025-09-08.json": ("infermatic", 25),
    "lmstudio-api-v0-example.json": ("lmstudio", 3),
    "lmstudio-api-v1-example.json": ("lmstudio", 3),
    "lmstudio-api-v1-fixture-2026-06.json": ("lmstudio", 2),
    "lmstudio-v1-2025-09-08.json.zst": ("lmstudio", 64),
    "mistral-2025-09-08.json.zst": ("mistral", 67),
    "moonshot-2025-09-08.json.zst": ("moonshot", 12),
    "novita-2025-09-08.json.zst": ("novita", 59),
    "nvidia-2026-02-28.json.zst": ("nvidia", 185),
    "ollama-tags-fixture-2026-06.json": ("ollama", 2),
    "openai-2025-09-08.json.zst": ("openai", 83),
    "openrouter-2025-09-08.json.zst": ("openrouter", 326),
    "openrouter-2026-03-10.json.zst": ("openrouter", 346),
    "poe-2025-09-08.json.zst": ("poe", 287),
    "sambanova-2025-09-08.json": ("sambanova", 11),
    "together-2025-09-08.json.zst": ("together", 90),
}


def recorded(name: str) -> bytes:
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{name} is not among the recordings")
    raw = path.read_bytes()
    return (
        zstandard.ZstdDecompressor().decompressobj().decompress(raw)
        if name.endswith("zst")
        else raw
    )


def read(name: str) -> Page:
    provider, _ = ANSWERS[name]
    row = BUILTIN[provider]
    settings = Settings(name=provider, dialect=row.dialect, base_url=row.base_url, options=OPTIONS)
    dialect = DIALECTS[row.dialect]
    urls = dialect.first(settings)
    url = urls[1] if "inference-profiles" in name else urls[0]
    return dialect.parse(recorded(name), url, settings)


def records(name: str) -> dict[str, ModelRecord]:
    return {row.record.id: row.record for row in read(name).rows}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_row_of_a_recorded_answer_is_read(name: str) -> None:
    page = read(name)

    assert (len(page.rows), page.failed, page.unusable) == (ANSWERS[name][1], 0, 0)
    assert page.total in {None, page.sent}


@pytest.mark.parametrize("name", ANSWERS)
def test_only_gemini_s_first_page_has_another(name: str) -> None:
    assert (read(name).next is not None) == name.startswith("gemini-native")


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_known_has_a_source_and_can_be_told(name: str) -> None:
    for row in read(name).rows:
        assert set(row.record.sources.values()) <= {"provider"}
        assert msgspec.json.decode(msgspec.json.encode(row.record), type=ModelRecord) == row.record
        told = row.record.name + (row.record.description or "") + (row.record.owned_by or "")
        assert not [letter for letter in told if category(letter) == "Cc"]


def test_openrouter_s_prices_are_per_million_and_a_route_has_none() -> None:
    models = records("openrouter-2026-03-10.json.zst")

    assert models["google/gemini-2.5-pro"].prices == {
        "input": "1.25",
        "output": "10",
        "image_input": "1.25",
        "audio_input": "1.25",
        "reasoning": "10",
        "cache_read": "0.125",
        "cache_write": "0.375",
    }
    assert models["openrouter/auto"].prices == {}


def test_openrouter_s_images_were_sold_by_the_piece() -> None:
    models = records("openrouter-2025-09-08.json.zst")

    assert models["anthropic/claude-sonnet-4"].prices["image"] == "0.0048"


def test_mistral_s_dates_are_the_time_of_the_answer_and_two_ids_come_twice() -> None:
    rows = read("mistral-2025-09-08.json.zst").rows
    twice = {id_ for id_, times in Counter(row.record.id for row in rows).items() if times > 1}

    assert {row.record.created for row in rows} == {None}
    assert twice == {"voxtral-mini-2507", "voxtral-mini-latest"}


@pytest.mark.parametrize(
    "name",
    ["cerebras-2025-09-08.json", "deepinfra-2025-09-08.json.zst", "infermatic-2025-09-08.json",
     "moonshot-2025-09-08.json.zst", "nvidia-2026-02-28.json.zst", "chutes-2025-09-08.json.zst"],
)  # fmt: skip
def test_dates_that_mean_nothing_are_unknown(name: str) -> None:
    assert {record.created for record in records(name).values()} == {None}


def test_poe_s_milliseconds_are_no_far_future() -> None:
    dates = [record.created or "" for record in records("poe-2025-09-08.json.zst").values()]

    assert "2022-01-01" < min(dates) <= max(dates) < "2025-09-09"


def test_friendli_bills_seven_of_ten_by_the_second() -> None:
    sold = Counter(
        tuple(sorted(record.prices)) for record in records("friendli-2025-09-08.json.zst").values()
    )

    assert sold == {("second",): 7, ("input", "output"): 3}


def test_novita_s_numbers_are_ten_thousandths() -> None:
    models = records("novita-2025-09-08.json.zst")

    assert models["Sao10K/L3-8B-Stheno-v3.2"].prices == {"input": "0.05", "output": "0.05"}


def test_bedrock_s_profiles_are_rows_and_their_models_too() -> None:
    models = records("bedrock-foundation-models-us-east-1-2026-01-01.json.zst")
    profiles = records("bedrock-inference-profiles-us-east-1-2026-01-01.json.zst")

    assert not models.keys() & profiles.keys()
    assert all(record.capabilities == {} for record in profiles.values())
    assert any("embeddings" in record.capabilities for record in models.values())


def test_every_page_that_replicate_sent_is_read() -> None:
    settings = Settings(
        name="replicate",
        dialect="replicate",
        base_url="https://api.replicate.com/v1",
        options={"collections": []},
    )
    dialect = DIALECTS["replicate"]
    exchanges = json.loads(recorded("replicate-models-list-2023-11-15.json.zst"))
    pages = [
        dialect.parse(json.dumps(one["body"]).encode(), one["request"]["uri"], settings)
        for one in exchanges
    ]

    assert sum(len(page.rows) for page in pages) == 25
    assert sum(page.failed + page.unusable for page in pages) == 0
    assert pages[0].next is not None
    assert pages[0].next.startswith("https://api.replicate.com/v1/models?cursor=")
