"""How a provider's refreshes end: failed runs in a row, and lists that are not believed. Pure.

Source: health.md, section 10, `discovery`.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

from events.audit import RefreshFailed, RefreshOutcome, RefreshQuarantined, RefreshSucceeded
from events.base import Instant

PASSED_OVER = frozenset({"cancelled", "interrupted"})
"""Classes of runs that ended through no fault of anybody: they neither count nor break a row."""


class Failures(NamedTuple):
    """Failed runs in a row, since the first of them; class, message and end of the last."""

    times: int
    since: Instant
    class_: str
    message: str
    last_at: Instant


class Quarantined(NamedTuple):
    """A list that is not believed, since the first such outcome; *models* it has now."""

    since: Instant
    models: int


class Runs(NamedTuple):
    """What the outcomes so far amount to."""

    failures: Failures | None = None
    quarantined: Quarantined | None = None


NONE = Runs()


def evolve(runs: Runs, outcome: RefreshOutcome) -> Runs:
    """Return *runs* after one more outcome.

    A run that brought a list ends a row of failures; a list that is believed ends a quarantine. An
    incomplete one, which still awaits what the quarantined list lacked, does not.
    """
    match outcome:
        case RefreshFailed(error=error):
            if error is not None and error.class_ in PASSED_OVER:
                return runs
            before = runs.failures
            return runs._replace(
                failures=Failures(
                    1 if before is None else before.times + 1,
                    outcome.at if before is None else before.since,
                    "check_error" if error is None else error.class_,
                    "" if error is None else error.message,
                    outcome.at,
                )
            )
        case RefreshQuarantined():
            quarantined = runs.quarantined
            since = outcome.at if quarantined is None else quarantined.since
            return Runs(quarantined=Quarantined(since, outcome.models))
        case RefreshSucceeded():
            return NONE if outcome.absent is None else Runs(quarantined=runs.quarantined)
        case _:
            assert_never(outcome)
