"""In what a stream that exists is not as it would be created, and what may be done about that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from events.subjects import AUDIT
from services.durations import format_duration
from services.jetstream.streams import SCHEMA_KEY, SECOND

SETTINGS = {"num_replicas": "replicas", "max_age": "audit_max_age"}
"""The names in [nats] of what `init --apply` may change."""
DURATIONS = {"max_age", "duplicate_window", "subject_delete_marker_ttl"}
FREE = {"max_bytes", "metadata"}
"""What the operator may set (a full log refuses appends), and what differs in every log."""
NEVER = (
    "allow_batched",
    "allow_msg_counter",
    "allow_msg_schedules",
    "allow_msg_ttl",
    "mirror",
    "no_ack",
    "persist_mode",
    "sealed",
    "sources",
    "subject_transform",
)
"""What no stream has unless its request says so: each would lose, rewrite or refuse events."""


class Difference(NamedTuple):
    """A *field* of a stream that is *actual*, and ought to be *wanted*."""

    stream: str
    field: str
    wanted: Any
    actual: Any

    @property
    def changeable(self) -> bool:
        """Whether `init --apply` changes it; of a bucket and of the facts the replicas alone."""
        return self.field == "num_replicas" or (self.stream, self.field) == (AUDIT, "max_age")

    @property
    def setting(self) -> str:
        """Its name in the configuration, or else the server's."""
        return SETTINGS[self.field] if self.changeable else self.field

    @property
    def shortens(self) -> bool:
        """Whether the wish ends the life of stored events earlier; an age of 0 is for ever."""
        return self.field == "max_age" and 0 < self.wanted < (self.actual or self.wanted + 1)

    @property
    def text(self) -> str:
        """What differs, for people."""
        there, wish = self.spelled(self.actual), self.spelled(self.wanted)
        return f"{self.setting} is {there}, and must be {wish}"

    @property
    def remedy(self) -> str:
        """The way out, for people."""
        if self.changeable:
            return "`modelog init --apply` changes it"
        return "somebody changed it, or it is not ours: put it back with `nats stream edit`"

    def plain(self, value: Any) -> Any:  # noqa: ANN401 - whatever the field holds
        """Return *value* of the field for JSON: durations as the configuration spells them."""
        is_duration = self.field in DURATIONS and isinstance(value, int)
        return format_duration(value / SECOND) if is_duration else value

    def spelled(self, value: object) -> str:
        """Return *value* of the field for people."""
        if value is None:
            return "unset"
        plain = self.plain(value)
        return plain if plain is not value else msgspec.json.encode(value).decode()


class StreamDiffers(Exception):
    """A stream of our name exists and is not ours, or was changed."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        """Tell the first of *differences* that nothing here changes, or else the first."""
        first = next((one for one in differences if not one.changeable), differences[0])
        others = len(differences) - 1
        more = f" (and {others} more)" if others else ""
        super().__init__(f"stream {first.stream}: {first.text}{more}; {first.remedy}")
        self.differences = tuple(differences)
        self.field = first.field


def compared(stream: str, wanted: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Difference]:
    """Return in what the *actual* configuration of *stream* is not as *wanted*."""
    return [Difference(stream, *row) for row in differences(wanted, actual)]


def differences(
    wanted: Mapping[str, Any], actual: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield each field of *actual* that is not as *wanted*: its name, the wish, what is there.

    What the server adds is passed over, and what it leaves out counts as off.
    """
    for field, wish in wanted.items():
        there = actual.get(field)
        if field not in FREE and there != wish and (wish or there):
            yield field, wish, there
    for field in NEVER:
        if field not in wanted and actual.get(field):
            yield field, None, actual[field]
    metadata = actual.get("metadata") or {}
    for key, wish in (wanted.get("metadata") or {}).items():
        there = metadata.get(key)
        if not there or (key == SCHEMA_KEY and there != wish):
            yield f"metadata.{key}", wish if key == SCHEMA_KEY else "set by init", there
