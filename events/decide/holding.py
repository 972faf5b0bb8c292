"""A leaf that a provider stops sending keeps its last value for one hold, then it is cleared.

Reduced rows are the reason: a provider that leaves fields out for an hour has changed nothing.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from events.audit import Held
from events.base import Instant, elapsed
from events.decide.known import Hold
from events.record import ModelRecord, leaves, with_leaves

LONGEST = 24_000
"""Bytes of the ids in one group, beyond which it stands for all models that lack its paths."""
MOST = 2 * LONGEST
"""Bytes of all groups, beyond which they are told without any id."""


class Kept(NamedTuple):
    """A record with its held leaves filled in, and since when each of them is held."""

    record: ModelRecord
    since: dict[str, Instant]


def keep(
    old: ModelRecord, new: ModelRecord, holds: tuple[Hold, ...], now: Instant, hold: timedelta
) -> Kept:
    """Return *new* with the leaves that *old* had from the same source and *new* lacks.

    A leaf whose hold has run out stays away.
    """
    unsent = [
        path
        for path, source in old.sources.items()
        if path not in new.sources and source == "provider"
    ]
    if not unsent or not hold:
        return Kept(new, {})
    values = leaves(old)
    since = {path: _since(old.id, path, holds) or now for path in unsent}
    kept: dict[str, tuple[Any, str]] = {
        path: (values[path], "provider")
        for path in unsent
        if path in values and elapsed(since[path], now) < hold
    }
    return Kept(with_leaves(new, kept), {path: since[path] for path in kept})


def _since(id_: str, path: str, holds: tuple[Hold, ...]) -> Instant | None:
    return min(
        (
            hold.since
            for hold in holds
            if path in hold.paths and (not hold.models or id_ in hold.models)
        ),
        default=None,
    )


def carried(id_: str, holds: tuple[Hold, ...]) -> dict[str, Instant]:
    """Return what was held of a model that the list does not show: its holds go on meanwhile.

    Those that stand for all models that lack a path do not say which, and end here.
    """
    since: dict[str, Instant] = {}
    for hold in holds:
        if id_ in hold.models:
            since |= dict.fromkeys(hold.paths, hold.since)
    return since


def grouped(held: dict[str, dict[str, Instant]]) -> list[Held]:
    """Return what is held, by model and path, as the outcome event tells it.

    Models that lack the same paths since the same moment stand together, in the order of their
    ids.
    """
    groups: dict[tuple[Instant, tuple[str, ...]], list[str]] = defaultdict(list)
    for id_, paths in held.items():
        by_moment: dict[Instant, list[str]] = defaultdict(list)
        for path, since in paths.items():
            by_moment[since].append(path)
        for since, together in by_moment.items():
            groups[since, tuple(sorted(together))].append(id_)
    told = [
        Held(since=since, paths=list(paths), models=_ids(ids))
        for (since, paths), ids in sorted(groups.items())
    ]
    return told if _size(told) <= MOST else _shortened(told)


def _ids(ids: list[str]) -> list[str]:
    return sorted(ids) if _size(ids) <= LONGEST else []


def _size(value: object) -> int:
    return len(msgspec.json.encode(value))


def _shortened(told: list[Held]) -> list[Held]:
    """Return each path once, since the earliest moment, for all models that lack it."""
    first: dict[str, Instant] = {}
    for held in told:
        first |= {path: min(held.since, first.get(path, held.since)) for path in held.paths}
    by_moment: dict[Instant, list[str]] = defaultdict(list)
    for path, since in sorted(first.items()):
        by_moment[since].append(path)
    return [Held(since=since, paths=paths, models=[]) for since, paths in sorted(by_moment.items())]
