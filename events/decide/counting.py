"""What a cycle adds to a provider's streaks and window, and when too much time was missed.

The first two steps of the reducer: the gap, the count. Source: health.md, section 5.
"""

from __future__ import annotations

from math import fsum
from typing import NamedTuple

from msgspec.structs import replace

from events.decide.flapping import SEEN, remembered, score
from events.health import Health, Sample, Streak, Verdict

LONGEST = 10
"""Members of a streak that are remembered by name, at most."""
NONE = Streak()


class Rules(NamedTuple):
    """The thresholds of one provider; spans are milliseconds."""

    interval: int
    confirm_interval: int
    stale_factor: float
    failure_threshold: int
    recovery_threshold: int
    unhealthy_threshold: float
    degraded_threshold: float
    window: int
    min_samples: int
    partial_threshold: int
    block_threshold: int
    throttle_threshold: int
    throttle_hold: int
    flap_high: float
    flap_low: float
    relapse_window: int
    relapse_cap: int


class Cycle(NamedTuple):
    """How a cycle ended; *wait* is how many milliseconds the provider asked us to wait."""

    cycle_id: str
    started: int
    ended: int
    verdict: Verdict
    cause: str | None
    class_: str
    status_code: int | None = None
    error_rate: float = 0.0
    wait: int = 0
    message: str = ""


class Rates(NamedTuple):
    """The window: *failures* of *samples* cycles failed; *errors* is their mean E."""

    samples: int
    failures: int
    failing: float
    errors: float


def missed(health: Health, rules: Rules, *, due: int | None, now: int) -> bool:
    """Tell whether the cycle that was *due* did not count in time.

    So it is, too, where the clock was set far back: a moment that lies ahead proves nothing.
    """
    if health.last_at is not None and health.last_at - now > _slack(rules, rules.interval):
        return True
    if due is None:
        return False
    last = due if health.last_at is None else health.last_at
    return now > due + _slack(rules, max(rules.interval, due - last))


def late(health: Health, seen: Cycle, rules: Rules) -> bool:
    """Tell whether *seen* is no news: counted already, or ended before what was."""
    if health.last_at is None:
        return False
    return 0 <= health.last_at - seen.ended <= _slack(rules, rules.interval)


def fresh(health: Health) -> Health:
    """Return *health* with no streak and an empty window."""
    return replace(
        health, f=NONE, o=NONE, g=NONE, b=NONE, th=NONE, pa=NONE, clean=(), faulty=(), streak=()
    )


def count(health: Health, seen: Cycle, rules: Rules) -> Health:
    """Return *health* with *seen* counted, which must not be UNKNOWN."""
    health = _aged(health, seen, rules)
    age, confirm = seen.ended - seen.started, rules.confirm_interval
    match seen.verdict:
        case "OK":
            return _remembered(
                replace(
                    health,
                    o=_confirmed(health.o, age, confirm),
                    g=_confirmed(health.g, age, confirm),
                    **dict.fromkeys(("f", "b", "th", "pa"), NONE),
                    streak=(),
                    clean=(0, *health.clean),
                ),
                rules,
                failed=False,
            )
        case "PARTIAL":
            return _remembered(
                replace(
                    health,
                    o=_confirmed(health.o, age, confirm),
                    pa=_confirmed(health.pa, age, confirm),
                    **dict.fromkeys(("f", "b", "th", "g"), NONE),
                    streak=(),
                    faulty=(Sample(0, failed=False, errors=seen.error_rate), *health.faulty),
                ),
                rules,
                failed=False,
            )
        case "FAIL":
            f = _confirmed(health.f, age, confirm)
            return _remembered(
                replace(
                    health,
                    f=f,
                    **dict.fromkeys(("o", "g", "b", "th", "pa"), NONE),
                    streak=_named(health, seen, rules, health.f, f),
                    faulty=(Sample(0, failed=True, errors=1.0), *health.faulty),
                ),
                rules,
                failed=True,
            )
        case "BLOCKED":
            b = _raised(health.b, age)
            return replace(
                health,
                b=b,
                **dict.fromkeys(("f", "o", "g", "th", "pa"), NONE),
                streak=_named(health, seen, rules, health.b, b),
            )
        case _:
            return replace(health, th=_raised(health.th, age), g=NONE)


def rates(health: Health) -> Rates:
    """Return how many of the cycles in the window failed, and their mean error."""
    samples = len(health.clean) + len(health.faulty)
    failures = sum(one.failed for one in health.faulty)
    errors = fsum(one.errors for one in health.faulty)
    return Rates(samples, failures, failures / max(1, samples), errors / max(1, samples))


def throttled(health: Health, rules: Rules) -> bool:
    """Tell whether the provider has refused us for a while for asking too often."""
    th = health.th
    held = th.count >= 2 and th.since >= rules.throttle_hold  # noqa: PLR2004 - once is no span
    return th.count >= rules.throttle_threshold or held


def relapses(health: Health, rules: Rules, now: int) -> int:
    """Return how often the provider went down within the relapse window before *now*."""
    return sum(now - moment <= rules.relapse_window for moment in health.relapses)


def _slack(rules: Rules, span: int) -> float:
    return (rules.stale_factor - 1) * span


def _aged(health: Health, seen: Cycle, rules: Rules) -> Health:
    """Return *health* with all ages as they are at the end of *seen*; what is too old is gone."""
    last = seen.ended if health.last_at is None else health.last_at
    by = seen.ended - last
    streaks = {
        name: Streak(one.count, one.since + by, one.last + by)
        for name in ("f", "o", "g", "b", "th", "pa")
        if (one := getattr(health, name)).count
    }
    return replace(
        health,
        **streaks,
        clean=tuple(age + by for age in health.clean if age + by <= rules.window),
        faulty=tuple(
            Sample(one.age + by, one.failed, one.errors)
            for one in health.faulty
            if one.age + by <= rules.window
        ),
        last_at=seen.ended,
    )


def _raised(streak: Streak, age: int) -> Streak:
    """Return *streak* with one more member, which started *age* before its end."""
    return Streak(streak.count + 1, streak.since if streak.count else age, age)


def _confirmed(streak: Streak, age: int, hold: int) -> Streak:
    """Return *streak* with one more member, unless it starts less than *hold* after the last."""
    soon = streak.count > 0 and streak.last - age < hold
    return streak if soon else _raised(streak, age)


def _named(
    health: Health, seen: Cycle, rules: Rules, before: Streak, after: Streak
) -> tuple[tuple[str, str | None, str], ...]:
    """Return the names of the newest members of a streak, the newest last."""
    members = health.streak if before.count else ()
    if after.count > before.count:
        members = (*members, (seen.class_, seen.cause, seen.cycle_id))
    kept = min(LONGEST, max(rules.failure_threshold, rules.block_threshold))
    return members[-kept:]


def _remembered(health: Health, rules: Rules, *, failed: bool) -> Health:
    """Return *health* with one more verdict in its ring, and whether that makes it flap."""
    fails, seen = remembered(health.fails, failed=failed), min(SEEN, health.seen + 1)
    restless = score(fails, seen)
    flapping = restless > rules.flap_low if health.flapping else restless >= rules.flap_high
    turns = health.turns if flapping else 0
    return replace(health, fails=fails, seen=seen, flapping=flapping, turns=turns)
