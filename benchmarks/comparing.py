"""What became of recorded changes: noise, what counts, and what flips back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from benchmarks.judging import DAY, Ids, Ours
from benchmarks.recording import Answer, Scan
from events.record import ModelRecord, leaves

VOLATILE = {
    "openrouter": {"benchmarks", "created", "description"},
    "mistral": {"created"},
}
"""Raw fields that move on their own, as the recordings' README tells them."""
FAMILIES = ("prices", "context_window", "capabilities", "lifecycle")
"""Leaves whose changes nobody may lose."""

Lists = Sequence[tuple[Scan, Answer]]


class Updates(NamedTuple):
    """Rows that differ from one list to the next, and our updates; *noise* is volatile alone."""

    naive: int
    naive_noise: int
    ours: int
    ours_noise: int


def updates(provider: str, lists: Lists, found: Ours, ids: Ids) -> Updates:
    """Count the changed rows of *provider*, and our updates beside them."""
    volatile = VOLATILE.get(provider, set())
    updated = {
        (id_, version.at): any(change.get("new") is not None for change in version.changed)
        for id_, versions in found.versions.items()
        for version in versions
        if version.change == "updated"
    }
    naive = noise = told = 0
    for (_, before), (scan, after) in pairwise(lists):
        if before is after:
            continue
        old, new = before.rows or {}, after.rows or {}
        for raw in old.keys() & new.keys():
            fields = _differing(old[raw], new[raw])
            if not fields:
                continue
            naive += 1
            if fields <= volatile:
                noise += 1
                # what only went was held: it went a hold ago, not now
                told += updated.get((ids.of[raw], scan.at), False)
    return Updates(naive, noise, len(updated), told)


def _differing(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    if old is new:
        return set()
    return {key for key in old.keys() | new.keys() if old.get(key, ...) != new.get(key, ...)}


class Kept(NamedTuple):
    """Changes of what counts, and how many of them the catalogue does not show at their scan.

    *stale* are leaves that are still there although no list had them for longer than the hold.
    """

    changes: int
    lost: int
    stale: int


def kept(lists: Lists, found: Ours, ids: Ids, hold: timedelta) -> Kept:
    """Compare the catalogue with every list, leaf by leaf, at the moment of the list."""
    changes = lost = stale = 0
    said: dict[str, dict[str, Any]] = {}
    told: dict[str, dict[str, Any]] = {}
    away: dict[str, dict[str, datetime]] = {}
    coming = sorted(
        (
            (version.at, place, id_)
            for id_, all_ in found.versions.items()
            for place, version in enumerate(all_)
        ),
        reverse=True,
    )
    last: dict[str, ModelRecord] = {}
    for scan, answer in lists:
        moved = set[str]()
        while coming and coming[-1][0] <= scan.at:
            _, place, id_ = coming.pop()
            told[id_] = counting(msgspec.convert(found.versions[id_][place].record, ModelRecord))
            moved.add(id_)
        records = ids.records[id(answer)]
        for id_, record in records.items():
            if last.get(id_) is not record:
                states = counting(record)
                before = said.get(id_, states)
                changes += sum(before.get(path) != value for path, value in states.items())
                said[id_] = states
                moved.add(id_)
        last = {**last, **records}
        for id_ in moved & records.keys():
            held = told.get(id_, {})
            lost += sum(held.get(path) != value for path, value in said[id_].items())
            gone = held.keys() - said[id_].keys()
            away[id_] = {path: away.get(id_, {}).get(path, scan.at) for path in gone}
            if not gone:
                del away[id_]
        stale += sum(
            scan.at - since > hold
            for id_ in away.keys() & records.keys()
            for since in away[id_].values()
        )
    return Kept(changes, lost, stale)


def counting(record: ModelRecord) -> dict[str, Any]:
    """Return the leaves of *record* that count and that somebody states."""
    return {
        path: value
        for path, value in leaves(record).items()
        if _counts(path) and path in record.sources
    }


def _counts(path: str) -> bool:
    return path.partition(".")[0] in FAMILIES


class Flips(NamedTuple):
    """Changes of leaves that count, those undone within a day, and which did so most."""

    changes: int
    undone: int
    worst: list[tuple[str, int]]


def flips(found: Ours) -> Flips:
    """Count how often a value is back within a day."""
    changes = 0
    back: Counter[str] = Counter()
    for id_, versions in found.versions.items():
        moves: dict[str, list[tuple[datetime, Any, Any]]] = {}
        for version in versions:
            for change in version.changed if version.change == "updated" else ():
                move = (version.at, change.get("old"), change.get("new"))
                if _counts(change["path"]) and None not in move:
                    moves.setdefault(change["path"], []).append(move)
        for path, made in moves.items():
            changes += len(made)
            back[f"{id_} {path}"] += sum(
                again == old and then - at <= DAY
                for (at, old, _), (then, _, again) in pairwise(made)
            )
    return Flips(changes, back.total(), [one for one in back.most_common(3) if one[1]])
