"""The thresholds of the state machine, out of a provider's settings."""

from __future__ import annotations

from events.decide.health import Rules
from services.health_settings import Health


def rules_of(health: Health) -> Rules:
    """Return the rules that the settings *health* make; durations in milliseconds."""
    return Rules(
        interval=_millis(health.interval),
        confirm_interval=_millis(health.confirm_interval),
        stale_factor=health.stale_factor,
        failure_threshold=health.failure_threshold,
        recovery_threshold=health.recovery_threshold,
        unhealthy_threshold=health.unhealthy_threshold,
        degraded_threshold=health.degraded_threshold,
        window=_millis(health.window),
        min_samples=health.min_samples,
        partial_threshold=health.partial_threshold,
        block_threshold=health.block_threshold,
        throttle_threshold=health.throttle_threshold,
        throttle_hold=_millis(health.throttle_hold),
        flap_high=health.flap_high,
        flap_low=health.flap_low,
        relapse_window=_millis(health.relapse_window),
        relapse_cap=health.relapse_cap,
    )


def _millis(seconds: float) -> int:
    return round(1000 * seconds)
