"""One provider as a refresher watches it: its settings, what is known, and its last list."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import NamedTuple

from events.base import Instant, ProviderName, elapsed
from events.decide.drift import Shape, drifted
from events.decide.enrichment import Enrich, plain
from events.decide.known import Known
from events.decide.models import Decision, Policy, decide
from events.decide.providers import Settings
from events.health import CheckCompleted
from events.observation import Observation
from events.providers import ProviderSchemaChanged
from services.calls.call import Outcome
from services.calls.pages import Fetched, Validators
from services.config import Schedule
from services.health_settings import Health
from services.providers import DIALECTS, Dialect
from services.providers.recall import Recall
from services.providers.table import BUILTIN


class Listing(NamedTuple):
    """The last list that was read whole; an unchanged body stands for it."""

    observation: Observation
    validators: Validators


class Settled(NamedTuple):
    """A decision that nothing follows from, and what it rested on."""

    known: Known | None = None
    seen: Observation | None = None
    enrich: Enrich = plain

    def holds(self, known: Known, seen: Observation, enrich: Enrich) -> bool:
        """Tell whether *seen* is the same list, *known* the same models, and nothing pends."""
        return (
            self.known is not None
            and self.seen is not None
            and seen.records is self.seen.records
            and seen.complete == self.seen.complete
            and enrich is self.enrich
            and not (known.holds or known.absences)
            and known.models == self.known.models
        )


class Watched:
    """A provider's state between two runs; `known` and `seq` are None until they were replayed."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is read yet."""
        self.settings = settings
        self.schedule = Schedule.from_settings(settings)
        self.health = Health.from_settings(settings)
        self.dialect: Dialect = DIALECTS[settings.dialect]
        self.known: Known | None = None
        self.seq = 0
        self.listing: Listing | None = None
        self.undecodable = 0
        self.worked = False
        self.enrich: Enrich = plain
        self._settled = Settled()
        self.turn = asyncio.Lock()
        self.recall = Recall()
        self.shape: Shape | None = None
        self.credential = ""
        self.last_run = ""
        self.checked: CheckCompleted | None = None
        self.restless = False

    def seen_unchanged(self, now: Instant) -> Fetched | None:
        """Return the last list where a check has just seen that it is still the same."""
        check, listing = self.checked, self.listing
        if check is None or listing is None or check.list_ is None:
            return None
        half = timedelta(seconds=self.health.interval / 2)
        sha256 = listing.validators.sha256
        same = check.list_.complete and sha256 is not None and sha256[:32] == check.list_.sha256
        if not same or elapsed(check.at, now) >= half:
            return None
        return Fetched(
            Outcome("ok", "OK", 200),
            complete=True,
            not_modified=True,
            validators=listing.validators,
        )

    def saw(self, check: CheckCompleted) -> bool:
        """Take note of a check; tell whether the list it saw is another one than ours.

        A list whose body is another at every look says nothing by that: it is *restless*.
        """
        before, self.checked = self.checked, check
        seen = check.list_
        if seen is None or seen.sha256 is None or not seen.complete or self.listing is None:
            return False
        if before is not None and before.list_ is not None:
            self.restless &= before.list_.sha256 != seen.sha256
        sha256 = self.listing.validators.sha256
        return not self.restless and sha256 is not None and sha256[:32] != seen.sha256

    def forget(self) -> None:
        """Another process has run it: what the log says of it is to be read anew."""
        self.known, self.seq, self.shape = None, 0, None

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.settings.name

    @property
    def policy(self) -> Policy:
        """How its lists are judged."""
        return Policy(
            removal_scans=self.schedule.removal_scans,
            removal_hold=self.schedule.hold,
            shrink_guard=None if self._local else self.schedule.shrink_guard,
            masked=self.dialect.masked,
        )

    @property
    def _local(self) -> bool:
        """Whether its owner changes its models by hand."""
        builtin = BUILTIN.get(self.name)
        return self.dialect.local if builtin is None else builtin.local

    def decide(self, known: Known, seen: Observation) -> Decision:
        """Decide on *seen*; where the same rows meant nothing to the same models, they still do."""
        if self._settled.holds(known, seen, self.enrich):
            return Decision([], [])
        self._settled = Settled()
        return decide(known, seen, self.policy, seen.at, self.enrich)

    def settle(self, seen: Observation, decision: Decision) -> None:
        """Take note that *decision* on *seen* is in the log, and `known` is what follows from it.

        Deciding the same again would yield nothing, unless something pends.
        """
        known = self.known
        if known is None or decision.held or decision.absences:
            return
        if all(model.missing_since is None for model in known.models.values()):
            self._settled = Settled(known, seen, self.enrich)

    def drifted(self, fetched: Fetched, now: Instant) -> ProviderSchemaChanged | None:
        """Return what has become of the fields since the last list, and keep those of this one.

        A process that has just started has no last list, and says nothing. Neither does an empty
        one, which has no fields.
        """
        if not fetched.records:
            return None
        ids = frozenset(record.id for record in fetched.records)
        before = self.shape
        self.shape = Shape(fetched.fields, ids, len(fetched.records) + fetched.duplicates)
        return drifted(self.name, before, self.shape, now)

    def observed(self, fetched: Fetched, now: Instant) -> Observation:
        """Return what *fetched* amounts to, and keep it as the last list if it was whole."""
        if fetched.not_modified and self.listing is not None:
            return self.listing.observation._replace(at=now)
        observation = Observation(
            provider=ProviderName(self.name),
            at=now,
            records=fetched.records,
            complete=fetched.complete,
            skipped=fetched.skipped,
            duplicates=fetched.duplicates,
        )
        self.undecodable, self.worked = fetched.undecodable, True
        validators = fetched.validators if fetched.complete else None
        self.listing = Listing(observation, validators) if validators is not None else None
        return observation
