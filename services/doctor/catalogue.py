"""The catalogue: is it sound, of this version, and does it keep up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from events.base import Instant, elapsed
from projections import Catalogue, database
from projections.fold import PROJECTION
from projections.generations import JOURNAL, size
from services.doctor.finding import Finding, bad, fine, many, note

LARGE_WAL = 256_000_000
AHEAD = timedelta(minutes=1)
REBUILD = "`modelog rebuild`, or start `modelog up`: it is made anew from the log"
_QUICK = "PRAGMA quick_check(1)"


def catalogue(link: Path, now: Instant) -> Iterator[Finding]:
    """Yield how the catalogue at *link* is at *now*."""
    try:
        with closing(database.connect(link, "ro")) as db:
            version = database.version_of(link, db)
            told = str(db.execute(_QUICK).fetchone()[0])
    except (database.NotACatalogue, sqlite3.DatabaseError) as error:
        if not link.exists():
            yield note("catalogue", "none yet", "start with `modelog up` or `modelog demo`")
        else:
            yield bad("catalogue", f"cannot be read: {error}", REBUILD)
        return
    if told != "ok":
        yield bad("catalogue", f"is damaged: {told}", REBUILD)
        return
    if version != PROJECTION:
        text = f"is of projection {version}, and this modelog makes {PROJECTION}"
        yield bad("catalogue", text, REBUILD)
        return
    with Catalogue.open(link) as opened:
        yield from _kept(opened, now)


def _kept(opened: Catalogue, now: Instant) -> Iterator[Finding]:
    counts = opened.counts()
    yield fine(
        "catalogue",
        f"{opened.path.resolve().name}: {many(counts['models'], 'model')} of "
        f"{many(counts['providers'], 'provider')}, sound",
    )
    if unknown := opened.unknown_events():
        told = f"{unknown:,} of a newer version are kept and not applied"
        yield bad("unknown events", told, "install that version; it rebuilds the catalogue itself")
    wal = size(opened.path.resolve().with_name(opened.path.resolve().name + JOURNAL))
    if wal > LARGE_WAL:
        told = f"{wal / 1e6:,.0f} MB: somebody has been reading in one transaction for long"
        yield bad("wal", told, "end the program that keeps the catalogue open")
    else:
        yield fine("wal", f"{wal / 1e6:,.1f} MB")
    yield clock(opened.query("SELECT max(at) FROM moments").rows[0][0], now)
    failing = [
        one
        for one in opened.providers()
        if one.enabled and one.refresh_outcome in {"failed", "quarantined"}
    ]
    for one in failing:
        how = "was quarantined" if one.refresh_outcome == "quarantined" else "failed"
        told = f"its last refresh {how}"
        remedy = f"`modelog providers show {one.name}` says why"
        yield bad(f"provider {one.name}", told, remedy)


def clock(last: Instant | None, now: Instant) -> Finding:
    """Return whether *now* can be, where the *last* event says what it was then."""
    if last is not None and elapsed(now, last) > AHEAD:
        told = f"it is {now} here, and the last event is of {last}"
        return bad("clock", told, "set this machine's clock, and keep it right (chrony, NTP)")
    return fine("clock", f"{now}, not before the last event; NTP was not asked")
