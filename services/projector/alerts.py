"""Which alerts are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from events.alerts import SEVERITIES, AlertKind
from projections import Catalogue
from projections.health_rows import Alert

STATES = ("open", "resolved", "all")
KINDS: tuple[str, ...] = get_args(AlertKind)


def alerts(
    catalogue: Catalogue,
    state: str = "open",
    provider: str | None = None,
    kinds: Iterable[str] = (),
    severities: Iterable[str] = (),
) -> list[Alert]:
    """Return the alerts of a state of `STATES`, by provider and id; without kinds those of all."""
    found = catalogue.alerts(None if state == "all" else state, provider)
    kind, severity = frozenset(kinds) or KINDS, frozenset(severities) or SEVERITIES
    wanted = (one for one in found if one.kind in kind and one.severity in severity)
    return sorted(wanted, key=lambda one: (one.provider, one.alert_id))
