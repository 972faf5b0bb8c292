"""Do they answer: the facts of a provider's health, and the state that decides them."""

from __future__ import annotations

from typing import Literal

import msgspec

from events.base import BaseEvent, Instant

Status = Literal["inactive", "active", "degraded", "error"]
Verdict = Literal["OK", "PARTIAL", "FAIL", "BLOCKED", "THROTTLED", "UNKNOWN"]
LostReason = Literal["silent", "local_network", "check_invalid"]

BLOCKED_CAUSES = ("credential", "quota", "endpoint_gone", "config")
"""Causes of `error` that prove no outage: unusable for us alone. The order is that of verdicts."""
DOWN_CAUSES = ("outage", "error_rate")
"""Causes of `error` that count as down."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a change of status rests on.

    *cycle_ids* are the newest of its streak. *failures* of *samples* cycles within the window
    failed, at an *error_rate* from 0 to 1.
    """

    cycle_ids: list[str] = []
    class_: str | None = msgspec.field(name="class", default=None)
    status_code: int | None = None
    failures: int = 0
    error_rate: float = 0.0
    samples: int = 0
    message: str = ""


class _HealthEvent(BaseEvent, frozen=True, kw_only=True):
    """Whose health, and who saw it: *vantage* is ``<installation>/<instance>``.

    Of the installation's UUID these are the first eight digits.
    """

    provider: str
    vantage: str = ""


class HealthStatusChanged(_HealthEvent, frozen=True, kw_only=True, tag="health.status_changed"):
    """A provider's debounced status, or its cause, is another one.

    *effective_at* is when it began, as far as observed, *detected_at* when it was decided.
    *downtime_ms* is how long the provider was down before, where it was. *relapses* counts the
    entries into down within the relapse window.
    """

    from_: Status = msgspec.field(name="from")
    to: Status
    previous_cause: str | None = None
    cause: str | None = None
    effective_at: Instant
    detected_at: Instant
    downtime_ms: int | None = None
    relapses: int = 0
    evidence: Evidence = Evidence()


class HealthCoverageLost(_HealthEvent, frozen=True, kw_only=True, tag="health.coverage_lost"):
    """Nothing is known of a provider's health since *since*, whatever its status says."""

    since: Instant
    reason: LostReason


class HealthCoverageRestored(
    _HealthEvent, frozen=True, kw_only=True, tag="health.coverage_restored"
):
    """A provider's health is known again: from *since* to *until* it was not."""

    since: Instant
    reason: LostReason
    until: Instant


class HealthMaintenanceStarted(
    _HealthEvent, frozen=True, kw_only=True, tag="health.maintenance_started"
):
    """A maintenance window of a provider has begun: alerts wait, checks go on."""

    window_id: str
    until: Instant


class HealthMaintenanceEnded(
    _HealthEvent, frozen=True, kw_only=True, tag="health.maintenance_ended"
):
    """A maintenance window of a provider is over: what persists is judged anew."""

    window_id: str
    until: Instant


HealthEvent = (
    HealthStatusChanged
    | HealthCoverageLost
    | HealthCoverageRestored
    | HealthMaintenanceStarted
    | HealthMaintenanceEnded
)


class Streak(msgspec.Struct, frozen=True, array_like=True):
    """Counted verdicts of one kind in a row: how many, and how long ago.

    *since* is the age of the start of its first cycle, *last* of the one that raised it last: by
    how many milliseconds each lies before `Health.last_at`.
    """

    count: int = 0
    since: int = 0
    last: int = 0


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """A cycle of the window that was not clean: its end, whether it failed, and its errors.

    *age* is by how many milliseconds it ended before `Health.last_at`; *errors* is E, from 0 to 1.
    """

    age: int
    failed: bool
    errors: float


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the reducer carries from cycle to cycle; moments are milliseconds since 1970.

    *f o g b th pa* are the streaks of FAIL, OK-or-PARTIAL, OK, BLOCKED, THROTTLED and PARTIAL
    cycles. *clean* and *faulty* are the window: the ages of cycles without an error, and the
    others. It is written with every check: hence ages, which are short. *fails* are the last *seen*
    (at most 21) counted cycles as bits, 1 for FAIL, the newest lowest. *turns* are the changes of
    status or cause since it began to flap.
    *streak* holds class, cause and cycle id of the newest members of the f or b streak, the newest
    last. *due* is the start that was planned after `last_at`, where cycles that count for nothing
    came since.
    """

    status: Status = "inactive"
    cause: str | None = "unchecked"
    since: int = 0
    f: Streak = Streak()
    o: Streak = Streak()
    g: Streak = Streak()
    b: Streak = Streak()
    th: Streak = Streak()
    pa: Streak = Streak()
    clean: tuple[int, ...] = ()
    faulty: tuple[Sample, ...] = ()
    fails: int = 0
    seen: int = 0
    flapping: bool = False
    turns: int = 0
    relapses: tuple[int, ...] = ()
    streak: tuple[tuple[str, str | None, str], ...] = ()
    last_at: int | None = None
    due: int | None = None
    down_since: int | None = None
    stale: bool = False
    lost: LostReason | None = None
    lost_since: int | None = None


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one check of a cycle ended; *phases* are milliseconds by name, *retry_after* seconds."""

    name: str
    verdict: str
    class_: str = msgspec.field(name="class")
    weight: float = 1.0
    critical: bool = False
    status_code: int | None = None
    attempts: int = 1
    phases: dict[str, int] = {}
    message: str = ""
    retry_after: float | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the list call of a cycle saw, and how many models.

    *sha256* are the first 32 hexadecimal digits of its body's hash.
    """

    sha256: str | None = None
    etag: str | None = None
    models: int = 0
    complete: bool = True


class CheckCompleted(
    _HealthEvent, frozen=True, kw_only=True, omit_defaults=True, tag="check.completed"
):
    """A cycle of a provider's checks has ended in a verdict.

    *source* says where its list came from: ``check``, ``refresh`` (shared) or ``manual``. *cause*
    is that of a BLOCKED or PARTIAL verdict. *error_rate* is E, from 0 to 1. *state* is what the
    reducer carries after this cycle. *not_before* is when the provider may be called again.
    """

    cycle_id: str
    source: Literal["check", "refresh", "manual"] = "check"
    started_at: Instant
    duration_ms: int = 0
    verdict: Verdict
    cause: str | None = None
    class_: str = msgspec.field(name="class")
    status_code: int | None = None
    latency_ms: int | None = None
    error_rate: float = 0.0
    checks: list[CheckResult] = []
    list_: Listed | None = msgspec.field(name="list", default=None)
    state: Health = Health()
    suspect: bool = False
    flapping: bool = False
    not_before: Instant | None = None
    next_due: Instant | None = None


def usable(status: Status) -> bool:
    """Tell whether callers may use a provider of this status."""
    return status in {"active", "degraded"}


def down(status: Status, cause: str | None) -> bool:
    """Tell whether a status means an outage."""
    return status == "error" and cause in DOWN_CAUSES


def blocked(status: Status, cause: str | None) -> bool:
    """Tell whether a status means that only we are refused."""
    return status == "error" and cause in BLOCKED_CAUSES
