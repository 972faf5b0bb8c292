"""What became of recorded lists: the naive difference of two lists beside what modelog says.

The naive side knows the raw rows only, ours is read from the catalogue. A model's raw id is
followed by the id that its dialect makes of it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from benchmarks.recording import Answer, Scan, read
from events.record import ModelRecord
from projections import Catalogue
from services.providers.recall import Recall

DAY = timedelta(hours=24)
SCANS = 3
"""Scans that a removal may take beyond the hold."""
GUARD, FEW = 0.2, 5


class Version(NamedTuple):
    """One row of `model_history`."""

    at: datetime
    change: str
    changed: list[dict[str, Any]]
    record: dict[str, Any]


class Gone(NamedTuple):
    """A model that was called removed *at* a moment, and not listed *since* one.

    *back* is when it was listed again.
    """

    id: str
    at: datetime
    since: datetime
    back: datetime | None


class Ours(NamedTuple):
    """What the catalogue tells of one provider."""

    versions: dict[str, list[Version]]
    quarantined: dict[datetime, int]


def ours(catalogue: Catalogue, provider: str) -> Ours:
    """Read the lives of a provider's models, and which lists were not believed."""
    versions: dict[str, list[Version]] = defaultdict(list)
    for id_, at, change, changed, record in catalogue.query(
        "SELECT model_id, at, change, changed, record FROM model_history"
        " WHERE provider = ? ORDER BY seq",
        (provider,),
    ).rows:
        versions[id_].append(Version(_moment(at), change, json.loads(changed), json.loads(record)))
    awaited = catalogue.query(
        "SELECT observed_at, json_extract(absent, '$.count') FROM refreshes"
        " WHERE provider = ? AND outcome = 'quarantined'",
        (provider,),
    ).rows
    return Ours(dict(versions), {_moment(at): count for at, count in awaited})


def _moment(at: str) -> datetime:
    return datetime.fromisoformat(at)


def disappearances(lists: Sequence[tuple[Scan, Answer]]) -> list[Gone]:
    """Return what the difference of two lists calls a removal, and when each was undone."""
    shown: dict[str, list[datetime]] = defaultdict(list)
    for scan, answer in lists:
        for id_ in answer.rows or {}:
            shown[id_].append(scan.at)
    found: list[Gone] = []
    for (_, before), (scan, after) in pairwise(lists):
        if before is after:
            continue
        for id_ in sorted((before.rows or {}).keys() - (after.rows or {}).keys()):
            back = next((at for at in shown[id_] if at > scan.at), None)
            found.append(Gone(id_, scan.at, scan.at, back))
    return found


def removals(found: Ours) -> list[Gone]:
    """Return what we call a removal, and when each was undone."""
    gone: list[Gone] = []
    for id_, versions in found.versions.items():
        since = None
        for place, version in enumerate(versions):
            if version.change == "missing":
                told = version.changed[0]["new"] if version.changed else None
                since = version.at if told is None else _moment(told)
            if version.change == "removed":
                again = [one.at for one in versions[place + 1 :] if one.change == "added"]
                back = again[0] if again else None
                gone.append(Gone(id_, version.at, since or version.at, back))
    return sorted(gone, key=lambda one: one.at)


def undone(gone: Iterable[Gone], within: timedelta | None = None) -> int:
    """Return how many came back, *within* a time of the first list without them."""
    return sum(
        one.back is not None and (within is None or one.back - one.since <= within) for one in gone
    )


def undone_soon(gone: Iterable[Gone]) -> int:
    """Return how many came back within a day of being called removed."""
    return sum(one.back is not None and one.back - one.at <= DAY for one in gone)


class Ids:
    """Which of our ids a raw row has: its list, read alone."""

    def __init__(self, provider: str, lists: Sequence[tuple[Scan, Answer]]) -> None:
        self.records: dict[int, dict[str, ModelRecord]] = {}
        self.of: dict[str, str] = {}
        last: Answer | None = None
        recall = Recall()
        for _, answer in lists:
            if answer is last or answer.body is None or answer.rows is None:
                continue
            last = answer
            records = read(provider, answer.body, recall)
            self.records[id(answer)] = records
            self.of |= {raw: _ours(raw, row, records) for raw, row in answer.rows.items()}


