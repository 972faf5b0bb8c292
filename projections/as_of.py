"""The catalogue as it was: its models at a sequence, and the difference of two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from events.record import CAPABILITIES, ModelRecord, differences
from projections.rows import Ask, Difference, Model
from projections.search import ModelFilter


class Models:
    """The models of one moment: as of the sequence *seq*, or now where it is None."""

    def __init__(self, seq: int | None, search: Callable[[ModelFilter], list[Model]]) -> None:
        self.seq = seq
        self._search = search

    def search(self, wanted: ModelFilter | None = None) -> list[Model]:
        """Return the models that are *wanted*; all of them without a filter.

        Raises ValueError for a sort that there is none of.
        """
        return self._search(wanted or ModelFilter())

    def get(self, provider: str, id: str) -> Model | None:
        """Return one model, None where the provider does not list it."""
        return next(iter(self.search(ModelFilter(provider=provider, id=id))), None)

    def by_provider(self, provider: str) -> list[Model]:
        """Return the models of one provider, by id."""
        return self.search(ModelFilter(provider=provider))

    def by_capability(self, capability: str) -> list[Model]:
        """Return the models that are known to have *capability*, by provider and id."""
        return self.search(ModelFilter(capability_all=(capability,)))

    def capabilities(self, provider: str, id: str) -> dict[str, bool]:
        """Return what is known of a model's capabilities; what is not there is unknown.

        Raises KeyError where the provider does not list the model.
        """
        model = self.get(provider, id)
        if model is None:
            raise KeyError(f"{provider}/{id}")
        return model.capabilities

    def validate(self, provider: str, id: str, required: Iterable[str]) -> dict[str, bool | None]:
        """Return those of *required* that are not known true: false, or None for unknown.

        Empty where the model has all of them. Raises KeyError where the provider does not list
        the model, ValueError for a word that names no capability.
        """
        known = self.capabilities(provider, id)
        lacking: dict[str, bool | None] = {}
        for name in required:
            if name not in CAPABILITIES:
                raise ValueError(f"{name!r} is no capability; there are {', '.join(CAPABILITIES)}")
            if not known.get(name):
                lacking[name] = known.get(name)
        return lacking


_BETWEEN = """
SELECT touched.provider, touched.model_id, before.record, after.record
FROM (
  SELECT DISTINCT provider, model_id FROM model_history WHERE seq > ? AND seq <= ?{}
) AS touched
LEFT JOIN model_history AS before ON before.provider = touched.provider
  AND before.model_id = touched.model_id AND before.seq <= ?
  AND (before.until_seq IS NULL OR before.until_seq > ?) AND before.change <> 'removed'
LEFT JOIN model_history AS after ON after.provider = touched.provider
  AND after.model_id = touched.model_id AND after.seq <= ?
  AND (after.until_seq IS NULL OR after.until_seq > ?) AND after.change <> 'removed'
ORDER BY touched.provider, touched.model_id
"""
"""Each model with a version between two sequences, and its records at both; null where none."""

_decoder = msgspec.json.Decoder(ModelRecord)


def differences_between(
    ask: Ask,
    first: int,
    last: int,
    provider: str | None = None,
    after: tuple[str, str] | None = None,
) -> Iterator[Difference]:
    """Yield what became of each model from sequence *first* to *last*, by provider and id.

    *last* may be the earlier one. *provider* leaves out the models of others, *after* those of a
    provider and id, and before them.
    """
    narrower, wanted = "", []
    if provider is not None:
        narrower, wanted = " AND provider = ?", [provider]
    if after is not None:
        narrower, wanted = f"{narrower} AND (provider, model_id) > (?, ?)", [*wanted, *after]
    span = (min(first, last), max(first, last), *wanted)
    for provider_, id_, *records in ask(
        _BETWEEN.format(narrower), (*span, first, first, last, last)
    ):
        one = _difference(provider_, id_, *(found and _decoder.decode(found) for found in records))
        if one is not None:
            yield one


def _difference(
    provider: str, id: str, before: ModelRecord | None, after: ModelRecord | None
) -> Difference | None:
    """Return what became of a model; None where nothing did, whatever came between."""
    if before is None or after is None:
        if before is after:
            return None
        change = "appeared" if before is None else "vanished"
        return Difference(provider=provider, model_id=id, change=change, changed=[])
    changed = differences(before, after)
    if not changed:
        return None
    return Difference(provider=provider, model_id=id, change="changed", changed=changed)
