"""Durations as people write them: ``500ms``, ``30s``, ``5m``, ``1h30m``, ``400d``."""

from __future__ import annotations

import re

UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
"""Milliseconds in each unit, the largest first: the order in which they are written."""

_PART = r"(?:(?P<{0}>[0-9]{{1,15}}){1})?"
_WHOLE = re.compile("".join(_PART.format(f"u_{unit}", unit) for unit in UNITS), re.ASCII)
EXAMPLES = '"30s", "5m" or "1h30m"'


class NoDuration(ValueError):
    """A text that is no duration."""


def parse_duration(text: str) -> float:
    """Return the seconds that *text* means; ``"0"`` is none. Raises NoDuration."""
    if text == "0":
        return 0.0
    found = _WHOLE.fullmatch(text)
    parts = {unit: found[f"u_{unit}"] for unit in UNITS} if found else {}
    given = {unit: int(number) for unit, number in parts.items() if number}
    if not given:
        raise NoDuration(f'"{text}" is no duration; write {EXAMPLES}')
    return sum(UNITS[unit] * number for unit, number in given.items()) / 1000


def format_duration(seconds: float) -> str:
    """Write *seconds*, rounded to milliseconds, as `parse_duration` reads them."""
    left = round(seconds * 1000)
    if not left:
        return "0"
    text = ""
    for unit, size in UNITS.items():
        number, left = divmod(left, size)
        if number:
            text += f"{number}{unit}"
    return text
