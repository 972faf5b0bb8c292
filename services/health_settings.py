"""How a provider's health is watched: what was written, and defaults that scale with it.

The default of a key follows from the keys in its formula, so that defaults never contradict each
other and only what somebody wrote can be wrong. Source: health.md, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from events.decide.providers import Settings
from services import health_lists, leaves
from services.durations import parse_duration
from services.health_lists import rate_of
from services.leaves import Read
from services.relations import Relation

DAY = 86_400.0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The effective health settings of one provider; durations in seconds."""

    enabled: bool = True
    interval: float
    confirm_interval: float
    timeout: float
    connect_timeout: float
    slow_after: float
    cycle_deadline: float
    check_retries: int = 1
    failure_threshold: int = 3
    recovery_threshold: int
    unhealthy_threshold: float
    degraded_threshold: float
    window: float
    min_samples: int
    partial_threshold: int = 2
    block_threshold: int = 2
    throttle_threshold: int = 3
    throttle_hold: float
    flap_high: float
    flap_low: float
    relapse_window: float
    relapse_cap: int
    blocked_interval: float
    down_slow_after: float
    down_interval: float
    endpoints: tuple[str, ...] = ()
    checks: tuple[dict[str, Any], ...] = ()
    critical: bool = False
    depends_on: tuple[str, ...] = ()
    maintenance: tuple[dict[str, Any], ...] = ()
    max_concurrency: int = 16
    per_host: int = 2
    rate_limit: str = "30/60s"
    stale_factor: float = 2.5
    witnesses: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, settings: Settings) -> Health:
        """Read the health settings of a registered provider; raises msgspec.ValidationError."""
        return checking(settings.health)


def checking(written: Mapping[str, Any]) -> Health:
    """Return the health settings: what was *written*, and defaults that fit it."""
    made = dict(written)

    def default(name: str, value: float) -> Any:  # noqa: ANN401 - int or float
        return made.setdefault(name, value)

    interval = default("interval", 60.0)
    timeout = default("timeout", min(10.0, interval / 3))
    default("confirm_interval", max(min(20.0, interval), timeout))
    default("connect_timeout", timeout / 2)
    default("slow_after", timeout / 2)
    default("cycle_deadline", max(timeout, min(25.0, 0.8 * interval)))
    recovery = default("recovery_threshold", 2)
    unhealthy = default("unhealthy_threshold", 0.5)
    default("degraded_threshold", min(0.2, 0.4 * unhealthy))
    fitting = int(made["window"] // interval) if "window" in made else 10
    samples = default("min_samples", max(1, min(10, fitting)))
    default("window", max(600.0, 10 * interval, samples * interval))
    default("throttle_hold", max(600.0, interval))
    high = default("flap_high", 30.0)
    default("flap_low", min(20.0, high * 2 / 3))
    default("relapse_window", max(1800.0, interval))
    default("relapse_cap", max(16, recovery))
    default("blocked_interval", max(900.0, interval))
    default("down_slow_after", max(1800.0, interval))
    default("down_interval", max(interval, min(2 * interval, 120.0)))
    return msgspec.convert(made, Health)


HEALTH: dict[str, Read] = {
    "enabled": leaves.truth,
    "interval": leaves.Duration(least=10),
    **{
        name: leaves.Duration()
        for name in (
            *("confirm_interval", "timeout", "connect_timeout", "slow_after", "cycle_deadline"),
            *("window", "throttle_hold", "relapse_window", "blocked_interval"),
            *("down_slow_after", "down_interval"),
        )
    },
    **{
        name: leaves.whole(1)
        for name in (
            *("failure_threshold", "recovery_threshold", "min_samples", "partial_threshold"),
            *("block_threshold", "throttle_threshold", "relapse_cap", "max_concurrency"),
            "per_host",
        )
    },
    "check_retries": leaves.whole(0, 3),
    "unhealthy_threshold": leaves.number(0, 1, above=True),
    "degraded_threshold": leaves.number(0, 1, above=True),
    "flap_high": leaves.number(0, 100, above=True),
    "flap_low": leaves.number(0, 100),
    "stale_factor": leaves.number(1, 1000, above=True),
    "rate_limit": health_lists.rate,
    "critical": leaves.truth,
    "endpoints": health_lists.endpoints,
    "checks": health_lists.checks,
    "depends_on": health_lists.names,
    "maintenance": health_lists.maintenance,
    "witnesses": health_lists.witnesses,
}
"""The keys of `[health]`, and of a provider's `health`."""


def _calls_per_interval(of: Health) -> float:
    count, span = rate_of(of.rate_limit) or (0, 1.0)
    return count * of.interval / span


def _longest(of: Health, name: str) -> float:
    return max((parse_duration(one[name]) for one in of.checks if name in one), default=0.0)


def _shortest(of: Health, name: str) -> float:
    return min(
        (parse_duration(one[name]) for one in of.checks if name in one), default=36_500 * DAY
    )


RELATIONS: tuple[Relation[Health], ...] = (
    Relation("timeout", ("interval",), lambda of: of.timeout < of.interval, "below interval"),
    *(
        Relation(name, ("timeout", "interval"), fits, "at most timeout")
        for name, fits in (
            ("connect_timeout", lambda of: of.connect_timeout <= of.timeout),
            ("slow_after", lambda of: of.slow_after <= of.timeout),
        )
    ),
    Relation(
        "confirm_interval",
        ("timeout", "interval"),
        lambda of: of.timeout <= of.confirm_interval <= of.interval,
        "from timeout to interval",
    ),
    Relation(
        "cycle_deadline",
        ("timeout", "interval"),
        lambda of: of.timeout <= of.cycle_deadline <= 0.8 * of.interval,
        "from timeout to 0.8 x interval",
    ),
    Relation(
        "degraded_threshold",
        ("unhealthy_threshold",),
        lambda of: of.degraded_threshold < of.unhealthy_threshold,
        "below unhealthy_threshold",
    ),
    *(
        Relation(name, ("interval",), fits, "at least interval")
        for name, fits in (
            ("window", lambda of: of.window >= of.interval),
            ("throttle_hold", lambda of: of.throttle_hold >= of.interval),
            ("relapse_window", lambda of: of.relapse_window >= of.interval),
            ("blocked_interval", lambda of: of.blocked_interval >= of.interval),
            ("down_slow_after", lambda of: of.down_slow_after >= of.interval),
            ("down_interval", lambda of: of.down_interval >= of.interval),
        )
    ),
    Relation(
        "min_samples",
        ("window", "interval"),
        lambda of: of.min_samples * of.interval <= max(of.window, of.interval),
        "at most window / interval",
    ),
    Relation("flap_low", ("flap_high",), lambda of: of.flap_low < of.flap_high, "below flap_high"),
    Relation(
        "relapse_cap",
        ("recovery_threshold",),
        lambda of: of.relapse_cap >= of.recovery_threshold,
        "at least recovery_threshold",
    ),
    Relation(
        "rate_limit",
        ("interval",),
        lambda of: _calls_per_interval(of) >= 2,  # noqa: PLR2004 - a check and its retry
        "at least 2 calls per interval",
    ),
    Relation(
        "checks",
        ("cycle_deadline", "timeout", "interval"),
        lambda of: _longest(of, "timeout") <= of.cycle_deadline,
        "each with a timeout of at most cycle_deadline",
    ),
    Relation(
        "checks",
        ("interval",),
        lambda of: _shortest(of, "interval") >= of.interval,
        "each with an interval of at least that of the provider",
    ),
)
"""What must hold between the keys, judged on all that was written for a provider."""