def _ours(raw: str, row: dict[str, Any], records: dict[str, ModelRecord]) -> str:
    """Return the id of ours that *row* became: its own, that of its `model_id`, or its alias."""
    named = (raw, str(row.get("model_id")), raw.removeprefix("models/"))
    return next((one for one in named if one in records), raw)


class Late(NamedTuple):
    """How soon what is gone for good is told: of how many, how many in time, the delays.

    *waited* counts those in time that are not, were quarantined lists counted too.
    """

    due: int
    in_time: int
    waited: int
    delays: list[timedelta]


def lateness(
    gone: Sequence[Gone],
    found: Ours,
    ids: Ids,
    lists: Sequence[tuple[Scan, Answer]],
    hold: timedelta,
) -> Late:
    """Return how late models that never came back are reported removed.

    Due are those for which the recording goes on for the hold and three lists more. A list that was
    quarantined counts for nothing, so it is none of them.
    """
    moments = [scan.at for scan, _ in lists]
    due = in_time = waited = 0
    delays = []
    for one in gone:
        if one.back is not None:
            continue
        behind = [at for at in moments if at >= one.at + hold]
        counting = [at for at in behind if at not in found.quarantined]
        told = next(
            (
                version.at
                for version in found.versions.get(ids.of[one.id], [])
                if version.change == "removed" and version.at >= one.at
            ),
            None,
        )
        if told is not None:
            delays.append(told - one.at)
        if len(counting) >= SCANS:
            due += 1
            is_in_time = told is not None and told <= counting[SCANS - 1]
            in_time += is_in_time
            waited += is_in_time and told is not None and told > behind[SCANS - 1]
    return Late(due, in_time, waited, delays)


class Notice(NamedTuple):
    """How disappearances are first told: as missing by the scan itself, or in a quarantine."""

    at_once: int
    quarantined: int
    late: int


def notices(gone: Sequence[Gone], found: Ours, ids: Ids) -> Notice:
    """Return how soon each disappearance was told at all."""
    at_once = quarantined = late = 0
    for one in gone:
        missing = any(
            version.at == one.at and version.change == "missing"
            for version in found.versions.get(ids.of[one.id], [])
        )
        if missing:
            at_once += 1
        elif one.at in found.quarantined:
            quarantined += 1
        else:
            late += 1
    return Notice(at_once, quarantined, late)


class Mass(NamedTuple):
    """Lists that lost a fifth and came back: how many, how many were believed by us, and ended."""

    lists: int
    believed: int
    outlasted: int
    models: int


def masses(
    lists: Sequence[tuple[Scan, Answer]], gone: Sequence[Gone], found: Ours, ids: Ids
) -> Mass:
    """Return the mass disappearances that were undone, and what we made of them.

    Believed is one of which any model is missing or removed by the list that lost it; outlasted,
    one of which any model stayed away so long that it was removed, and came back all the same.
    """
    sizes = {scan.at: len(before.rows or {}) for (_, before), (scan, _) in pairwise(lists)}
    by_scan: dict[datetime, list[Gone]] = defaultdict(list)
    for one in gone:
        by_scan[one.at].append(one)
    count = believed = outlasted = models = 0
    for at, lost in by_scan.items():
        many = len(lost) > FEW and len(lost) > GUARD * sizes[at]
        if not (many or len(lost) == sizes[at]) or 2 * undone(lost) <= len(lost):
            continue
        back = [one for one in lost if one.back is not None]
        lives = [(one, found.versions.get(ids.of[one.id], [])) for one in back]
        count += 1
        models += len(back)
        believed += any(
            version.at == at and version.change in {"missing", "removed"}
            for _, versions in lives
            for version in versions
        )
        outlasted += any(
            version.change == "removed" and one.back is not None and at <= version.at <= one.back
            for one, versions in lives
            for version in versions
        )
    return Mass(count, believed, outlasted, models)
