"""The figures of discovery.md, section 9: what was measured, and what must be reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks import comparing, judging
from benchmarks.recording import Scan, good
from projections import Catalogue

HOLD = judging.DAY
"""The default of `removal_hold`."""


class Provider(NamedTuple):
    """All that is counted of one provider."""

    name: str
    lists: int
    failed: int
    naive: list[judging.Gone]
    ours: list[judging.Gone]
    late: judging.Late
    notice: judging.Notice
    mass: judging.Mass
    quarantined: int
    updates: comparing.Updates
    kept: comparing.Kept
    flips: comparing.Flips
    drifts: int


class Figure(NamedTuple):
    """One row of the table."""

    figure: str
    naive: str
    ours: str
    bar: str
    reached: bool


def judged(name: str, recorded: Sequence[Scan], catalogue: Catalogue, drifts: int) -> Provider:
    """Compare what was recorded of a provider with what the catalogue says of it."""
    lists = good(recorded, name)
    ids, found = judging.Ids(name, lists), judging.ours(catalogue, name)
    gone = judging.disappearances(lists)
    return Provider(
        name,
        len(lists),
        sum(name in scan.answers for scan in recorded) - len(lists),
        gone,
        judging.removals(found),
        judging.lateness(gone, found, ids, lists, HOLD),
        judging.notices(gone, found, ids),
        judging.masses(lists, gone, found, ids),
        len(found.quarantined),
        comparing.updates(name, lists, found, ids),
        comparing.kept(lists, found, ids, HOLD),
        comparing.flips(found),
        drifts,
    )


def figures(all_: Sequence[Provider]) -> list[Figure]:
    """Return the table of the whole recording."""
    naive = [gone for one in all_ for gone in one.naive]
    ours = [gone for one in all_ for gone in one.ours]
    due, in_time = (sum(column) for column in zip(*(one.late[:2] for one in all_), strict=True))
    at_once, awaited, late = (sum(n) for n in zip(*(one.notice for one in all_), strict=True))
    masses, believed, *_ = (sum(n) for n in zip(*(one.mass for one in all_), strict=True))
    rows, noise, told, told_noise = (
        sum(n) for n in zip(*(one.updates for one in all_), strict=True)
    )
    changes, lost, stale = (sum(n) for n in zip(*(one.kept for one in all_), strict=True))
    moves, back = (sum(n) for n in zip(*(one.flips[:2] for one in all_), strict=True))
    ever = judging.undone(ours)
    soon, naively = judging.undone(ours, judging.DAY), judging.undone(naive, judging.DAY)
    return [
        Figure(
            "removals of models that were back within 24 h",
            of(naively, len(naive)), of(soon, len(ours)), "0", soon == 0,
        ),
        Figure(
            "removals ever undone",
            of(judging.undone(naive), len(naive)), of(ever, len(ours)), "below 25 % of ours",
            4 * ever < len(ours) or not ever,
        ),
        Figure(
            "models gone for good that are reported removed",
            "all", of(in_time, due), "all, by the third list after the hold", in_time == due,
        ),
        Figure(
            "first notice of a disappearance",
            "the scan itself",
            f"{at_once:,} missing by the scan itself, {awaited:,} in a quarantine, {late:,} later",
            "the scan itself", late == 0,
        ),
        Figure(
            "mass disappearances believed that came back",
            of(masses, masses), of(believed, masses), "0", believed == 0,
        ),
        Figure(
            "updates caused by volatile fields alone",
            of(noise, rows), of(told_noise, told), "0", told_noise == 0,
        ),
        Figure(
            "changes of price, context, capability, life cycle that are lost",
            f"0 of {changes:,}", f"{lost:,} of {changes:,}; {stale:,} too old", "0",
            lost == stale == 0,
        ),
        Figure(
            "such changes that flip back within a day",
            "an event each", of(back, moves), "counted", reached=True,
        ),
    ]  # fmt: skip


def of(part: int, whole: int) -> str:
    """Write a share."""
    return f"{part:,} of {whole:,}" + (f" ({part / whole:.0%})" if whole else "")
