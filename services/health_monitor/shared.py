"""What a refresh has just seen stands for the monitor's own list call.

Source: health.md, section 8.
"""

from __future__ import annotations

from typing import NamedTuple

from events.audit import RefreshOutcome, RefreshQuarantined, RefreshSucceeded
from events.base import millis_of
from services.calls.classify import GROUPS, Group


class Shared(NamedTuple):
    """A refresh outcome as the class of a list call; *at* in milliseconds."""

    at: int
    class_: str
    models: int = 0
    complete: bool = False
    status: int | None = None
    message: str = ""

    @property
    def group(self) -> Group:
        """What the class means to the verdict."""
        return GROUPS.get(self.class_, "UNKNOWN")

    def stands(self, now: int, interval: float) -> bool:
        """Tell whether it stands for a call at *now*: what failed may only raise suspicion."""
        young = now - self.at < 500 * interval
        return young and self.group in {"OK", "PARTIAL", "BLOCKED", "THROTTLED"}


def shared(outcome: RefreshOutcome) -> Shared | None:
    """Return what *outcome* says of the provider; None where it made no call."""
    if outcome.attempts == 0:
        return None
    at = millis_of(outcome.at)
    if outcome.error is not None:
        return Shared(
            at, outcome.error.class_, status=outcome.error.status, message=outcome.error.message
        )
    class_ = "ok"
    if isinstance(outcome, RefreshQuarantined):
        class_ = "empty" if outcome.models == 0 else "shrunk"
    return Shared(at, class_, outcome.models, outcome.complete, 200)


def believed(outcome: RefreshOutcome) -> int | None:
    """Return how many models the accepted list of *outcome* has; None where it is none."""
    accepted = isinstance(outcome, RefreshSucceeded) and outcome.complete
    return outcome.models if accepted else None
