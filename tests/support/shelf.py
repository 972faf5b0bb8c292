"""A catalogue with two providers, a past, and what can be hard to show."""

from __future__ import annotations

import msgspec

from events.audit import AuditEvent, Failure, RefreshFailed, RefreshStarted, RefreshSucceeded
from events.codec import FactEvent
from events.decide.absence import lost, removed
from events.decide.known import KnownModel
from events.models import CapabilityGained, ModelAdded, ModelMissing, ModelUpdated
from events.providers import ProviderRegistered
from events.record import Lifecycle, ModelRecord, differences
from tests.support.logs import registered

OLD = "2026-01-01T00:00:00.000Z"
MIDDLE = "2026-02-01T00:00:00.000Z"
NEW = "2026-03-01T00:00:00.000Z"


def record(id: str, **fields: object) -> ModelRecord:
    return ModelRecord(id=id, name=str(fields.pop("name", id)), **fields)  # type: ignore[arg-type]  # an example


GPT = record(
    "gpt-4.1",
    name="GPT-4.1",
    owned_by="openai",
    family="gpt",
    description="A capable model. " * 12,
    created="2025-04-14",
    knowledge_cutoff="2024-06",
    context_window=1_047_576,
    max_output_tokens=32_768,
    input_modalities=["image", "text"],
    output_modalities=["text"],
    capabilities={"chat": True, "tools": True, "vision": True, "reasoning": False},
    prices={"input": "2", "output": "8", "cache_read": "0.5", "image": "0.04"},
    aliases=["gpt-4.1-2025-04-14"],
    open_weights=False,
    sources={"context_window": "provider", "prices.input": "models.dev"},
)
CHEAP_GPT = record(
    "gpt-4.1",
    name="GPT-4.1",
    owned_by="openai",
    context_window=1_000_000,
    capabilities={"chat": True},
    prices={"input": "2.1", "output": "8.4"},
)
OLD_MODEL = record(
    "davinci-002",
    lifecycle=Lifecycle(
        state="deprecated",
        deprecated_on="2026-01-10",
        retires_on="2026-09-01",
        replacement="gpt-4.1",
    ),
    capabilities={"completion": True},
    prices={"input": "0.0375"},
)
HOSTILE = record("evil\x1b[31m/x\u202e:1", name="[red]\x9bEvil[/red]", description="a\x07b\r\nc")
LONG = record(
    "accounts/fireworks/models/a-model-with-a-very-long-name-indeed-v3p1-instruct-basic",
    context_window=131_072,
    capabilities={"chat": True, "embeddings": True},
)
WIDE = record("通义千问-plus", name="通义千问", context_window=32_000)
GONE = record("gone", capabilities={"chat": True})
FADING = record("fading")
DEARER = msgspec.structs.replace(GPT, prices={**GPT.prices, "input": "2.5"})


def added(provider: str, model: ModelRecord, at: str) -> list[FactEvent]:
    gained = [
        CapabilityGained(at=at, provider=provider, model_id=model.id, capability=name)
        for name, known in sorted(model.capabilities.items())
        if known
    ]
    return [ModelAdded(at=at, provider=provider, model=model), *gained]


def disabled(provider: str, at: str) -> ProviderRegistered:
    return ProviderRegistered(
        at=at,
        provider=provider,
        dialect="anthropic",
        base_url="https://api.anthropic.com/v1",
        enabled=False,
        priority=3,
        origin="config",
    )


FACTS: list[FactEvent] = [
    registered("openai", OLD),
    registered("router", OLD),
    *added("openai", GPT, OLD),
    *added("openai", OLD_MODEL, OLD),
    *added("openai", GONE, OLD),
    *added("router", CHEAP_GPT, OLD),
    *added("router", HOSTILE, OLD),
    *added("router", LONG, OLD),
    *added("router", WIDE, OLD),
    *added("router", FADING, OLD),
    ModelUpdated(at=MIDDLE, provider="openai", model=DEARER, changed=differences(GPT, DEARER)),
    ModelMissing(at=MIDDLE, provider="router", model_id="fading"),
    *removed("openai", KnownModel(GONE, MIDDLE, 3), NEW, reason="delisted"),
    disabled("anthropic", NEW),
]
assert lost("openai", GONE, NEW)[0] in FACTS

OPERATIONS: list[AuditEvent] = [
    RefreshStarted(at=OLD, provider="openai", run_id="run-1"),
    RefreshSucceeded(
        at=OLD, provider="openai", run_id="run-1", models=3, added=3, attempts=1, complete=True,
        duration_ms=412, observed_at=OLD,
    ),
    RefreshStarted(at=NEW, provider="router", run_id="run-2", force=True, reason="command"),
    RefreshFailed(
        at=NEW, provider="router", run_id="run-2", attempts=3, duration_ms=31_000,
        error=Failure(class_="credential", message="the key was\x1b[2J refused", status=401),
    ),
]  # fmt: skip
