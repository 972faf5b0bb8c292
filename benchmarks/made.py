"""Made-up providers for the benchmarks: records of real size, and the events of their lives."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from events.base import ProviderName
from events.decide.known import NOTHING, fold
from events.decide.models import Policy, batches, decide
from events.envelope import Message, seal
from events.models import ModelEvent
from events.observation import Observation
from events.record import ModelRecord, stated
from services import clock

MOST = 1_000
CAPABILITIES = ("chat", "tools", "vision", "reasoning", "structured_output", "streaming")
DESCRIPTION = (
    "A mixture-of-experts model for long documents, code and tools, with an effort setting and "
    "a window that holds a book. "
)


def record(provider: str, number: int, turn: int = 0) -> ModelRecord:
    """Return model *number* as it is at *turn*: every tenth one changes its price each turn."""
    price = number % 97 + (turn if number % 10 == 0 else 0) + 1
    made = ModelRecord(
        id=f"{provider}/model-{number}.{number % 7}:free",
        name=f"Model {number}",
        owned_by=provider,
        family=f"family-{number % 40}",
        description=DESCRIPTION * 3,
        created="2026-01-31",
        context_window=131_072 + number,
        max_output_tokens=16_384,
        input_modalities=["image", "text"],
        output_modalities=["text"],
        capabilities={name: (number + place) % 4 > 0 for place, name in enumerate(CAPABILITIES)},
        prices={"input": f"0.{price:02}", "output": f"{price}.5", "cache_read": "0.025"},
        aliases=[f"model-{number}", f"model-{number}-latest"],
    )
    return stated(made, "provider")


def events(provider: str, models: int, turns: int) -> Iterator[list[ModelEvent]]:
    """Yield the batches of a provider that lists *models* models, seen *turns* times."""
    known = NOTHING
    policy = Policy()
    steady = [record(provider, one) for one in range(models)]
    for turn in range(turns):
        at = f"2026-03-{turn % 28 + 1:02}T{turn // 28 % 24:02}:00:00.000Z"
        gone = {number for number in range(models) if (number + turn) % 50 == 0}
        seen = tuple(
            steady[one] if one % 10 else record(provider, one, turn)
            for one in range(models)
            if one not in gone
        )
        decision = decide(known, Observation(ProviderName(provider), at, seen), policy, at)
        known = fold(known, decision.events)
        yield from batches(decision.events, MOST)


def sealed(batch: list[ModelEvent]) -> list[Message]:
    """Put *batch* into envelopes, as a refresher does."""
    run = clock.new_id()
    return [
        seal(event, id=clock.new_id(), source="/modelog/refresher/bench", correlation_id=run)
        for event in batch
    ]


def size(batch: list[Message]) -> int:
    """Return the payload bytes of *batch*."""
    return sum(len(message.payload) for message in batch)


def plain(event: ModelEvent) -> bytes:
    """Return the payload of *event*."""
    return msgspec.json.encode(event)
