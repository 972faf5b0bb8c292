"""Cycles, changes and alerts of a provider's health as events; moments are minutes from `T0`."""

from __future__ import annotations

from typing import Any

from events.alerts import AlertOpened, AlertResolved, AlertUpdated
from events.base import instant_at
from events.health import CheckCompleted, HealthStatusChanged, Status

T0 = 1_773_482_400_000
"""A full hour."""
MINUTE = 60_000


def cycle(number: int, *, provider: str = "acme", **fields: object) -> CheckCompleted:
    """Return the cycle of a minute; without further words it is a good one."""
    moment = at(number)
    plain: dict[str, Any] = {"verdict": "OK", "class_": "ok", "cycle_id": f"{provider}-{number}"}
    plain |= fields
    return CheckCompleted(at=moment, provider=provider, started_at=moment, **plain)


def became(
    to: Status,
    ms: int,
    cause: str | None = None,
    *,
    provider: str = "acme",
    detected: int | None = None,
) -> HealthStatusChanged:
    """Return a change of status, *ms* after `T0`."""
    moment = instant_at(T0 + (ms if detected is None else detected))
    return HealthStatusChanged(
        at=moment,
        provider=provider,
        from_="inactive",
        to=to,
        cause=cause,
        effective_at=instant_at(T0 + ms),
        detected_at=moment,
    )


def at(minute: int) -> str:
    """Return the instant of a minute."""
    return instant_at(T0 + minute * 60_000)


def _fields(id_: str, minute: int, fields: dict[str, object]) -> dict[str, Any]:
    plain = {
        "at": at(minute),
        "provider": "acme",
        "alert_id": id_,
        "fingerprint": f"acme||status_change|{id_}",
        "kind": "status_change",
        "severity": "high",
        "message": "down",
        "since": at(0),
    }
    return plain | fields


def opened(id_: str, minute: int = 0, **fields: object) -> AlertOpened:
    """Return an alert, opened at a minute."""
    return AlertOpened(**_fields(id_, minute, fields))


def updated(id_: str, minute: int, change: str, **fields: object) -> AlertUpdated:
    return AlertUpdated(**_fields(id_, minute, fields | {"change": change}))


def resolved(id_: str, minute: int, **fields: object) -> AlertResolved:
    return AlertResolved(**_fields(id_, minute, fields | {"reason": "recovered"}))
