"""From bytes to records: the envelope, then every row by itself, so a bad one spoils no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import msgspec

from events.record import Lifecycle, ModelRecord, stated
from events.subjects import LONGEST_TOKEN, BadSubject, escape
from services.providers.dialect import Page, Refused, Row
from services.providers.recall import current
from services.providers.values import inner, number, text

T = TypeVar("T")

PROVIDER = "provider"
"""The source of all that a dialect fills."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What may stand beside the rows, whatever the dialect."""

    error: Any = None
    success: Any = None


class _Error(msgspec.Struct, frozen=True):
    """An error object in any of the usual shapes."""

    error: Any = None
    errors: Any = None
    success: Any = None
    message: Any = None
    msg: Any = None


_error_decoder = msgspec.json.Decoder(_Error)
LONE = b"\\uffff"
"""Stands for half of a surrogate pair: a text that was cut would spoil the whole page."""
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)

EMPTY_KEYS = frozenset({"nextPageToken", "next_page_token", "totalSize"})
"""What an answer without rows may hold."""

_names: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Make the decoder of *kind*, which reads untyped numbers exactly."""
    return msgspec.json.Decoder(kind, float_hook=number)


def opened(body: bytes, envelope: msgspec.json.Decoder[T]) -> T:
    """Read the envelope of *body*.

    Raises Refused where it is an error object, and msgspec.DecodeError where it is neither.
    """
    try:
        read = envelope.decode(body)
    except msgspec.ValidationError:
        _refuse(body)
        raise
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(lambda found: LONE if found[1] else found[0], body)
        if mended == body:
            raise
        return opened(mended, envelope)
    if isinstance(read, Envelope) and (read.error or read.success is False):
        _refuse(body)
        raise Refused("invalid_response", "an error with status 200")
    return read


def _refuse(body: bytes) -> None:
    try:
        said = _error_decoder.decode(body)
    except UNREADABLE:
        return
    if said.error or said.errors or said.success is False:
        _raise(said)


def _raise(said: _Error) -> NoReturn:
    inside = said.errors[0] if isinstance(said.errors, list) and said.errors else None
    for found in (said.error, inner(said.error, "message"), inside, inner(inside, "message")):
        if words := text(found):
            raise Refused("invalid_response", words[:200])
    raise Refused("invalid_response", text(first_of(said.message, said.msg)) or "an error object")


def first_of(*values: object) -> object:
    """Return the first value that is not None."""
    return next((value for value in values if value is not None), None)


def rows_if_any(body: bytes, raws: list[msgspec.Raw] | None) -> list[msgspec.Raw]:
    """Return *raws*; where they are left out, none: Google's servers omit an empty list.

    Raises msgspec.ValidationError where *body* holds something else instead.
    """
    if raws is None and not _names.decode(body).keys() <= EMPTY_KEYS:
        raise msgspec.ValidationError("Object missing required field: there is no list in it")
    return raws or []


def is_array(body: bytes) -> bool:
    """Tell whether *body* is a bare array."""
    return body.lstrip()[:1] == b"["


_array: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


def array(body: bytes) -> list[msgspec.Raw]:
    """Read a list that has no envelope; raises as `opened` does."""
    return opened(body, _array)


def page(
    raws: Iterable[msgspec.Raw],
    row: msgspec.json.Decoder[T],
    record: Callable[[T], ModelRecord],
    *,
    onward: str | None = None,
    total: int | None = None,
) -> Page:
    """Read the rows of one answer, each by itself.

    *record* maps a row that decoded; it never raises.
    """
    rows: list[Row] = []
    failed = unusable = 0
    recall = current()
    for raw in raws:
        key = bytes(raw) if recall else b""
        if recall and (known := recall.find(key)) is not None:
            rows.append(known)
            continue
        try:
            made = record(row.decode(raw))
            fields = frozenset(_names.decode(raw))
        except UNREADABLE:
            failed += 1
            continue
        if usable_id(made.id):
            rows.append(Row(made, fields))
            if recall:
                recall.keep(key, rows[-1])
        else:
            unusable += 1
    return Page(rows, onward, total, failed, unusable)


def usable_id(id: str) -> bool:
    """Tell whether a subject can carry *id*; a text that was cut is no id."""
    try:
        return "\uffff" not in id and len(escape(id)) <= LONGEST_TOKEN
    except BadSubject:
        return False


def record(  # noqa: PLR0913 - a record has many fields
    id: str,
    *,
    name: object = None,
    owned_by: object = None,
    family: object = None,
    description: object = None,
    created: str | None = None,
    knowledge_cutoff: str | None = None,
    context_window: int | None = None,
    max_input_tokens: int | None = None,
    max_output_tokens: int | None = None,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    capabilities: Mapping[str, bool | None] | None = None,
    prices: Mapping[str, str] | None = None,
    lifecycle: Lifecycle | None = None,
    aliases: Sequence[str | None] | None = None,
    open_weights: bool | None = None,
) -> ModelRecord:
    """Make the record of a row out of what its dialect found; None is unknown everywhere.

    A list that is empty was sent empty, and is an answer.
    """
    known = {key: value for key, value in (capabilities or {}).items() if value is not None}
    lists = {"input_modalities": inputs, "output_modalities": outputs, "aliases": aliases}
    others = sorted({said for alias in aliases or () if (said := text(alias)) and said != id})
    return stated(
        ModelRecord(
            id=id,
            name=text(name) or text(id) or id,
            owned_by=text(owned_by),
            family=text(family),
            description=text(description),
            created=created,
            knowledge_cutoff=knowledge_cutoff,
            context_window=context_window,
            max_input_tokens=max_input_tokens,
            max_output_tokens=max_output_tokens,
            input_modalities=sorted(set(inputs or ())),
            output_modalities=sorted(set(outputs or ())),
            capabilities=dict(sorted(known.items())),
            prices=dict(sorted((prices or {}).items())),
            lifecycle=lifecycle or Lifecycle(),
            aliases=others,
            open_weights=open_weights,
        ),
        PROVIDER,
        answered=tuple(path for path, value in lists.items() if value is not None),
    )


def lifecycle(
    *,
    deprecated: bool = False,
    preview: bool = False,
    deprecated_on: str | None = None,
    retires_on: str | None = None,
    replacement: object = None,
) -> Lifecycle:
    """Return where a model stands by its dates: an explicit word goes before them.

    Without one, a date of its end makes it deprecated, passed or not.
    """
    state: Any = "preview" if preview else "active"
    if deprecated or deprecated_on or retires_on:
        state = "deprecated"
    return Lifecycle(
        state=state,
        deprecated_on=deprecated_on,
        retires_on=retires_on,
        replacement=text(replacement),
    )
