"""Events and changes in the words of a person: one line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from events import Event
from events.alerts import AlertOpened, AlertResolved, AlertUpdated
from events.audit import (
    CommandAccepted,
    CommandRejected,
    DiscoveryCompleted,
    DiscoveryStarted,
    RefreshFailed,
    RefreshOutcome,
    RefreshQuarantined,
    RefreshStarted,
    RefreshSucceeded,
    ServiceFailed,
    ServiceStarted,
    ServiceStopped,
)
from events.health import (
    CheckCompleted,
    HealthCoverageLost,
    HealthCoverageRestored,
    HealthMaintenanceEnded,
    HealthMaintenanceStarted,
    HealthStatusChanged,
)
from events.models import (
    CapabilityGained,
    CapabilityLost,
    ModelAdded,
    ModelMissing,
    ModelRemoved,
    ModelReturned,
    ModelUpdated,
)
from events.providers import (
    ProviderReconfigured,
    ProviderRegistered,
    ProviderSchemaChanged,
    ProviderUnregistered,
)
from events.record import ModelRecord

LONGEST = 60


def sentence(event: Event) -> tuple[str, str]:
    """Return what *event* is about, and what happened to it; not safe to print yet."""
    match event:
        case ModelAdded():
            return event.model.id, in_brief(event.model)
        case ModelUpdated():
            return event.model.id, changes((c.path, c.old, c.new) for c in event.changed)
        case ModelMissing():
            return event.model_id, "not in the list"
        case ModelReturned():
            return event.model_id, f"in the list again; missing since {moment(event.missing_since)}"
        case ModelRemoved(missing_since=None):
            return event.model_id, event.reason
        case ModelRemoved():
            return event.model_id, f"{event.reason}; missing since {moment(event.missing_since)}"
        case CapabilityGained() | CapabilityLost():
            return event.model_id, event.capability
        case ProviderRegistered() | ProviderReconfigured():
            state = "" if event.enabled else "; disabled"
            return event.provider, f"{event.dialect} at {event.base_url}{state}"
        case ProviderUnregistered():
            return event.provider, f"by {event.reason}"
        case ProviderSchemaChanged():
            new = [f"+{name}" for name in event.added_fields]
            old = [f"-{name}" for name in event.removed_fields]
            return event.provider, f"{' '.join(new + old)} in {counted(event.models, 'row')}"
        case RefreshStarted():
            return event.provider, event.reason
        case RefreshSucceeded() | RefreshFailed() | RefreshQuarantined():
            return event.provider, result(event)
        case CheckCompleted():
            return event.provider, checked(event)
        case HealthStatusChanged():
            return event.provider, turned(event)
        case HealthCoverageLost():
            return event.provider, f"nothing known since {moment(event.since)}: {event.reason}"
        case HealthCoverageRestored():
            return event.provider, f"known again; unknown since {moment(event.since)}"
        case HealthMaintenanceStarted() | HealthMaintenanceEnded():
            return event.provider, f"window {event.window_id} until {moment(event.until)}"
        case AlertOpened() | AlertResolved():
            return event.provider, f"{event.severity}: {event.message}"
        case AlertUpdated():
            return event.provider, f"{event.change}: {event.message}"
        case DiscoveryStarted():
            return "all", counted(event.providers, "provider")
        case DiscoveryCompleted():
            return "all", f"{counted(event.models, 'model')}, {counted(event.errors, 'error')}"
        case ServiceStarted() | ServiceStopped() | ServiceFailed():
            return event.process, event.reason or f"version {event.version}"
        case CommandAccepted() | CommandRejected():
            return event.command, event.error or event.actor


def result(event: RefreshOutcome) -> str:
    """Return how a refresh ended."""
    if event.error is not None:
        status = f" ({event.error.status})" if event.error.status else ""
        return f"{event.error.class_}{status}: {event.error.message}"
    if event.not_modified:
        return f"{counted(event.models, 'model')}, not modified"
    counts = [
        f"{number} {name}"
        for name in ("added", "updated", "missing", "removed", "skipped")
        if (number := getattr(event, name))
    ]
    partly = [] if event.complete else ["incomplete"]
    return ", ".join([counted(event.models, "model"), *(counts or ["no change"]), *partly])


def checked(event: CheckCompleted) -> str:
    """Return how a cycle of checks ended."""
    latency = "" if event.latency_ms is None else f" in {event.latency_ms} ms"
    return f"{event.verdict} ({event.class_}){latency}"


def turned(event: HealthStatusChanged) -> str:
    """Return how a provider's status changed."""
    cause = f" ({event.cause})" if event.cause else ""
    return f"{event.from_} -> {event.to}{cause}"


def in_brief(record: ModelRecord) -> str:
    """Return what one wants to know first of a model that is new."""
    known = [
        f"{tokens(record.context_window)} tokens" if record.context_window else "",
        f"${record.prices['input']} in" if "input" in record.prices else "",
        f"${record.prices['output']} out" if "output" in record.prices else "",
        "" if record.lifecycle.state == "active" else record.lifecycle.state,
    ]
    return ", ".join(filter(None, known))


def changes(changed: Iterable[tuple[str, Any, Any]]) -> str:
    """Return the leaves that changed, each a path, an old and a new value."""
    return ", ".join(_change(path, old, new) for path, old, new in changed)


def _change(path: str, old: object, new: object) -> str:
    if old is None:
        return f"{path} = {value(new)}"
    if new is None:
        return f"{path} gone (was {value(old)})"
    return f"{path} {value(old)} → {value(new)}"


def value(of: object) -> str:
    """Return the value of a leaf, cut where it is long."""
    match of:
        case bool():
            text = "yes" if of else "no"
        case list():
            text = " ".join(map(str, of)) or "none"
        case _:
            text = str(of)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def tokens(number: int | None) -> str:
    """Return a number of tokens as people say it: ``128k``, ``1.05M``."""
    if number is None:
        return ""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.4g}{unit}"
    return str(number)


def money(price: str | None) -> str:
    """Return a price with two decimals at least, so that points stand below each other."""
    if price is None:
        return ""
    whole, _, fraction = price.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"


def moment(instant: str | None) -> str:
    """Return *instant* to the second, as people read it; UTC."""
    return (instant or "")[:19].replace("T", " ")


def counted(number: int, what: str) -> str:
    """Return a number of things: ``1 model``, ``3,205 models``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
