"""Models as CSV and as JSON: the columns of the catalogue, in its order."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator

import msgspec

from projections.rows import Model


def as_csv(models: Iterable[Model], shown: Callable[[str], str] = str) -> Iterator[str]:
    """Yield CSV (RFC 4180) with a header: nested values are JSON, what is unknown is empty.

    *shown* is what becomes of each cell's text.
    """
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    names = Model.__struct_fields__
    writer.writerow(names)
    for model in models:
        writer.writerow([shown(_cell(getattr(model, name))) for name in names])
        yield sink.getvalue()
        sink.seek(0)
        sink.truncate()
    yield sink.getvalue()


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case _:
            return msgspec.json.encode(value).decode()


def as_json(models: Iterable[Model]) -> Iterator[str]:
    """Yield one JSON array of models, a line each."""
    before = "["
    for model in models:
        yield before + msgspec.json.encode(model).decode()
        before = ",\n "
    yield "]\n" if before != "[" else "[]\n"
