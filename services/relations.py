"""What must hold between two keys of one section, judged on everything that was written.

Only what somebody wrote can be wrong: defaults scale with what is set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from services.durations import format_duration
from services.leaves import Duration, Read, shown

T = TypeVar("T")


class Relation(NamedTuple, Generic[T]):
    """The value of *key* must be *allowed*, which depends on *others*; *fits* tells."""

    key: str
    others: tuple[str, ...]
    fits: Callable[[T], bool]
    allowed: str


def unfit(
    relations: Sequence[Relation[T]],
    reads: Mapping[str, Read],
    effective: T,
    *,
    own: Mapping[str, Any],
    merged: Mapping[str, Any],
) -> Iterator[tuple[str, str]]:
    """Yield a key of *own* and what is wrong with it, for every relation that does not hold.

    *own* was written here, *merged* is that over what was written for everybody, and *effective*
    what it comes to. A relation that *own* has nothing to do with was judged where it was written.
    """
    for relation in relations:
        key = next((one for one in (relation.key, *relation.others) if one in own), None)
        if key is None or relation.key not in merged or relation.fits(effective):
            continue
        values = ", ".join(
            f"{name} {text(reads, name, getattr(effective, name)).strip(QUOTE)}"
            for name in dict.fromkeys((relation.key, *relation.others))
            if not isinstance(getattr(effective, name), tuple)
        )
        value = "what they say" if key == "checks" else text(reads, key, own[key])
        yield (
            key,
            f"{value} does not fit: {relation.key} must be {relation.allowed} ({values})",
        )


QUOTE = '"'


def text(reads: Mapping[str, Read], name: str, value: object) -> str:
    """Write the *value* of the key *name* as one would in the file."""
    timed = isinstance(reads.get(name), Duration) and isinstance(value, float)
    return f'"{format_duration(value)}"' if timed else shown(value)  # type: ignore[arg-type]
