"""What each section of the configuration may hold: every key, and what its value may be."""

from __future__ import annotations

from services import leaves
from services.leaves import Read
from services.references import reference
from services.relations import Relation
from services.settings import RETRY_ON, Refresh

NATS: dict[str, Read] = {
    "url": leaves.address("nats", "tls", "ws", "wss", several=True),
    "monitor_url": leaves.address("http", "https"),
    "credentials": reference,
    "replicas": leaves.whole(1, 5),
    "audit_max_age": leaves.Duration(least=3600, zero=True),
}
REFRESH: dict[str, Read] = {
    "interval": leaves.Duration(least=1),
    "timeout": leaves.Duration(),
    "max_concurrency": leaves.whole(1, 1000),
    "attempts": leaves.whole(1, 20),
    "base_delay": leaves.Duration(),
    "max_delay": leaves.Duration(),
    "multiplier": leaves.number(1, 1000),
    "retry_on": leaves.words(RETRY_ON),
    "max_response_bytes": leaves.whole(1024, 2**30),
    "removal_scans": leaves.whole(1),
    "removal_hold": leaves.Duration(zero=True),
    "shrink_guard": leaves.number(0, 1, above=True),
}
ENRICHMENT: dict[str, Read] = {
    "sources": leaves.words(("models.dev",)),
    "url": leaves.address("http", "https"),
    "interval": leaves.Duration(least=60),
}
_table = leaves.anything(dict, "table")
REFRESH_RELATIONS: tuple[Relation[Refresh], ...] = (
    Relation("timeout", ("interval",), lambda of: of.timeout <= of.interval, "at most interval"),
    Relation(
        "max_delay",
        ("base_delay",),
        lambda of: of.max_delay >= of.base_delay,
        "at least base_delay",
    ),
)
ROOT: dict[str, Read] = {
    "data": leaves.text,
    "nats": _table,
    "refresh": _table,
    "health": _table,
    "enrichment": _table,
    "notify": _table,
    "providers": leaves.anything(list, "list"),
}
