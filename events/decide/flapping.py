"""How restless a provider's last verdicts were. Source: health.md, section 5, "Flap"."""

from __future__ import annotations

SEEN = 21
"""Verdicts that are weighed: fewer tell nothing."""


def score(fails: int, seen: int) -> float:
    """Return from 0 to 100 how often the bits of *fails* change, the newest (lowest) most.

    It is 0 where fewer than 21 were *seen*.
    """
    if seen < SEEN:
        return 0.0
    changes = fails ^ (fails >> 1)
    return 5 * sum(0.75 + 0.5 * (19 - back) / 19 for back in range(SEEN - 1) if changes >> back & 1)


def remembered(fails: int, *, failed: bool) -> int:
    """Return *fails* after one more verdict; what is older than the 21 newest is forgotten."""
    return (fails << 1 | failed) & ((1 << SEEN) - 1)
