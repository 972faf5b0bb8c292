"""What a third party says of a model fills what its provider leaves unknown, and nothing else.

A leaf without a source is unknown, so it may be filled; the provider's word always wins. Everything
whose source is not the provider came from here, and can be taken out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from events.record import LISTS, MAPS, ModelRecord, with_leaves

PROVIDER = "provider"
"""The source of what the provider states itself."""

Facts = Mapping[str, Any]
"""What a third party states of one model: leaves, by their paths."""

Enrich = Callable[[ModelRecord], ModelRecord]
"""Fills a record with what is known of its model beside it."""

SENSES = {"image": "vision", "audio": "audio_input", "video": "video_input", "pdf": "pdf_input"}
"""What each input modality amounts to."""


def plain(record: ModelRecord) -> ModelRecord:
    """Return *record* as it is: nobody fills it."""
    return record


def merge(record: ModelRecord, facts: Facts, source: str) -> ModelRecord:
    """Return *record* with those of *facts* that nobody has stated yet, told by *source*.

    What would contradict the provider stays out: a life cycle beside its own, and modalities that
    say otherwise than its capabilities.
    """
    fresh = {
        path: (value, source)
        for path, value in facts.items()
        if path not in record.sources and not _contradicts(record, path, value)
    }
    return _sorted(with_leaves(record, fresh)) if fresh else record


def strip(record: ModelRecord) -> ModelRecord:
    """Return *record* as its provider alone states it."""
    foreign = [path for path, source in record.sources.items() if source != PROVIDER]
    if not foreign:
        return record
    blank = {path: _unknown(record, path) for path in foreign if "." not in path}
    fields: dict[str, Any] = dict(blank)
    for head in MAPS:
        values: dict[str, Any] = getattr(record, head)
        fields[head] = {
            key: value for key, value in values.items() if f"{head}.{key}" not in foreign
        }
    known = {
        key: value
        for key, value in msgspec.structs.asdict(record.lifecycle).items()
        if f"lifecycle.{key}" not in foreign
    }
    sources = {path: source for path, source in record.sources.items() if source == PROVIDER}
    return msgspec.structs.replace(
        record, **fields, lifecycle=type(record.lifecycle)(**known), sources=sources
    )


def agreed(said: Sequence[Facts]) -> Facts:
    """Return what all of *said* state alike; what they differ in is unknown."""
    if not said:
        return {}
    first, *others = said
    return {
        path: value
        for path, value in first.items()
        if all(path in other and other[path] == value for other in others)
    }


def _contradicts(record: ModelRecord, path: str, value: Any) -> bool:  # noqa: ANN401 - a leaf's
    if path == "lifecycle.state":
        return any(known.startswith("lifecycle.") for known in record.sources)
    if path == "input_modalities":
        return any(
            record.capabilities.get(sense, word in value) != (word in value)
            for word, sense in SENSES.items()
        )
    return False


def _unknown(record: ModelRecord, path: str) -> Any:  # noqa: ANN401 - a leaf's
    if path == "name":
        return record.id
    return [] if path in LISTS else None


def _sorted(record: ModelRecord) -> ModelRecord:
    """Return *record* as a dialect writes it: the keys of its objects in order."""
    return msgspec.structs.replace(
        record, **{head: dict(sorted(getattr(record, head).items())) for head in MAPS}
    )
