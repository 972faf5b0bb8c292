"""What models.dev says of the models of the providers that are built in, in our words. Pure.

A row is read when its model is first asked for: most of them never are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from events.decide.enrichment import Facts, agreed
from events.record import Lifecycle, ModelRecord, leaves
from services.providers import rows
from services.providers.table import BUILTIN
from services.providers.units import PER_MILLION, prices
from services.providers.values import cutoff, day, flag, inner, modalities, senses, whole

SOURCE = "models.dev"
NAMES = frozenset(name for row in BUILTIN.values() for name in row.models_dev)
"""Their names of the providers that are built in; the others' models are passed over."""
LARGEST_ROW = 65_536
MOST_VALUES = 700_000
"""Values of a document, some 22 a model: more would cost hundreds of megabytes to look at."""
COSTS = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "reasoning": "reasoning",
    "input_audio": "audio_input",
    "output_audio": "audio_output",
}
"""Their keys and ours, all in USD per 1,000,000 tokens. What has a condition is left out."""
STATES = {"alpha": "preview", "beta": "preview", "deprecated": "deprecated"}


class NoOffers(Exception):
    """A document that holds nothing of any provider that is built in."""


class _Listing(msgspec.Struct, frozen=True):
    models: dict[str, msgspec.Raw]


class _Model(msgspec.Struct, frozen=True, kw_only=True):
    name: Any = None
    family: Any = None
    reasoning: Any = None
    tool_call: Any = None
    structured_output: Any = None
    open_weights: Any = None
    knowledge: Any = None
    release_date: Any = None
    last_updated: Any = None
    status: Any = None
    modalities: Any = None
    limit: Any = None
    cost: Any = None


_document: msgspec.json.Decoder[dict[str, msgspec.Raw]] = rows.decoder(dict[str, msgspec.Raw])
_listing = rows.decoder(_Listing)
_model = rows.decoder(_Model)


class Offers:
    """What models.dev says, as one document of theirs has it."""

    def __init__(self, listed: dict[str, dict[str, bytes]]) -> None:
        self._listed = listed
        self._read: dict[tuple[str, str], Facts] = {}

    def __len__(self) -> int:
        """Return how many models it tells of."""
        return sum(map(len, self._listed.values()))

    @property
    def newest(self) -> str:
        """The last day on which a row of it was changed."""
        found = (
            day(row.last_updated)
            for models in self._listed.values()
            for raw in models.values()
            if (row := _row(raw)) is not None
        )
        return max((date for date in found if date), default="")

    def of(self, names: Sequence[str], record: ModelRecord) -> Facts:
        """Return what is said of the model of *record* under *names*, the first of which wins.

        It is found by its exact id, else by the aliases that its provider declares; where these
        are several models' names, what those have in common.
        """
        for name in names:
            if record.id in self._listed.get(name, ()):
                return self._facts(name, record.id)
        found: dict[str, Facts] = {}
        for name in reversed(names):
            for alias in record.aliases:
                if alias in self._listed.get(name, ()):
                    found[alias] = self._facts(name, alias)
        return agreed(list(found.values()))

    def _facts(self, name: str, id_: str) -> Facts:
        key = (name, id_)
        if key not in self._read:
            row = _row(self._listed[name][id_])
            self._read[key] = {} if row is None else _said(id_, row)
        return self._read[key]


NOTHING = Offers({})


def read(body: bytes) -> Offers:
    """Read their `api.json`; what of it does not decode is passed over.

    Raises NoOffers where nothing is left, or where there is too much to be true.
    """
    if body.count(b":") > MOST_VALUES:
        raise NoOffers(f"a document of more than {MOST_VALUES} values")
    try:
        document = _document.decode(body)
    except rows.UNREADABLE as error:
        raise NoOffers(f"no document of models.dev: {error}") from error
    offers = Offers({name: _models(document[name]) for name in sorted(NAMES & document.keys())})
    if not len(offers):
        raise NoOffers("no model of any provider that is built in")
    return offers


def _models(raw: msgspec.Raw) -> dict[str, bytes]:
    try:
        models = _listing.decode(raw).models
    except rows.UNREADABLE:
        return {}
    found = ((id_, bytes(model)) for id_, model in models.items())
    return {id_: model for id_, model in found if len(model) <= LARGEST_ROW}


def _row(raw: bytes) -> _Model | None:
    try:
        return _model.decode(raw)
    except rows.UNREADABLE:
        return None


def _said(id_: str, row: _Model) -> Facts:
    """Return what *row* states. An attachment is no picture: it says nothing of vision."""
    inputs = modalities(inner(row.modalities, "input")) or None
    state: Any = STATES.get(row.status) if isinstance(row.status, str) else None
    record = rows.record(
        id_,
        name=row.name,
        family=row.family,
        created=day(row.release_date),
        knowledge_cutoff=cutoff(row.knowledge),
        context_window=whole(inner(row.limit, "context")),
        max_input_tokens=whole(inner(row.limit, "input")),
        max_output_tokens=whole(inner(row.limit, "output")),
        inputs=inputs,
        outputs=modalities(inner(row.modalities, "output")) or None,
        capabilities={
            **senses(inputs, closed=True),
            "tools": flag(row.tool_call),
            "reasoning": flag(row.reasoning),
            "structured_output": flag(row.structured_output),
        },
        prices=prices(row.cost, COSTS, PER_MILLION),
        lifecycle=Lifecycle(state=state) if state else None,
        open_weights=flag(row.open_weights),
    )
    known = leaves(record)
    return {path: known[path] for path in record.sources}
