"""Which status a counted cycle leads to: the third step of the reducer.

Source: health.md, section 5, whose numbers the rules bear. Moments are milliseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from events.decide.counting import NONE, Cycle, Rates, Rules, rates, relapses, throttled
from events.health import Health, Status, Streak, blocked, down


class Becomes(NamedTuple):
    """A decision: the new status, its cause, since when, and what the change itself forgets."""

    status: Status
    cause: str | None
    at: int
    forgets: dict[str, object] = {}


def decide(health: Health, seen: Cycle, rules: Rules, now: int) -> Becomes | None:
    """Return what *health*, with *seen* counted, becomes by the first rule that matches."""
    verdict, window = seen.verdict, rates(health)
    error, is_down = health.status == "error", down(health.status, health.cause)
    if verdict == "BLOCKED" and health.b.count >= rules.block_threshold:  # 2
        return Becomes("error", modal(health, seen)[1], _start(seen, health.b))
    if verdict == "FAIL" and health.f.count >= rules.failure_threshold and not is_down:  # 3
        return Becomes("error", "outage", _start(seen, health.f))
    enough = window.samples >= rules.min_samples
    if verdict == "FAIL" and not error and enough and window.failing >= rules.unhealthy_threshold:
        return Becomes("error", "error_rate", now)  # 4
    back = blocked(health.status, health.cause) or health.o.count >= rules.recovery_threshold
    if error and verdict in {"OK", "PARTIAL"} and back:  # 5
        to, cause = _recovered(seen, relapses(health, rules, now))
        return Becomes(to, cause, _start(seen, health.o), {"clean": (), "faulty": ()})
    if is_down and throttled(health, rules):  # 6
        forgets: dict[str, object] = {"f": NONE, "streak": ()}
        return Becomes("degraded", "throttled", _start(seen, health.th), forgets)
    if error:  # 7
        return None
    if health.status == "inactive":  # 8
        return _begun(health, seen, rules, now)
    worse = _degraded(health, seen, rules, window)
    if worse is not None:  # 9
        return Becomes("degraded", worse, now)
    # Only an OK leaves g above 0; what is active stays so.
    clean = window.errors < rules.degraded_threshold / 2
    if clean and health.g.count >= _asked(relapses(health, rules, now), rules):  # 10
        return Becomes("active", None, now)
    return None  # 11


def _recovered(seen: Cycle, entries: int) -> tuple[Status, str | None]:
    if seen.verdict == "PARTIAL":
        return "degraded", seen.cause
    return ("degraded", "flapping") if entries >= 2 else ("active", None)  # noqa: PLR2004 - again


def _begun(health: Health, seen: Cycle, rules: Rules, now: int) -> Becomes | None:
    """Return what a provider of which nothing was known becomes."""
    if seen.verdict == "OK":
        return Becomes("active", None, now)
    if seen.verdict == "PARTIAL":
        return Becomes("degraded", seen.cause, now)
    return Becomes("degraded", "throttled", now) if throttled(health, rules) else None


def _degraded(health: Health, seen: Cycle, rules: Rules, window: Rates) -> str | None:
    """Return why a usable provider is degraded, None where nothing says so."""
    if throttled(health, rules):
        return "throttled"
    overloaded = seen.verdict == "FAIL" and seen.class_ == "overloaded"
    if overloaded and seen.wait > rules.confirm_interval:
        return "overloaded"
    if health.pa.count >= rules.partial_threshold:
        if seen.verdict == "PARTIAL":
            return seen.cause
        return "slow" if health.cause == "slow" else "partial"
    if window.samples >= rules.min_samples and window.errors >= rules.degraded_threshold:
        return "error_rate"
    return "flapping" if health.flapping else None


def _asked(entries: int, rules: Rules) -> int:
    """Return how many good cycles in a row a degraded provider needs: the more, the more often."""
    return min(rules.relapse_cap, rules.recovery_threshold << max(0, entries - 1))


def _start(seen: Cycle, streak: Streak) -> int:
    """Return when the first cycle of *streak* began, of which *seen* is the newest."""
    return seen.ended - streak.since


def modal(health: Health, seen: Cycle) -> tuple[str, str | None]:
    """Return the class, and its cause, that the streak shows most, of several the newest."""
    names = [(class_, cause) for class_, cause, _ in reversed(health.streak)]
    return max(names or [(seen.class_, seen.cause)], key=names.count)
