"""How fast a catalogue of many models answers, in Python and over NATS, and how large it is.

    MODELS=100000 python benchmarks/catalogue.py [FILE]

Made-up events are folded straight into a file, which is kept where FILE is named and taken as it is
where it exists. The same questions go to a plain dict of the same records, and to the same models
as a JSON file of the shape of LiteLLM's price map, loaded into memory; neither knows a past.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from benchmarks import made
from events.envelope import Stored, seal
from events.models import ModelEvent
from events.subjects import AUDIT, FACTS
from projections import Catalogue, ModelFilter
from projections.database import open_writer
from projections.fold import Folder
from projections.rows import Model
from services.clock import Clock
from services.jetstream.connect import Client, close, connect
from services.jetstream.server import Server
from services.projector.queries import answering

MODELS = int(os.environ.get("MODELS", "100000"))
EACH = 1_000
"""Models of a provider."""
TURNS = 3
TIMES = 200
PAGE = 100
MILLI = 1_000


class Timed(NamedTuple):
    """Milliseconds of a question, and how many rows it found at most."""

    p50: float
    p99: float
    rows: int

    def __str__(self) -> str:
        return f"{self.p50:8.2f} {self.p99:8.2f}"


Question = Callable[[Random], Any]


def build(path: Path) -> tuple[int, float]:
    """Fold the lives of `MODELS` models into *path*; return the events and the seconds."""
    generation = open_writer(path)
    folder = Folder(generation.db, {FACTS: "bench", AUDIT: "bench"})
    seq, seconds = 0, 0.0
    for provider in range(MODELS // EACH):
        for batch in made.events(f"provider-{provider:03}", EACH, TURNS):
            told = list(_stored(batch, seq))
            began = time.perf_counter()
            folder.fold(FACTS, told)
            seconds += time.perf_counter() - began
            seq += len(batch)
    began = time.perf_counter()
    generation.finish()
    generation.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    seconds += time.perf_counter() - began
    generation.close()
    return seq, seconds


def _stored(batch: list[ModelEvent], after: int) -> Iterator[Stored]:
    for seq, event in enumerate(batch, after + 1):
        one = seal(event, id=f"id-{seq}", source="/modelog/refresher/bench")
        yield Stored(seq, one.subject, 0, one.headers, one.payload)


def timed(question: Question, times: int = TIMES) -> Timed:
    """Ask *times* times, each about something else."""
    random = Random(1)  # noqa: S311 - the same questions at every run
    found, most = [], 0
    for _ in range(times):
        began = time.perf_counter()
        answer = question(random)
        found.append(time.perf_counter() - began)
        most = max(most, len(answer) if isinstance(answer, list) else 1)
    return _timed(found, most)


async def timed_over(ask: Callable[[Random], Awaitable[int]], times: int = TIMES) -> Timed:
    """Ask over NATS, otherwise the same."""
    random = Random(1)  # noqa: S311 - as above
    found, most = [], 0
    for _ in range(times):
        began = time.perf_counter()
        most = max(most, await ask(random))
        found.append(time.perf_counter() - began)
    return _timed(found, most)


def _timed(seconds: list[float], rows: int) -> Timed:
    ordered = sorted(seconds)
    return Timed(
        ordered[len(ordered) // 2] * MILLI, ordered[len(ordered) * 99 // 100] * MILLI, rows
    )


def _provider(random: Random) -> str:
    return f"provider-{random.randrange(MODELS // EACH):03}"


def _about(random: Random) -> tuple[str, str]:
    provider, number = _provider(random), random.randrange(EACH)
    return provider, f"{provider}/model-{number}.{number % 7}:free"


class Case(NamedTuple):
    """A question as the catalogue is asked it, and as Python asks a list of records."""

    said: dict[str, Any]
    wanted: ModelFilter
    fits: Callable[[Any], bool]


NARROW, MIDDLE, WIDE = 131_072 + EACH - 5, 131_500, 131_072
DEAR, HALF, CHEAP = 0.9, 0.5, 0.02
CASES: dict[str, Case] = {
    "provider": Case(
        {"provider": "provider-007"},
        ModelFilter(provider="provider-007"),
        lambda one: one.provider == "provider-007",
    ),
    "capability": Case(
        {"capability": "vision"},
        ModelFilter(capability_all=("vision",)),
        lambda one: one.capabilities.get("vision") is True,
    ),
    "two capabilities": Case(
        {"capability": ["vision", "reasoning"]},
        ModelFilter(capability_all=("vision", "reasoning")),
        lambda one: all(one.capabilities.get(name) for name in ("vision", "reasoning")),
    ),
    "any capability": Case(
        {"any_capability": ["vision", "reasoning"]},
        ModelFilter(capability_any=("vision", "reasoning")),
        lambda one: any(one.capabilities.get(name) for name in ("vision", "reasoning")),
    ),
    "a capability of none": Case(
        {"capability": "realtime"},
        ModelFilter(capability_all=("realtime",)),
        lambda one: one.capabilities.get("realtime") is True,
    ),
    "modality": Case(
        {"modality": "image"},
        ModelFilter(modality="image"),
        lambda one: "image" in one.input_modalities + one.output_modalities,
    ),
    "a modality of none": Case(
        {"modality": "audio"},
        ModelFilter(modality="audio"),
        lambda one: "audio" in one.input_modalities + one.output_modalities,
    ),
    "context, most": Case(
        {"min_context": WIDE},
        ModelFilter(min_context=WIDE),
        lambda one: (one.context_window or 0) >= WIDE,
    ),
    "context, few": Case(
        {"min_context": NARROW},
        ModelFilter(min_context=NARROW),
        lambda one: (one.context_window or 0) >= NARROW,
    ),
    "price, most": Case(
        {"max_input_price": DEAR},
        ModelFilter(max_input_price=DEAR),
        lambda one: one.price_input is not None and one.price_input <= DEAR,
    ),
    "price, few": Case(
        {"max_input_price": CHEAP},
        ModelFilter(max_input_price=CHEAP),
        lambda one: one.price_input is not None and one.price_input <= CHEAP,
    ),
    "life cycle, all": Case(
        {"lifecycle": "active"},
        ModelFilter(lifecycle="active"),
        lambda one: one.lifecycle_state == "active",
    ),
    "life cycle, none": Case(
        {"lifecycle": "retired"},
        ModelFilter(lifecycle="retired"),
        lambda one: one.lifecycle_state == "retired",
    ),
    "availability": Case(
        {"availability": "missing"},
        ModelFilter(availability="missing"),
        lambda one: one.availability == "missing",
    ),
    "all of it": Case(
        {
            "capability": "tools",
            "modality": "image",
            "min_context": MIDDLE,
            "max_input_price": HALF,
            "availability": "listed",
        },
        ModelFilter(
            capability_all=("tools",),
            modality="image",
            min_context=MIDDLE,
            max_input_price=HALF,
            availability="listed",
        ),
        lambda one: (
            one.capabilities.get("tools") is True
            and "image" in one.input_modalities
            and one.context_window >= MIDDLE
            and (one.price_input or 9) <= HALF
            and one.availability == "listed"
        ),
    ),
    "sorted by price": Case(
        {"sort": "price_input"}, ModelFilter(sort="price_input"), lambda _: True
    ),
    "capability by context": Case(
        {"capability": "vision", "sort": "-context_window"},
        ModelFilter(capability_all=("vision",), sort="-context_window"),
        lambda one: one.capabilities.get("vision") is True,
    ),
    "text, few": Case(
        {"text": "provider-007 model-77"},
        ModelFilter(text="provider-007 model-77"),
        lambda one: "provider-007" in one.id and "model-77" in one.id,
    ),
    "text, many": Case(
        {"text": "family-7"}, ModelFilter(text="family-7"), lambda one: one.family == "family-7"
    ),
}


def _scan(records: list[Any], case: Case) -> list[Any]:
    """Ask plain Python: a scan until the page is full, or a sort of what fits."""
    if (sort := case.wanted.sort) is None:
        found = []
        for one in records:
            if case.fits(one):
                found.append(one)
                if len(found) == PAGE:
                    break
        return found
    name, down = sort.removeprefix("-"), sort.startswith("-")
    fitting = [one for one in records if case.fits(one)]
    return sorted(fitting, key=lambda one: getattr(one, name) or 0, reverse=down)[:PAGE]


def litellm(models: list[Model], path: Path) -> dict[str, dict[str, Any]]:
    """Write *models* as a price map, and load it as its users do."""
    file = path.with_suffix(".json")
    file.write_text(
        json.dumps(
            {
                f"{one.provider}/{one.id}": {
                    "litellm_provider": one.provider,
                    "mode": "chat",
                    "max_input_tokens": one.context_window,
                    "max_output_tokens": one.max_output_tokens,
                    "input_cost_per_token": (one.price_input or 0) / 1e6,
                    "output_cost_per_token": (one.price_output or 0) / 1e6,
                    **{f"supports_{name}": known for name, known in one.capabilities.items()},
                }
                for one in models
            }
        )
    )
    loaded: dict[str, dict[str, Any]] = json.loads(file.read_text())
    return loaded


async def over_nats(nc: Client, name: str, **said: object) -> int:
    """Ask the query service; return how many items came."""
    answer = await nc.request(f"rpc.modelog.query.{name}", msgspec.json.encode(said), timeout=20)
    return len(msgspec.json.decode(answer.data)["items"])


async def main(path: Path, size: int) -> None:
    """Print the table, and what the file takes."""
    async with AsyncExitStack() as stack:
        server = await Server.start(path.parent / "nats")
        stack.push_async_callback(server.stop)
        nc = await connect(server.url, role="bench")
        stack.push_async_callback(close, nc)
        await stack.enter_async_context(answering(nc, path, Clock()))
        opened = stack.enter_context(Catalogue.open(path))
        await compare(opened, nc, path, size)


async def compare(opened: Catalogue, nc: Client, path: Path, size: int) -> None:
    """Ask each question in every way."""
    seq = opened.seq()
    then = seq - seq // (2 * MODELS // EACH)  # the last provider has half of its life before it
    models = opened.search()
    plain = {(one.provider, one.id): one for one in models}
    prices = litellm(models, path)
    each, event = size / len(models), size / seq
    print(f"{size / 1e6:,.0f} MB: {each:,.0f} bytes a model, {event:,.0f} an event")
    print(f"{len(models):,} models, {seq:,} facts; milliseconds, p50 and p99; pages of {PAGE}")
    print(f"{'':24}{'rows':>5} {'Python':>17} {'over NATS':>17} {'as of':>17} {'a dict':>17}")

    ask = partial(over_nats, nc)
    _show(
        "get",
        timed(lambda random: opened.get(*_about(random)), 1_000),
        await timed_over(lambda random: ask("model", **_named(random)), 1_000),
        timed(lambda random: opened.get(*_about(random), as_of=then), 1_000),
        timed(lambda random: plain.get(_about(random)), 1_000),
    )
    for name, case in CASES.items():
        wanted = msgspec.structs.replace(case.wanted, limit=PAGE)
        past = partial(opened.search, wanted, as_of=then)
        _show(
            name,
            timed(_always(partial(opened.search, wanted))),
            await timed_over(_always(partial(ask, "models", **case.said, limit=PAGE))),
            timed(_always(past), 2 if wanted.text else 50),
            timed(_always(partial(_scan, models, case)), 50),
        )
    for name, first in (("diff, one provider", then), ("diff, a tenth", seq * 9 // 10)):
        _show(
            name,
            timed(_always(partial(opened.diff, first, seq)), 10),
            await timed_over(_always(partial(ask, "diff", **{"from": first}, limit=PAGE)), 20),
        )
    print("LiteLLM's shape, in memory")
    _show("get", timed(lambda random: prices.get("/".join(_about(random))), 1_000))
    _show("capability", timed(_always(partial(_priced, prices, "supports_vision", 1)), 20))
    _show("context, few", timed(_always(partial(_priced, prices, "max_input_tokens", NARROW)), 20))


def _named(random: Random) -> dict[str, str]:
    provider, id_ = _about(random)
    return {"provider": provider, "id": id_}


def _priced(prices: dict[str, dict[str, Any]], key: str, least: float) -> list[dict[str, Any]]:
    """Ask a price map as its users do: a scan of the whole of it."""
    return [one for one in prices.values() if (one.get(key) or 0) >= least][:PAGE]


def _always(question: Callable[[], Any]) -> Callable[[Random], Any]:
    """Return *question* as one that asks the same each time."""
    return lambda _: question()


def _show(name: str, ours: Timed, *others: Timed) -> None:
    cells = "".join(f" {one}" for one in others)
    print(f"{name:24}{ours.rows:5} {ours}{cells}", flush=True)


def measure(path: Path) -> None:
    """Make the catalogue where there is none, and ask it."""
    if not path.exists():
        events, seconds = build(path)
        print(f"{events:,} events folded in {seconds:.1f} s, indexes and words included")
    asyncio.run(main(path, path.stat().st_size))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder) / "catalogue.db")
