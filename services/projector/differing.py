"""A row of the catalogue that is not what the log makes of it, as a finding."""

from __future__ import annotations

from projections.verify import Difference
from services.jetstream.verify import Finding


def row(found: Difference, remedy: str) -> Finding:
    """Return *found* in words; *remedy* is the way out."""
    where = ", ".join(f"{name} {value}" for name, value in found.key.items())
    told = {
        "missing": "the log makes it, and the catalogue lacks it",
        "extra": "the log does not make it",
        "different": f"{', '.join(found.columns)}: not what the log makes of it",
    }
    more = f" ({found.rows:,} rows differ)" if found.rows > 1 else ""
    return Finding(
        kind="row",
        table=found.table,
        key=found.key,
        seq=found.seq,
        message=f"{found.table} ({where}): {told[found.what]}{more}",
        remedy=remedy,
    )
