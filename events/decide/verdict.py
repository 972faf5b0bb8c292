"""The checks of one cycle, and the one verdict that they add up to.

Source: health.md, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

from events.health import BLOCKED_CAUSES, CheckResult, Verdict

ANSWERED = ("OK", "PARTIAL", "FAIL")
"""Groups of checks that say how the provider is; the others say nothing of it."""


class Judged(NamedTuple):
    """What a cycle's checks mean.

    *cause* is that of a BLOCKED or PARTIAL verdict. *class_*, *status_code* and *message* are those
    of the check that decided. *error_rate* is E, from 0 to 1.
    """

    verdict: Verdict
    cause: str | None
    class_: str
    status_code: int | None
    error_rate: float
    message: str


def judge(checks: Sequence[CheckResult], unhealthy_threshold: float) -> Judged:
    """Return the verdict over *checks*; where none of them says anything it is UNKNOWN."""
    answered = _of(checks, *ANSWERED)
    critical = [one for one in checks if one.critical]
    weight = fsum(one.weight for one in answered)
    failed = fsum(one.weight for one in answered if one.verdict == "FAIL")
    partial = fsum(one.weight for one in answered if one.verdict == "PARTIAL")
    errors = (failed + partial / 2) / weight if weight else 0.0

    if lost := _of(critical, "FAIL"):
        return _judged("FAIL", None, lost, errors)
    if refused := _of(critical, "BLOCKED"):
        cause = min(map(_cause, refused), key=BLOCKED_CAUSES.index)
        refused = [one for one in refused if _cause(one) == cause]
        return _judged("BLOCKED", cause, refused, errors)
    if throttled := _of(critical, "THROTTLED"):
        return _judged("THROTTLED", None, throttled, errors)
    if silent := _of(critical, "NEUTRAL", "UNKNOWN"):
        return _judged("UNKNOWN", None, silent, errors)
    if not answered:
        return _judged("UNKNOWN", None, checks, errors)
    if failed / weight >= unhealthy_threshold:
        return _judged("FAIL", None, _of(answered, "FAIL"), errors)
    faulty = _of(answered, "PARTIAL", "FAIL")
    if worse := [one for one in faulty if one.class_ != "slow"]:
        return _judged("PARTIAL", "partial", worse, errors)
    if faulty:
        return _judged("PARTIAL", "slow", faulty, errors)
    return _judged("OK", None, answered, errors)


def _of(checks: Sequence[CheckResult], *groups: str) -> list[CheckResult]:
    return [one for one in checks if one.verdict in groups]


def _cause(check: CheckResult) -> str:
    """Return why *check* was refused; any other class is a fault of the configuration."""
    return check.class_ if check.class_ in BLOCKED_CAUSES else "config"


def _judged(
    verdict: Verdict, cause: str | None, deciding: Sequence[CheckResult], errors: float
) -> Judged:
    """Return the verdict with the evidence of the first of *deciding*: critical, then heaviest."""
    if not deciding:
        return Judged(verdict, cause, "check_error", None, errors, "no check ran")
    first = max(deciding, key=lambda one: (one.critical, one.weight))
    return Judged(verdict, cause, first.class_, first.status_code, errors, first.message)
