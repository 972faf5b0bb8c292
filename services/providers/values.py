"""What providers write, read leniently: a value that is not what it should be is unknown.

Absent, null and "" are the same, and so are a limit of 0 and the dates that mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

LONGEST_TEXT = 2000
LARGEST_LIMIT = 10**12
"""Tokens; what is larger is no limit, and would not fit into every database."""
MILLISECONDS = 10**11
"""Seconds from here on are milliseconds (Poe, Pollinations): as seconds, the year 5138."""
NO_DATES = frozenset({0, 735790403, 1626777600})
"""`created` of every row: Cerebras and DeepInfra; NVIDIA; Atlas Cloud."""
YEARS = range(1971, 2201)

_EPOCH = date(1970, 1, 1)
_SPACES = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\uffff]")
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?!\d)", re.ASCII)
_CUTOFF = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?\Z", re.ASCII)
_WHOLE = re.compile(r"\d{1,13}\Z", re.ASCII)

MODALITIES = {
    "text": "text",
    "transcription": "text",
    "image": "image",
    "audio": "audio",
    "speech": "audio",
    "video": "video",
    "file": "pdf",
    "pdf": "pdf",
    "embedding": "embedding",
    "embeddings": "embedding",
}
"""Their words for what goes in and out, and ours; a word that is not here has none."""


def number(text: str) -> Decimal | None:
    """Read a JSON number exactly; the `float_hook` of every decoder. None beyond all exponents."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def text(value: object) -> str | None:
    """Return *value* without control characters and blanks around it, 2,000 letters at most.

    Line breaks and tabs are blanks.
    """
    if not isinstance(value, str):
        return None
    if not value.isprintable():  # nearly all are, and the rest costs twenty times as much
        value = _CONTROL.sub("", _SPACES.sub(" ", value))
    return value.strip()[:LONGEST_TEXT].rstrip() or None


def words(value: object) -> list[str] | None:
    """Return the texts in a list; None where *value* is no list."""
    if not isinstance(value, list | tuple):
        return None
    return [word for item in value if (word := text(item))]


def flag(value: object) -> bool | None:
    """Return a boolean, also where it is spelled as a text; anything else says nothing."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def whole(value: object) -> int | None:
    """Return a limit: a whole number above 0, also where it is a float or a text."""
    if isinstance(value, str):
        value = int(value) if _WHOLE.match(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return int(value) if 1 <= value <= LARGEST_LIMIT else None


def inner(value: object, *keys: str) -> Any:  # noqa: ANN401 - whatever JSON holds there
    """Return what lies under *keys* in nested objects; None where something is missing."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def first(*values: object) -> Any:  # noqa: ANN401 - the type of the values
    """Return the first value that says something."""
    return next((value for value in values if value not in (None, "", 0)), None)


def day(value: object) -> str | None:
    """Return a date as ``YYYY-MM-DD``, in UTC, from a text or Unix (milli)seconds."""
    if isinstance(value, str):
        return _day_of_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if not 0 < value < MILLISECONDS * 1000:
        return None
    seconds = int(value) // 1000 if value >= MILLISECONDS else int(value)
    if seconds in NO_DATES:
        return None
    return _spelled(_EPOCH + timedelta(days=seconds // 86400))


def _day_of_text(value: str) -> str | None:
    if value.isascii() and value.isdigit():
        return day(int(value)) if len(value) < 14 else None  # noqa: PLR2004 - milliseconds
    found = _DAY.match(value)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:  # a fraction or a zone that Python cannot read: the day stands
        return _of_parts(*map(int, found.groups()))
    if moment.tzinfo is not None and moment.year in YEARS:
        moment = moment.astimezone(UTC)
    return _spelled(moment.date())


def _of_parts(year: int, month: int, day: int) -> str | None:
    try:
        return _spelled(date(year, month, day))
    except ValueError:
        return None


def _spelled(when: date) -> str | None:
    return when.isoformat() if when.year in YEARS else None


def cutoff(value: object) -> str | None:
    """Return a knowledge cutoff: a month or a date."""
    return value if isinstance(value, str) and _CUTOFF.match(value) else None


def modalities(value: object) -> list[str] | None:
    """Return their words for modalities as ours; None where *value* is no list.

    Words without one of ours are left out: `rerank`, `decisions`.
    """
    found = words(value)
    if found is None:
        return None
    return sorted({MODALITIES[word] for item in found if (word := item.lower()) in MODALITIES})


def senses(inputs: list[str] | None, *, closed: bool) -> dict[str, bool]:
    """Return the capabilities that input modalities amount to.

    In a *closed* list, what is absent is false.
    """
    if inputs is None:
        return {}
    named = {"image": "vision", "audio": "audio_input", "video": "video_input", "pdf": "pdf_input"}
    return {ours: word in inputs for word, ours in named.items() if closed or word in inputs}


def listed(
    value: object, names: Mapping[str, str], *, closed: bool, lower: bool = False
) -> dict[str, bool]:
    """Return the capabilities that a list names; *names* are their words and ours.

    In a *closed* list that is present, what is absent is false. Several words may mean the same.
    """
    found = words(value)
    if found is None:
        return {}
    present = {item.lower() for item in found} if lower else set(found)
    true = {ours for word, ours in names.items() if word in present}
    return {ours: ours in true for ours in names.values() if closed or ours in true}


def flags(value: object, names: Mapping[str, str]) -> dict[str, bool]:
    """Return the capabilities that the booleans of an object state; *names* are theirs and ours."""
    return {
        ours: said
        for theirs, ours in names.items()
        if (said := flag(inner(value, theirs))) is not None
    }


def either(values: Iterable[bool | None]) -> bool | None:
    """Return true if any is, else false if any is, else None."""
    known = [value for value in values if value is not None]
    return any(known) if known else None
