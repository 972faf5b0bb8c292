"""The canonical model record: values in our units, and unknown stays unknown.

A record is compared, held and told of by its *leaves*: one value under one dotted path
(``prices.input``, ``capabilities.vision``). A list is one value. `sources` says for each known leaf
who stated it; a leaf without a source is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

KINDS = (
    "chat", "completion", "embeddings", "rerank", "moderation", "image_generation",
    "image_editing", "video_generation", "speech", "transcription", "realtime",
)  # fmt: skip
FEATURES = (
    "vision", "audio_input", "video_input", "pdf_input", "tools", "parallel_tools",
    "structured_output", "json_mode", "reasoning", "web_search", "code_execution", "computer_use",
    "prompt_caching", "batch", "fine_tuning", "streaming",
)  # fmt: skip
CAPABILITIES = KINDS + FEATURES
"""Every word for what a model is or can; the list is closed."""

MODALITIES = ("text", "image", "audio", "video", "pdf", "embedding")

TOKEN_PRICES = (
    "input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "audio_input",
    "audio_output", "image_input",
)  # fmt: skip
"""Prices in USD per 1,000,000 tokens."""
UNIT_PRICES = (
    "image", "megapixel", "request", "web_search", "second", "audio_minute", "video_second",
    "hour", "characters_1m",
)  # fmt: skip
"""Prices in USD per unit."""

LifecycleState = Literal["preview", "active", "deprecated", "retired"]


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model stands between its preview and its end; dates are ``YYYY-MM-DD``."""

    state: LifecycleState = "active"
    deprecated_on: str | None = None
    retires_on: str | None = None
    replacement: str | None = None


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one model of one provider.

    *context_window*, *max_input_tokens* and *max_output_tokens* are tokens; *prices* are decimal
    strings without exponent or trailing zeros, in USD per 1,000,000 tokens (`TOKEN_PRICES`) or per
    unit (`UNIT_PRICES`); *capabilities* holds only what is known; the lists are sorted; *created*
    is a date, *knowledge_cutoff* a month or a date.
    """

    id: str
    name: str
    owned_by: str | None = None
    family: str | None = None
    description: str | None = None
    created: str | None = None
    knowledge_cutoff: str | None = None
    context_window: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    input_modalities: list[str] = []
    output_modalities: list[str] = []
    capabilities: dict[str, bool] = {}
    prices: dict[str, str] = {}
    lifecycle: Lifecycle = Lifecycle()
    aliases: list[str] = []
    open_weights: bool | None = None
    sources: dict[str, str] = {}


class Change(msgspec.Struct, frozen=True):
    """One leaf that differs between two records; absent is null."""

    path: str
    old: Any = None
    new: Any = None


SCALARS = (
    "name", "owned_by", "family", "description", "created", "knowledge_cutoff", "context_window",
    "max_input_tokens", "max_output_tokens", "open_weights",
)  # fmt: skip
LISTS = ("input_modalities", "output_modalities", "aliases")
MAPS = ("capabilities", "prices")
LIFECYCLE = ("state", "deprecated_on", "retires_on", "replacement")


def leaves(record: ModelRecord) -> dict[str, Any]:
    """Return *record* as path to value, without the unknown ones and without `sources`.

    The keys of capabilities, prices and life cycle are dotted. A list counts as known when it is
    not empty or has a source: an empty list may be an answer.
    """
    found: dict[str, Any] = {}
    for path in SCALARS:
        if (value := getattr(record, path)) is not None:
            found[path] = value
    for path in LISTS:
        value = getattr(record, path)
        if value or path in record.sources:
            found[path] = value
    for path in MAPS:
        for key, value in getattr(record, path).items():
            found[f"{path}.{key}"] = value
    for key in LIFECYCLE:
        if (value := getattr(record.lifecycle, key)) is not None:
            found[f"lifecycle.{key}"] = value
    return found


def differences(old: ModelRecord, new: ModelRecord) -> list[Change]:
    """Return every leaf that differs, in the order of its path.

    A leaf that kept its value but has another source is a change at ``sources.<path>``.
    """
    if old == new:
        return []
    before, after = leaves(old), leaves(new)
    changes = [
        Change(path, before.get(path), after.get(path))
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    ]
    moved = {change.path for change in changes}
    changes += [
        Change(f"sources.{path}", old.sources.get(path), new.sources.get(path))
        for path in old.sources.keys() | new.sources.keys()
        if path not in moved and old.sources.get(path) != new.sources.get(path)
    ]
    return sorted(changes, key=lambda change: change.path)


def with_leaves(record: ModelRecord, values: Mapping[str, tuple[Any, str]]) -> ModelRecord:
    """Return *record* with the leaves of *values* set, each a value and its source.

    The paths are those of `leaves`. Lists must be sorted.
    """
    fields: dict[str, Any] = {}
    lifecycle: dict[str, Any] = {}
    sources = dict(record.sources)
    for path, (value, source) in values.items():
        sources[path] = source
        head, _, key = path.partition(".")
        if not key:
            fields[head] = value
        elif head == "lifecycle":
            lifecycle[key] = value
        else:
            fields.setdefault(head, dict(getattr(record, head)))[key] = value
    if lifecycle:
        fields["lifecycle"] = msgspec.structs.replace(record.lifecycle, **lifecycle)
    return msgspec.structs.replace(record, **fields, sources=dict(sorted(sources.items())))


def stated(record: ModelRecord, source: str, *, answered: tuple[str, ...] = ()) -> ModelRecord:
    """Return *record* with *source* as the origin of every leaf that it states.

    A name that only repeats the id and a life cycle that is merely active are defaults, not
    statements. *answered* names lists that were sent empty: those are answers, too.
    """
    sources = {path: source for path in leaves(record) if not _default(record, path)}
    sources.update(dict.fromkeys(answered, source))
    return msgspec.structs.replace(record, sources=dict(sorted(sources.items())))


def _default(record: ModelRecord, path: str) -> bool:
    if path == "name":
        return record.name == record.id
    return path == "lifecycle.state" and record.lifecycle.state == "active"


def decimal_text(amount: Decimal) -> str:
    """Spell *amount* as the catalogue does: six decimals at most, no exponent, no trailing zero.

    ``format(…, "f")`` is needed: `normalize` alone writes 10 as ``1E+1``.
    """
    rounded = round(amount, 6)
    text = format(rounded.normalize(), "f")
    return "0" if text == "-0" else text
