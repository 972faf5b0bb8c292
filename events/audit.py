"""What modelog itself did: refreshes, discoveries, processes and commands."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from events.base import BaseEvent, Instant
from events.health import CheckCompleted

RefreshReason = Literal["schedule", "command", "recovery", "credential"]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run failed: its class, one line without secrets, and the status line's code."""

    class_: str = msgspec.field(name="class")
    message: str
    status: int | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Leaves that a provider stopped sending and that keep their last value for one hold.

    They share *since* and *paths*. An empty *models* stands for every model that lacks the paths:
    the list itself was too long for one event.
    """

    since: Instant
    paths: list[str]
    models: list[str]


class AbsentGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Awaited ids that are absent since one moment, from *scans* complete lists in a row."""

    since: Instant
    scans: int


class Absent(msgspec.Struct, frozen=True, kw_only=True):
    """The listed ids that a quarantine awaits: how many, which (a hash), and since when at most.

    *places* tells them for a process that starts: a byte for each model known behind sequence *seq*
    of the facts, in the order of their ids, 0 or the number of its group from 1; compressed by
    zlib, in base64. *believed*: this list lost little itself, and only an earlier one is awaited.
    """

    count: int
    hash: str
    since: Instant
    groups: list[AbsentGroup] = []
    places: str = ""
    seq: int = 0
    believed: bool = False


class RefreshStarted(BaseEvent, frozen=True, kw_only=True, tag="refresh.started"):
    """A run has begun to ask a provider for its models; exactly one outcome follows.

    *lease* is the revision of the lease that it runs under: a later run has a larger one.
    """

    provider: str
    run_id: str
    force: bool = False
    reason: RefreshReason = "schedule"
    lease: int | None = None


class _Outcome(BaseEvent, frozen=True, kw_only=True):
    """How a run ended.

    *observed_at* is the moment of the observation, null where there was none: the facts of the run
    carry it as their `at`. *models* counts the rows of the list, *missing* and *removed* the facts
    of this run. *lease* is the revision of the lease that it ran under.
    """

    provider: str
    run_id: str
    attempts: int = 0
    models: int = 0
    added: int = 0
    updated: int = 0
    missing: int = 0
    removed: int = 0
    skipped: int = 0
    duplicates: int = 0
    complete: bool = False
    not_modified: bool = False
    duration_ms: int = 0
    held: list[Held] = []
    absent: Absent | None = None
    error: Failure | None = None
    observed_at: Instant | None = None
    lease: int | None = None


class RefreshSucceeded(_Outcome, frozen=True, kw_only=True, tag="refresh.succeeded"):
    """A run has ended with an observation, and all that follows from it is in the log."""


class RefreshFailed(_Outcome, frozen=True, kw_only=True, tag="refresh.failed"):
    """A run has ended without an observation; it says nothing about any model."""


class RefreshQuarantined(_Outcome, frozen=True, kw_only=True, tag="refresh.quarantined"):
    """A run has ended with a list that lost too much to be believed; nothing went missing."""


class DiscoveryStarted(BaseEvent, frozen=True, kw_only=True, tag="discovery.started"):
    """A run over all providers has begun; *providers* counts them."""

    run_id: str
    providers: int = 0
    models: int = 0
    errors: int = 0
    duration_ms: int = 0


class DiscoveryCompleted(BaseEvent, frozen=True, kw_only=True, tag="discovery.completed"):
    """A run over all providers has ended; *errors* counts the providers that failed."""

    run_id: str
    providers: int = 0
    models: int = 0
    errors: int = 0
    duration_ms: int = 0


class _Service(BaseEvent, frozen=True, kw_only=True):
    """Which process, which of its instances, and which version."""

    process: str
    instance: str
    version: str
    reason: str = ""


class ServiceStarted(_Service, frozen=True, kw_only=True, tag="service.started"):
    """A process of modelog is ready."""


class ServiceStopped(_Service, frozen=True, kw_only=True, tag="service.stopped"):
    """A process of modelog has ended as it was told to."""


class ServiceFailed(_Service, frozen=True, kw_only=True, tag="service.failed"):
    """A process of modelog ends because of an error; *reason* is its one line."""


class _Command(BaseEvent, frozen=True, kw_only=True):
    """Which command, with which parameters (never a secret), and who asked."""

    command: str
    parameters: dict[str, Any] = {}
    actor: str = ""
    error: str | None = None


class CommandAccepted(_Command, frozen=True, kw_only=True, tag="command.accepted"):
    """A command was understood and is carried out."""


class CommandRejected(_Command, frozen=True, kw_only=True, tag="command.rejected"):
    """A command was refused; *error* says why."""


RefreshOutcome = RefreshSucceeded | RefreshFailed | RefreshQuarantined
RefreshEvent = RefreshStarted | RefreshOutcome
DiscoveryEvent = DiscoveryStarted | DiscoveryCompleted
ServiceEvent = ServiceStarted | ServiceStopped | ServiceFailed
CommandEvent = CommandAccepted | CommandRejected
AuditEvent = RefreshEvent | CheckCompleted | DiscoveryEvent | ServiceEvent | CommandEvent
