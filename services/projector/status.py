"""One screen of everything, as far as the catalogue and the ends of the streams can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from events.subjects import STREAMS
from projections import Catalogue
from projections.generations import JOURNAL, number, size

_HITS = "SELECT count(*), coalesce(sum(not_modified), 0) FROM refreshes WHERE outcome = 'succeeded'"


def status(
    opened: Catalogue | None,
    data: Path,
    url: str | None,
    last: Mapping[str, int | None],
    alive: Mapping[str, int | None] | None = None,
) -> dict[str, Any]:
    """Return what is known of the installation in *data*.

    *last* has the last sequence of each stream, as far as it is known; *url* is the server's;
    *alive* tells how many instances of a process live.
    """
    found = {} if opened is None else opened.checkpoint()
    folded = {name: one.seq for name, one in found.items()}
    return {
        "data": str(data),
        "server": url and {"url": url},
        "processes": alive and dict(alive),
        "catalogue": opened and _file(opened),
        "streams": [_stream(name, last.get(name), folded.get(name)) for name in STREAMS],
        **(dict.fromkeys(_KNOWN) if opened is None else _known(opened)),
    }


_KNOWN = ("providers", "health", "refreshes", "models", "unknown_events")


def _known(opened: Catalogue) -> dict[str, Any]:
    providers = opened.providers()
    outcomes = Counter(one.refresh_outcome or "never refreshed" for one in providers)
    return {
        "providers": {
            "registered": len(providers),
            "enabled": sum(one.enabled for one in providers),
            "outcomes": dict(sorted(outcomes.items())),
            "failing": [
                one.name
                for one in providers
                if one.enabled and one.refresh_outcome in {"failed", "quarantined"}
            ],
        },
        "health": msgspec.to_builtins(opened.health_summary()),
        "refreshes": _hits(opened),
        "models": opened.counts(),
        "unknown_events": opened.unknown_events(),
    }


def _file(opened: Catalogue) -> dict[str, Any]:
    file = opened.path.resolve()
    return {
        "path": str(opened.path),
        "file": file.name,
        "generation": number(file),
        "bytes": opened.path.stat().st_size,
        "wal_bytes": size(file.with_name(file.name + JOURNAL)),
    }


def _hits(opened: Catalogue) -> dict[str, Any]:
    """Return how many refreshes succeeded, and the share of them that had nothing to decode."""
    ((succeeded, unchanged),) = opened.query(_HITS).rows
    rate = round(unchanged / succeeded, 4) if succeeded else None
    return {"succeeded": succeeded, "not_modified": unchanged, "hit_rate": rate}


def _stream(name: str, last: int | None, folded: int | None) -> dict[str, Any]:
    lag = max(last - folded, 0) if last is not None and folded is not None else None
    return {"stream": name, "last_seq": last, "folded": folded, "lag": lag}
