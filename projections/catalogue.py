"""Every question in Python: the command line and the query subjects ask here, too."""

from __future__ import annotations

import sqlite3
import time  # noqa: TID251 - waiting for a sequence is the one question that takes time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from events.base import Instant
from events.subjects import FACTS
from projections import checkpoint, moments
from projections.as_of import Models, differences_between
from projections.checkpoint import Checkpoint
from projections.condition import Conditions
from projections.reader import INTERRUPTED
from projections.rows import Difference, Model, Provider, Refresh, Version, built, columns
from projections.search import ModelFilter, Place, found

POLL_SECONDS = 0.01


class NotReadable(Exception):
    """A question in SQL that cannot be answered: wrong, or one that would write."""


class Answer(NamedTuple):
    """The rows of a question in SQL, and the names of their columns."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


class Catalogue(Conditions):
    """A catalogue, open to read; every question sees the newest generation. Not for two threads.

    Moments are sequences of `MODELOG`, or instants; an instant means the largest sequence whose
    running maximum of `at` is not later.
    """

    # models

    def as_of(self, moment: int | Instant) -> Models:
        """Return the models as they were: a sequence, RFC 3339 or a date. Raises ValueError."""
        seq = self.resolve(moment)
        return Models(seq, lambda wanted: self.search(wanted, as_of=seq))

    def _models(self, moment: int | Instant | None = None) -> Models:
        return Models(None, self.search) if moment is None else self.as_of(moment)

    def get(self, provider: str, id: str, *, as_of: int | Instant | None = None) -> Model | None:
        """Return one model, None where the provider does not list it."""
        return self._models(as_of).get(provider, id)

    def by_provider(self, provider: str) -> list[Model]:
        """Return the models of one provider, by id."""
        return self._models().by_provider(provider)

    def by_capability(self, capability: str) -> list[Model]:
        """Return the models that are known to have *capability*, by provider and id."""
        return self._models().by_capability(capability)

    def search(
        self, wanted: ModelFilter | None = None, *, as_of: int | Instant | None = None
    ) -> list[Model]:
        """Return the models that are *wanted*; all of them without a filter.

        Raises ValueError for a sort that there is none of, and a moment that is none.
        """
        return [model for _, model in self.placed(wanted or ModelFilter(), as_of=as_of)]

    def placed(
        self, wanted: ModelFilter, *, as_of: int | Instant | None = None
    ) -> Iterator[tuple[Place, Model]]:
        """Yield what `search` returns, each with the place behind which a next page begins."""
        at = None if as_of is None else self.resolve(as_of)
        for place, row in found(self._ask, wanted, at):
            yield place, built(Model, row)

    def capabilities(self, provider: str, id: str) -> dict[str, bool]:
        """Return what is known of a model's capabilities; what is not there is unknown.

        Raises KeyError where the provider does not list the model.
        """
        return self._models().capabilities(provider, id)

    def validate(self, provider: str, id: str, required: Iterable[str]) -> dict[str, bool | None]:
        """Return those of *required* that are not known true: false, or None for unknown.

        Empty where the model has all of them. Raises KeyError where the provider does not list
        the model, ValueError for a word that names no capability.
        """
        return self._models().validate(provider, id, required)

    def history(
        self,
        id: str,
        provider: str | None = None,
        *,
        after: tuple[str, int] | None = None,
        limit: int | None = None,
    ) -> list[Version]:
        """Return every version of a model, oldest first: of one provider, or of all by name.

        *after* a provider and a sequence, and at most *limit*, where they are given.
        """
        where, given = "model_id = ?", list[Any]([id])
        if provider is not None:
            where, given = f"{where} AND provider = ?", [*given, provider]
        if after is not None:
            where, given = f"{where} AND (provider, seq) > (?, ?)", [*given, *after]
        sql = (
            f"SELECT {columns(Version)} FROM model_history WHERE {where}"  # noqa: S608 - built of our own words
            " ORDER BY provider, seq LIMIT ?"
        )
        rows = self._ask(sql, [*given, -1 if limit is None else limit])
        return [built(Version, row) for row in rows]

    def diff(self, from_: int | Instant, to: int | Instant) -> list[Difference]:
        """Return what became of each model between two moments, by provider and id."""
        return list(self.differences(from_, to))

    def differences(
        self,
        from_: int | Instant,
        to: int | Instant,
        provider: str | None = None,
        after: tuple[str, str] | None = None,
    ) -> Iterator[Difference]:
        """Yield what `diff` returns, of one provider and *after* a provider and id if given."""
        first, last = self.resolve(from_), self.resolve(to)
        return differences_between(self._ask, first, last, provider, after)

    # providers

    def providers(self) -> list[Provider]:
        """Return the registered providers, by name."""
        sql = f"SELECT {columns(Provider)} FROM providers ORDER BY name"  # noqa: S608 - our own words
        return [built(Provider, row) for row in self._ask(sql)]

    def provider(self, name: str) -> Provider | None:
        """Return one provider, None where none of that name is registered."""
        sql = f"SELECT {columns(Provider)} FROM providers WHERE name = ?"  # noqa: S608 - our own words
        row = self._ask(sql, (name,)).fetchone()
        return None if row is None else built(Provider, row)

    def settings(self, name: str) -> dict[str, Any]:
        """Return where a provider's keys are, its options, its schedule and its health settings.

        Empty where none of that name is registered.
        """
        names = ("credential", "credentials", "headers", "options", "schedule", "health")
        row = self._ask(_SETTINGS, (name,)).fetchone()
        if row is None:
            return {}
        return {
            key: None if stored is None else msgspec.json.decode(stored)
            for key, stored in zip(names, row, strict=True)
        }

    def refreshes(self, provider: str | None = None, limit: int | None = None) -> list[Refresh]:
        """Return the runs, newest first: of one provider or of all."""
        where, given = ("WHERE provider = ? ", [provider]) if provider is not None else ("", [])
        sql = f"SELECT {columns(Refresh)} FROM refreshes {where}ORDER BY seq DESC LIMIT ?"  # noqa: S608 - built of our own words
        rows = self._ask(sql, [*given, -1 if limit is None else limit])
        return [built(Refresh, row) for row in rows]

    # the log

    def checkpoint(self) -> dict[str, Checkpoint]:
        """Return how far each stream is folded."""
        return checkpoint.read(self._db)

    def seq(self) -> int:
        """Return the last sequence of `MODELOG` that is folded, 0 before the first."""
        found = self.checkpoint().get(FACTS)
        return found.seq if found else 0

    def resolve(self, moment: int | Instant) -> int:
        """Return the sequence that *moment* means, at most the last one that is folded.

        Raises ValueError for a text that is neither RFC 3339 nor a date.
        """
        last = self.seq()
        if isinstance(moment, int):
            return min(moment, last)
        return moments.sequence(self._db, moments.instant(moment), last)

    def wait(self, seq: int, timeout: float) -> bool:
        """Wait until *seq* of `MODELOG` is folded; False where it is not within *timeout* seconds.

        For who has just appended, and wants to read it.
        """
        deadline = time.monotonic() + timeout
        while self.seq() < seq:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def unknown_events(self) -> int:
        """Return how many events of a newer version are kept raw."""
        return int(self._ask("SELECT count(*) FROM event_unknown").fetchone()[0])

    def counts(self) -> dict[str, int]:
        """Return how many providers, models, listed and missing models, and versions there are."""
        row = self._ask(_COUNTS).fetchone()
        return dict(zip(("providers", "models", "listed", "missing", "versions"), row, strict=True))

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Answer:
        """Answer any question in SQL; raises NotReadable for one that is wrong or would write.

        Within `steady`, one that takes too long raises TooSlow.
        """
        try:
            cursor = self._db.execute(sql, tuple(parameters))
            rows = cursor.fetchall()
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if str(error) == INTERRUPTED:
                raise
            refused = str(error) in {"not authorized", "authorization denied"}
            told = (
                "the catalogue is readonly: SQL may ask, and change nothing" if refused else error
            )
            raise NotReadable(str(told)) from error
        return Answer([column[0] for column in cursor.description or ()], rows)


_SETTINGS = """
SELECT credential, credentials, headers, options, schedule, health FROM provider_settings
WHERE name = ?
"""
_COUNTS = """
SELECT (SELECT count(*) FROM provider_settings), (SELECT count(*) FROM models),
  (SELECT count(*) FROM models WHERE availability = 'listed'),
  (SELECT count(*) FROM models WHERE availability = 'missing'),
  (SELECT count(*) FROM model_history)
"""
