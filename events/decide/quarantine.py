"""A list that lost too much is not believed: what it lacks is awaited before it is missing.

Source: discovery.md, section 4.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple

from events.audit import Absent, AbsentGroup
from events.base import Instant, elapsed

FEW = 5
"""Models that any list may lose."""
LONGEST = 8_000
"""Characters of `Absent.places`; with them and its groups an outcome stays below 64 kB."""
MOST_GROUPS = 60


class Absence(NamedTuple):
    """Since when a listed model is absent from complete lists, and from how many in a row."""

    since: Instant
    scans: int = 1


Absences = Mapping[str, Absence]
"""The models that are awaited, by their ids."""


def guarded(lost: int, listed: int, guard: float | None) -> bool:
    """Whether a list without *lost* of the *listed* models is too short to be believed."""
    if guard is None or not lost:
        return False
    return lost == listed or (lost > FEW and lost > guard * listed)


def again(absence: Absence | None, now: Instant) -> Absence:
    """Return *absence* after one more complete list without the model.

    A list of the same moment, or of one before it, is no further proof.
    """
    if absence is None:
        return Absence(now)
    later = now > absence.since
    return absence._replace(scans=absence.scans + 1) if later else absence


def proven(absence: Absence, now: Instant, *, scans: int, hold: timedelta) -> bool:
    """Whether *absence* has lasted so long that the model is missing; never in its first list."""
    if now <= absence.since or absence.scans < scans:
        return False
    return elapsed(absence.since, now) >= hold


def told(absences: Absences, known: Collection[str], *, seq: int, believed: bool) -> Absent | None:
    """Return what an outcome tells of *absences*, None where there are none.

    *known* are the ids of all models that the facts up to sequence *seq* add up to; each awaited
    one is told by its place among them, and *believed* says whether the list itself was. Where
    there are more moments than fit, neighbouring ones become the later of them: that only delays.
    Where nothing fits, whoever reads it begins to wait anew.
    """
    if not absences:
        return None
    moments = sorted(set(absences.values()))
    places = ""
    for most in (MOST_GROUPS, 8, 1):
        groups, number = _grouped(moments, most)
        places = _packed(
            bytes(number[absences[id_]] if id_ in absences else 0 for id_ in sorted(known))
        )
        if len(places) <= LONGEST:
            break
    else:
        places = ""
    return Absent(
        count=len(absences),
        hash=_hash(absences),
        since=moments[0].since,
        groups=[AbsentGroup(since=since, scans=scans) for since, scans in groups],
        places=places,
        seq=seq,
        believed=believed,
    )


def awaited(absent: Absent | None, known: Collection[str]) -> dict[str, Absence]:
    """Return what `told` was given, where *known* is what it was; otherwise nothing."""
    if absent is None:
        return {}
    numbers = _unpacked(absent.places, len(known))
    found = {
        id_: Absence(absent.groups[number - 1].since, absent.groups[number - 1].scans)
        for id_, number in zip(sorted(known), numbers, strict=False)
        if 0 < number <= len(absent.groups)
    }
    return found if _hash(found) == absent.hash else {}


def _grouped(moments: list[Absence], most: int) -> tuple[list[Absence], dict[Absence, int]]:
    """Return at most *most* of the sorted *moments*, and which of them, from 1, stands for each."""
    size = -(-len(moments) // most)
    runs = [moments[start : start + size] for start in range(0, len(moments), size)]
    return (
        [run[-1] for run in runs],
        {moment: number for number, run in enumerate(runs, 1) for moment in run},
    )


def _hash(ids: Iterable[str]) -> str:
    return sha256("\n".join(sorted(ids)).encode()).hexdigest()[:16]


def _packed(numbers: bytes) -> str:
    return b64encode(zlib.compress(numbers, 9)).decode()


def _unpacked(places: str, length: int) -> bytes:
    """Return at most *length* numbers, none where *places* holds no such thing."""
    try:
        return zlib.decompressobj().decompress(b64decode(places), max(1, length))
    except (NoBase64, zlib.error):
        return b""
