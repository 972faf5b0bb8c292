"""Who may do what: every role, the subjects that it uses, and those that it answers.

Permissions of a user are checked when it publishes, but not for the reply subject that it names:
whoever may ask JetStream anything can have the answer sent to `log.>`, or to
`$JS.API.STREAM.DELETE.MODELOG`, for the server sends answers unchecked. So each role has an account
of its own, and of the log's account it imports what its row says: an answer then comes back into
its own account, where there is nothing to write to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from events.subjects import AUDIT, COMMAND, FACTS, PUBLIC, QUERY
from services.jetstream.api import PREFIX
from services.jetstream.streams import LEASES, SNAPSHOTS, STATE

LEASES_STREAM = f"KV_{LEASES}"
STATE_STREAM = f"KV_{STATE}"
SNAPSHOTS_STREAM = f"OBJ_{SNAPSHOTS}"
SERVICES = "$SRV.>"
ACCOUNT_INFO = f"{PREFIX}INFO"

MANY = (f"{PREFIX}DIRECT.GET.", f"{PREFIX}CONSUMER.MSG.NEXT.", SERVICES)
"""What is answered by more than one message."""


class Role(NamedTuple):
    """One kind of user: what it sends to the log, hears from it, and answers.

    *asks* are subjects of the log's account, *requests* those that other roles answer. A role that
    is *inside* works in the log's account itself. *inboxes* are those of roles that it stands in
    for.
    """

    name: str
    asks: tuple[str, ...]
    hears: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    inside: bool = False
    inboxes: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """The name of its account."""
        return FACTS if self.inside else f"{FACTS}_{self.name.upper().replace('-', '_')}"

    @property
    def publish(self) -> tuple[str, ...]:
        """All it may publish; what it answers needs no permission."""
        return self.asks + self.requests

    @property
    def subscribe(self) -> tuple[str, ...]:
        """All it may subscribe to."""
        own = (f"_INBOX_{name}.>" for name in (self.name, *self.inboxes))
        return (*self.hears, *self.answers, *own)


def _api(verb: str, *streams: str) -> tuple[str, ...]:
    return tuple(f"{PREFIX}{verb}.{stream}" for stream in streams)


def _audit(process: str, commands: Iterable[str]) -> tuple[str, ...]:
    """Return what a process tells of itself and of the *commands* that it answers."""
    told = (f"audit.command.{command}.>" for command in commands)
    return (f"audit.service.{process}.>", *told)


def _shared(process: str, lease: str) -> tuple[str, ...]:
    """Return the keys that a process writes which shares its work with others of its kind."""
    return (
        f"$KV.{LEASES}.{lease}.>",
        f"$KV.{LEASES}.call.>",
        f"$KV.{STATE}.heartbeat.{process}.>",
        f"$KV.{STATE}.not_before.>",
    )


def _consumers(stream: str, filter: str) -> tuple[str, ...]:
    return (
        f"{PREFIX}CONSUMER.CREATE.{stream}.*.{filter}",
        f"{PREFIX}CONSUMER.MSG.NEXT.{stream}.*",
        f"{PREFIX}CONSUMER.DELETE.{stream}.*",
    )


_LOG = (FACTS, AUDIT)
_SHARING = (
    *_api("STREAM.INFO", *_LOG, STATE_STREAM),
    *_api("STREAM.MSG.GET", *_LOG, LEASES_STREAM, STATE_STREAM),
    *_api("DIRECT.GET", *_LOG),
)
_READING = (
    ACCOUNT_INFO,
    *_api("STREAM.INFO", *_LOG, LEASES_STREAM, STATE_STREAM, SNAPSHOTS_STREAM),
    *_api("STREAM.MSG.GET", *_LOG, STATE_STREAM),
    *_api("DIRECT.GET", *_LOG),
    *_api("DIRECT.GET", *(f"{stream}.>" for stream in _LOG)),
)
_QUERIES = (f"{QUERY}>", SERVICES)
_REFRESHING = (f"{COMMAND}refresh", f"{COMMAND}provider.*")
_CHECKING = (f"{COMMAND}check", f"{COMMAND}alert.*")
_REBUILDING = (f"{COMMAND}rebuild",)

ROLES = (
    Role(
        "refresher",
        asks=(
            "log.provider.>",
            "log.model.>",
            "log.capability.>",
            "audit.refresh.>",
            "audit.discovery.>",
            *_audit(
                "refresher",
                ("refresh", "provider-register", "provider-update", "provider-unregister"),
            ),
            *_SHARING,
            *_shared("refresher", "refresh"),
        ),
        hears=(f"{PUBLIC}provider.>", f"{PUBLIC}health.>", f"{PUBLIC}audit.check.>"),
        answers=_REFRESHING,
    ),
    Role(
        "health-monitor",
        asks=(
            "log.health.>",
            "log.alert.>",
            "audit.check.>",
            *_audit("health-monitor", ("check", "alert-acknowledge", "alert-silence")),
            *_SHARING,
            *_shared("health-monitor", "check"),
        ),
        hears=(
            f"{PUBLIC}provider.>",
            f"{PUBLIC}model.>",
            f"{PUBLIC}health.>",
            f"{PUBLIC}audit.refresh.>",
            f"{PUBLIC}audit.check.>",
        ),
        answers=_CHECKING,
    ),
    Role(
        "projector",
        asks=(
            *_audit("projector", ("rebuild",)),
            *_api("STREAM.INFO", *_LOG, STATE_STREAM, SNAPSHOTS_STREAM),
            *_api("STREAM.MSG.GET", *_LOG, STATE_STREAM, SNAPSHOTS_STREAM),
            *_api("DIRECT.GET", *_LOG, SNAPSHOTS_STREAM),
            *_consumers(FACTS, "log.>"),
            *_consumers(AUDIT, "audit.>"),
            f"$O.{SNAPSHOTS}.>",
            *_api("STREAM.PURGE", SNAPSHOTS_STREAM),
        ),
        answers=(*_QUERIES, *_REBUILDING),
    ),
    Role(
        "notifier",
        asks=(
            *_audit("notifier", ()),
            *_api("STREAM.INFO", *_LOG, STATE_STREAM),
            *_api("STREAM.MSG.GET", *_LOG, STATE_STREAM),
            *_api("DIRECT.GET", FACTS),
            f"$KV.{STATE}.notifier.>",
        ),
        hears=(f"{PUBLIC}alert.>",),
    ),
    Role("reader", asks=_READING, hears=(f"{PUBLIC}>",), requests=_QUERIES),
    Role(
        "operator",
        asks=_READING,
        hears=(f"{PUBLIC}>",),
        requests=(*_QUERIES, *_REFRESHING, *_CHECKING, *_REBUILDING),
        inboxes=("reader",),
    ),
    Role(
        "admin",
        asks=(f"{PREFIX}>", "$JS.ACK.>", f"$KV.{LEASES}.>", f"$KV.{STATE}.>"),
        hears=(f"{PUBLIC}>", "$JS.EVENT.ADVISORY.>"),
        inside=True,
    ),
    Role("restore", asks=("log.>", "audit.>", f"{PREFIX}>"), inside=True),
)
BRIEF = "restore"
"""The role that no server ought to know for longer than it takes."""
