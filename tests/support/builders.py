"""Events as the log holds them, catalogues folded from them, and worlds of a few providers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import msgspec
from hypothesis import strategies as st

from events.audit import AuditEvent, RefreshStarted
from events.base import later
from events.codec import FactEvent
from events.decide.models import Policy, unregister
from events.decide.providers import Settings, register
from events.envelope import Stored, seal
from events.models import CapabilityGained, ModelAdded, ModelMissing, ModelReturned, ModelUpdated
from events.providers import ProviderSchemaChanged, ProviderUnregistered
from events.record import ModelRecord, differences
from events.subjects import AUDIT, FACTS
from projections import Catalogue
from projections.database import Generation, furnish, open_writer
from projections.fold import Folder
from tests.support.runs import live
from tests.support.strategies import START, histories

EPOCHS = {FACTS: "epoch-1", AUDIT: "epoch-2"}
DAYS = tuple(later(START, timedelta(days=day)) for day in range(10))
"""Instants a day apart, the first one `START`."""


def record(id: str = "m", **fields: object) -> ModelRecord:
    """Return a record whose name is its id, where no other is given."""
    return msgspec.structs.replace(ModelRecord(id=id, name=id), **fields)


def added(model: ModelRecord, *, at: str = START, provider: str = "acme") -> list[FactEvent]:
    """Return the addition of *model*, with its capabilities behind it."""
    gained = [
        CapabilityGained(at=at, provider=provider, model_id=model.id, capability=name)
        for name, known in sorted(model.capabilities.items())
        if known
    ]
    return [ModelAdded(at=at, provider=provider, model=model), *gained]


def updated(old: ModelRecord, new: ModelRecord, *, at: str, provider: str = "acme") -> ModelUpdated:
    return ModelUpdated(at=at, provider=provider, model=new, changed=differences(old, new))


def missing(id: str = "m", *, at: str, provider: str = "acme") -> ModelMissing:
    return ModelMissing(at=at, provider=provider, model_id=id)


def returned(id: str = "m", *, at: str, since: str, provider: str = "acme") -> ModelReturned:
    return ModelReturned(at=at, provider=provider, model_id=id, missing_since=since)


def configured(
    old: Settings | None = None, *, at: str = START, name: str = "acme", **fields: object
) -> FactEvent:
    """Return the registration of a provider, or its new settings after *old* ones."""
    plain = Settings(name=name, dialect="openai", base_url=f"https://{name}.example/v1")
    registry = {} if old is None else {name: old}
    event = register(registry, msgspec.structs.replace(plain, **fields), at)
    assert event is not None
    return event


def stored(events: Iterable[FactEvent | AuditEvent], *, after: int = 0) -> list[Stored]:
    """Return *events* as a stream holds them behind sequence *after*."""
    sealed = (
        seal(event, id=f"id-{seq}", source="/modelog/refresher/test")
        for seq, event in enumerate(events, after + 1)
    )
    return [
        Stored(seq, one.subject, 0, one.headers, one.payload)
        for seq, one in enumerate(sealed, after + 1)
    ]


def raw(seq: int, payload: bytes, subject: str = "log.model.acme.renamed.m") -> Stored:
    """Return a message of any content."""
    return Stored(seq, subject, 0, {"Nats-Msg-Id": f"id-{seq}", "ce-id": f"id-{seq}"}, payload)


def empty() -> sqlite3.Connection:
    """Return the tables of a catalogue in memory: no file, no index, no words."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    furnish(db)
    return db


def folder(db: sqlite3.Connection) -> Folder:
    return Folder(db, EPOCHS)


def told(
    path: Path, facts: Sequence[FactEvent] = (), operations: Sequence[AuditEvent] = ()
) -> Generation:
    """Return the catalogue at *path*, finished and open to write, with these events folded."""
    generation = open_writer(path)
    fold = folder(generation.db)
    fold.fold(FACTS, stored(facts))
    fold.fold(AUDIT, stored(operations))
    generation.finish()
    return generation


@contextmanager
def catalogue(
    facts: Sequence[FactEvent] = (), operations: Sequence[AuditEvent] = ()
) -> Iterator[Catalogue]:
    """Open a catalogue of these events to read, in a folder of its own."""
    with TemporaryDirectory() as name:
        path = Path(name) / "catalogue.db"
        told(path, facts, operations).close()
        with Catalogue.open(path) as opened:
            yield opened


def rows(db: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table and view, the words of the full text apart."""
    names = db.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
        " AND name NOT LIKE 'models_fts%' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return {
        name: sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=repr)  # noqa: S608 - ours
        for (name,) in names
    }


class World(NamedTuple):
    """What happened to some providers, and what modelog did: each in the order of its stream."""

    facts: list[FactEvent]
    operations: list[AuditEvent]


PROVIDERS = ("acme", "beta")
_policy = Policy(removal_scans=2, removal_hold=timedelta(hours=1))
Course = Literal["stays", "changes", "goes"]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Return what two providers lived through, told in any order that keeps each one's own."""
    lives = [draw(_life(provider)) for provider in PROVIDERS]
    return World(
        draw(_merged([life.facts for life in lives])),
        draw(_merged([life.operations for life in lives])),
    )


@st.composite
def _life(draw: st.DrawFn, provider: str) -> World:
    facts: list[FactEvent] = [configured(name=provider)]
    operations: list[AuditEvent] = []
    course: Course = draw(st.sampled_from(["stays", "changes", "goes"]))
    lived = live(draw(histories), _policy)
    for number, one in enumerate(lived):
        run_id = f"{provider}-{number}"
        facts += [msgspec.structs.replace(fact, provider=provider) for fact in one.facts]
        outcome = msgspec.structs.replace(one.outcome, provider=provider, run_id=run_id)
        operations += [RefreshStarted(at=one.at, provider=provider, run_id=run_id), outcome]
    end = lived[-1].at if lived else START
    if course == "changes":
        old = Settings(name=provider, dialect="openai", base_url=f"https://{provider}.example/v1")
        facts.append(configured(old, at=end, name=provider, enabled=False))
        facts.append(
            ProviderSchemaChanged(
                at=end, provider=provider, added_fields=["x"], removed_fields=[], models=3
            )
        )
    elif course == "goes":
        facts += unregister(lived[-1].after, provider, end) if lived else []
        facts.append(ProviderUnregistered(at=end, provider=provider, reason="config"))
    return World(facts, operations)


@st.composite
def _merged(draw: st.DrawFn, told: list[list[Any]]) -> list[Any]:
    """Return the events of each list in their order, and the lists between one another in any."""
    turns = [number for number, events in enumerate(told) for _ in events]
    streams = [iter(events) for events in told]
    return [next(streams[turn]) for turn in draw(st.permutations(turns))]


@st.composite
def batches(draw: st.DrawFn, events: list[Stored]) -> list[list[Stored]]:
    """Return *events* cut into batches at any places."""
    places = st.lists(st.integers(0, len(events)), max_size=5)
    cuts = sorted({0, len(events), *draw(places)})
    return [events[start:end] for start, end in pairwise(cuts)]
