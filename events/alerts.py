"""Whom to tell: alerts open, change and resolve; each is one condition of one provider."""

from __future__ import annotations

from typing import Literal

from events.base import BaseEvent, Instant

AlertKind = Literal[
    "status_change",
    "degradation",
    "recovery",
    "critical_failure",
    "discovery",
    "retirement",
    "monitor_offline",
]
Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
"""From the least to the worst."""
CauseGroup = Literal[
    "outage", "account", "degradation", "certificate", "check", "run", "list", "retirement", "local"
]
"""What makes two alerts of one provider and kind the same."""
AlertChange = Literal["severity", "cause", "acknowledged", "silenced", "reopened"]


class _AlertEvent(BaseEvent, frozen=True, kw_only=True):
    """Which alert, and what it is about.

    *provider* is ``all`` where it is about the whole fleet; *model_id* is null where it is about
    the provider. *fingerprint* is ``provider|model_id|kind|cause group``; at most one alert is open
    for each. *since* is when the condition began. *message* is one line for people.
    """

    provider: str
    alert_id: str
    fingerprint: str = ""
    kind: AlertKind
    model_id: str | None = None
    cause: str | None = None
    severity: Severity
    message: str
    since: Instant
    vantage: str = ""


class AlertOpened(_AlertEvent, frozen=True, kw_only=True, tag="alert.opened"):
    """A condition holds that people should know of."""


class AlertUpdated(_AlertEvent, frozen=True, kw_only=True, tag="alert.updated"):
    """An alert is another one now: *change* says in what; its id stays.

    *until* is the end of a silence; null where it has none, and for every other change.
    """

    change: AlertChange
    until: Instant | None = None
    actor: str = ""


class AlertResolved(_AlertEvent, frozen=True, kw_only=True, tag="alert.resolved"):
    """The condition of an alert is gone; *duration_ms* is how long it held."""

    reason: str
    duration_ms: int = 0


AlertEvent = AlertOpened | AlertUpdated | AlertResolved
