"""Records are filled with what models.dev says: each as it comes, and all when that has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from events.base import ProviderName
from events.decide.enrichment import Enrich, merge, strip
from events.decide.known import Known
from events.decide.models import Decision
from events.decide.providers import Settings
from events.models import ModelUpdated
from events.observation import Observation
from events.record import ModelRecord
from services import clock as clocks
from services.jetstream.append import Fenced
from services.logs import say
from services.process import Host
from services.refresher.models_dev import SOURCE, Offers
from services.refresher.refresh import append
from services.refresher.watched import Watched

MOST = 20_000
"""Filled records that are remembered, so that an unchanged row is not filled again."""


def filling(offers: Offers, names: tuple[str, ...], *, lifecycle: bool = True) -> Enrich:
    """Return what fills records with what *offers* says under *names*.

    Without *lifecycle*, nothing is said of that: where a provider states it for each model, active
    is its word, too, although a record does not tell that from silence.
    """
    done: dict[str, tuple[ModelRecord, ModelRecord]] = {}

    def enrich(record: ModelRecord) -> ModelRecord:
        last = done.get(record.id)
        if last is not None and last[0] == record:
            return last[1]
        said = offers.of(names, record)
        if not lifecycle:
            said = {path: value for path, value in said.items() if path != "lifecycle.state"}
        filled = merge(record, said, SOURCE)
        if filled is not record:
            if len(done) >= MOST:
                done.clear()
            done[record.id] = record, filled
        return filled

    return enrich


async def fill(
    watched: Iterable[tuple[Watched, Host | None]], of: Callable[[Settings], Enrich]
) -> None:
    """Make the listed models of all *watched* what the enrichment says now: one pass.

    Each comes with the host under the provider's lease, or None where another process has that.
    Its facts carry one correlation id. What the providers said stays as it is; their next lists are
    filled by the same words.
    """
    pass_id = clocks.new_id()
    models = updated = 0
    for one, host in watched:
        enrich = of(one.settings)
        if host is None:
            one.enrich = enrich
            continue
        try:
            decided = await _fill(host, one, enrich, pass_id)
        except Fenced:
            continue
        models += 0 if one.known is None else len(one.known.models)
        updated += decided.count(ModelUpdated)
    say("enriched", models=models, updated=updated)


async def _fill(host: Host, one: Watched, enrich: Enrich, pass_id: str) -> Decision:
    now = host.clock.now()

    def observe(known: Known) -> Observation:
        one.enrich = enrich
        listed = (model for model in known.models.values() if model.missing_since is None)
        records = tuple([strip(model.record) for model in listed])
        return Observation(ProviderName(one.name), now, records, complete=False)

    return await append(host, one, observe, pass_id)
