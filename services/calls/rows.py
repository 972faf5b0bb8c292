"""The rows of one list become one record an id, in whatever order they came. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from events.record import ModelRecord
from services.providers import Row

UNITED = ("input_modalities", "output_modalities")


def merged(records: Iterable[ModelRecord]) -> tuple[ModelRecord, ...]:
    """Return one record for each id, sorted by id.

    Of several a capability is true if any says true, else false if any says false; modalities
    are united; every other field is that of the smallest record as canonical JSON, so that the
    order of rows decides nothing.
    """
    by_id: dict[str, list[ModelRecord]] = {}
    for record in records:
        by_id.setdefault(record.id, []).append(record)
    return tuple(_one(same) for _, same in sorted(by_id.items()))


def fields(rows: Iterable[Row]) -> dict[str, int]:
    """Return in how many of *rows* each raw field was sent."""
    alike = Counter(row.fields for row in rows)
    found: Counter[str] = Counter()
    for names, count in alike.items():
        found.update(dict.fromkeys(names, count))
    return dict(sorted(found.items()))


def _one(records: list[ModelRecord]) -> ModelRecord:
    if len(records) == 1:
        return records[0]
    first = min(records, key=_canonical)
    capabilities: dict[str, bool] = {}
    for record in records:
        for name, value in record.capabilities.items():
            capabilities[name] = capabilities.get(name, False) or value
    sources = {path: source for path, source in first.sources.items() if not _is_united(path)}
    for record in sorted(records, key=_canonical, reverse=True):
        sources |= {path: who for path, who in record.sources.items() if _is_united(path)}
    return msgspec.structs.replace(
        first,
        capabilities=dict(sorted(capabilities.items())),
        input_modalities=sorted({word for each in records for word in each.input_modalities}),
        output_modalities=sorted({word for each in records for word in each.output_modalities}),
        sources=dict(sorted(sources.items())),
    )


def _canonical(record: ModelRecord) -> bytes:
    return msgspec.json.encode(record, order="sorted")


def _is_united(path: str) -> bool:
    return path in UNITED or path.startswith("capabilities.")
