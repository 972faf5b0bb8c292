"""A small log with a past: what two providers listed, and what modelog did for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from events.audit import AuditEvent, RefreshStarted, RefreshSucceeded
from events.codec import FactEvent
from events.envelope import Message, Stored, seal
from events.models import CapabilityGained, ModelAdded, ModelMissing, ModelRemoved, ModelUpdated
from events.providers import ProviderRegistered
from events.record import Change, ModelRecord
from events.subjects import AUDIT, FACTS
from projections.database import open_writer
from projections.fold import Folder
from services.clock import new_id
from services.directory import DataDirectory
from services.jetstream.append import Log
from services.jetstream.connect import Client
from services.jetstream.messages import nanoseconds
from services.jetstream.setup import ensure
from tests.support.nats import connected, running

SOURCE = "/modelog/refresher/test"

FIRST = ModelRecord(
    id="gpt-4.1",
    name="GPT-4.1",
    context_window=128_000,
    capabilities={"chat": True, "vision": False},
    prices={"input": "3", "output": "12"},
    sources={"context_window": "provider", "prices.input": "provider"},
)
CHEAPER = ModelRecord(
    id="gpt-4.1",
    name="GPT-4.1",
    context_window=128_000,
    capabilities={"chat": True, "vision": False},
    prices={"input": "2.5", "output": "12"},
    sources={"context_window": "provider", "prices.input": "provider"},
)
HOSTILE = ModelRecord(id="evil\x1b[31m/m:1", name="[bold]Evil\x9b[/bold]")


def registered(provider: str, at: str) -> ProviderRegistered:
    return ProviderRegistered(
        at=at,
        provider=provider,
        dialect="openai",
        base_url=f"https://api.{provider}.example/v1",
        enabled=True,
        priority=0,
        origin="config",
        credential={"env": "ACME_KEY"},
    )


ACME: list[tuple[str, list[FactEvent]]] = [
    ("provider", [registered("acme", "2026-01-01T00:00:00.000Z")]),
    (
        "model",
        [
            ModelAdded(at="2026-01-01T00:00:01.000Z", provider="acme", model=FIRST),
            CapabilityGained(
                at="2026-01-01T00:00:01.000Z",
                provider="acme",
                model_id="gpt-4.1",
                capability="chat",
            ),
            ModelAdded(at="2026-01-01T00:00:01.000Z", provider="acme", model=HOSTILE),
        ],
    ),
    (
        "model",
        [
            ModelUpdated(
                at="2026-02-01T00:00:00.000Z",
                provider="acme",
                model=CHEAPER,
                changed=[Change("prices.input", "3", "2.5")],
            ),
            ModelMissing(at="2026-02-01T00:00:00.000Z", provider="acme", model_id=HOSTILE.id),
        ],
    ),
    (
        "model",
        [
            ModelRemoved(
                at="2026-03-01T00:00:00.000Z",
                provider="acme",
                model_id=HOSTILE.id,
                missing_since="2026-02-01T00:00:00.000Z",
                scans=3,
                reason="delisted",
                model=HOSTILE,
            )
        ],
    ),
]
"""What happened, one append a line: families and their facts, seven in all."""
TOLD: list[FactEvent] = [fact for _, facts in ACME for fact in facts]
FACTS_TOLD = len(TOLD)


def runs(at: str, run_id: str, *, models: int) -> list[AuditEvent]:
    return [
        RefreshStarted(at=at, provider="acme", run_id=run_id),
        RefreshSucceeded(
            at=at,
            provider="acme",
            run_id=run_id,
            models=models,
            attempts=1,
            complete=True,
            duration_ms=1234,
        ),
    ]


def sealed(events: Sequence[FactEvent | AuditEvent], run_id: str | None = None) -> list[Message]:
    return [seal(one, id=new_id(), source=SOURCE, correlation_id=run_id) for one in events]


async def tell(nc: Client, told: Sequence[tuple[str, list[FactEvent]]] = ACME) -> None:
    """Append *told* to the log, each with a run around it."""
    await ensure(nc, audit_max_age=None, monitor_url=None)
    log = await Log.open(nc)
    for number, (family, facts) in enumerate(told):
        run_id = f"run-{number}"
        started, ended = sealed(runs(facts[0].at, run_id, models=len(facts)), run_id)
        await log.record([started])
        expected = await log.last(family, facts[0].provider)
        await log.append(
            sealed(facts, run_id), family=family, provider=facts[0].provider, expected=expected
        )
        await log.record([ended])


def stored_log(data: Path) -> None:
    """Leave a log in the data directory, and no server."""

    async def leave() -> None:
        async with running(DataDirectory(data).nats_store) as server, connected(server.url) as nc:
            await tell(nc)

    asyncio.run(leave())


def stored(events: Sequence[FactEvent | AuditEvent], run_id: str) -> list[Stored]:
    """What a stream holds that begins with *events*, recorded as they were seen."""
    messages = sealed(events, run_id)
    return [
        Stored(seq, one.subject, nanoseconds(one.event.at), one.headers, one.payload)
        for seq, one in enumerate(messages, 1)
    ]


def catalogue(
    data: Path,
    facts: Sequence[FactEvent] = TOLD,
    operations: Sequence[AuditEvent] = (),
) -> Path:
    """Leave a catalogue in the data directory, and neither log nor server."""
    generation = open_writer(DataDirectory(data).catalogue)
    folder = Folder(generation.db, {FACTS: "epoch-1", AUDIT: "epoch-2"})
    folder.fold(FACTS, stored(facts, "run"))
    folder.fold(AUDIT, stored(operations, "run"))
    generation.finish()
    generation.close()
    return data
