"""What each section of the configuration may hold: every key, and what its value may be."""

from __future__ import annotations

from services import leaves
from services.leaves import Read
from services.settings import RETRY_ON

NATS: dict[str, Read] = {
    "url": leaves.address("nats", "tls", "ws", "wss"),
    "monitor_url": leaves.address("http", "https"),
    "credentials": leaves.reference,
    "replicas": leaves.whole(1, 5),
    "audit_max_age": leaves.duration(least=3600, zero=True),
}
REFRESH: dict[str, Read] = {
    "interval": leaves.duration(least=1),
    "timeout": leaves.duration(),
    "max_concurrency": leaves.whole(1, 1000),
    "attempts": leaves.whole(1, 20),
    "base_delay": leaves.duration(),
    "max_delay": leaves.duration(),
    "multiplier": leaves.number(1),
    "retry_on": leaves.words(RETRY_ON),
    "max_response_bytes": leaves.whole(1024),
    "removal_scans": leaves.whole(1),
    "removal_hold": leaves.duration(zero=True),
    "shrink_guard": leaves.number(0, 1, above=True),
}
ENRICHMENT: dict[str, Read] = {
    "sources": leaves.words(("models.dev",)),
    "url": leaves.address("http", "https"),
    "interval": leaves.duration(least=60),
}
_table = leaves.anything(dict, "table")
_array = leaves.anything(list, "list")
HEALTH: dict[str, Read] = {
    "enabled": leaves.truth,
    "interval": leaves.duration(least=10),
    **{
        name: leaves.duration()
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
    "flap_high": leaves.number(0, 100),
    "flap_low": leaves.number(0, 100),
    "stale_factor": leaves.number(1, above=True),
    "rate_limit": leaves.text,
    "critical": leaves.truth,
    "endpoints": _array,
    "checks": _array,
    "depends_on": _array,
    "maintenance": _array,
    "witnesses": _array,
}
ROOT: dict[str, Read] = {
    "data": leaves.text,
    "nats": _table,
    "refresh": _table,
    "health": _table,
    "enrichment": _table,
    "providers": _array,
}
