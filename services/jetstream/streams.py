"""What the streams and buckets are: the requests that create them, field by field."""

from __future__ import annotations

from typing import Any

from events.subjects import AUDIT, AUDIT_SUBJECTS, FACT_SUBJECTS, FACTS, PUBLIC, PUBLIC_AUDIT

SECOND = 1_000_000_000
LEASES = "modelog_lease"
STATE = "modelog_state"
SNAPSHOTS = "modelog_snapshots"
SCHEMA = "1"
AUDIT_WINDOW = 600 * SECOND

EPOCH_KEY = "modelog.epoch"
SCHEMA_KEY = "modelog.schema"
INSTALLATION_KEY = "modelog.installation"
RESTORING_KEY = "modelog.restoring"
"""There while a log is being restored: it is none yet."""


def facts(epoch: str, installation: str, replicas: int = 1) -> dict[str, Any]:
    """Return the create request of the log of facts."""
    return _stream(
        FACTS,
        FACT_SUBJECTS,
        num_replicas=replicas,
        discard="new",
        max_age=0,
        max_msg_size=262_144,
        duplicate_window=3600 * SECOND,
        republish={"src": FACT_SUBJECTS, "dest": PUBLIC + ">"},
        metadata={EPOCH_KEY: epoch, SCHEMA_KEY: SCHEMA, INSTALLATION_KEY: installation},
    )


def audit(epoch: str, replicas: int = 1, max_age: float | None = None) -> dict[str, Any]:
    """Return the create request of the audit stream; *max_age* is in seconds, None for ever."""
    age = round((max_age or 0) * SECOND)
    return _stream(
        AUDIT,
        AUDIT_SUBJECTS,
        num_replicas=replicas,
        discard="old",
        max_age=age,
        max_msg_size=65_536,
        duplicate_window=min(AUDIT_WINDOW, age) if age else AUDIT_WINDOW,
        republish={"src": AUDIT_SUBJECTS, "dest": PUBLIC_AUDIT + ">"},
        metadata={EPOCH_KEY: epoch, SCHEMA_KEY: SCHEMA},
    )


def _stream(name: str, subjects: str, **rest: object) -> dict[str, Any]:
    return {
        "name": name,
        "subjects": [subjects],
        "retention": "limits",
        "storage": "file",
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_bytes": -1,
        "max_consumers": -1,
        "compression": "s2",
        "deny_delete": True,
        "deny_purge": True,
        "allow_rollup_hdrs": False,
        "allow_direct": True,
        "allow_atomic": True,
        **rest,
    }


def bucket(name: str, replicas: int = 1) -> dict[str, Any]:
    """Return the create request of a key-value bucket: one value a key, each with its own life.

    Without direct gets a read is the leader's answer, which a lease needs; without a marker's TTL
    a key that expired can be created again at once.
    """
    return {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "discard": "new",
        "max_age": 0,
        "max_msgs": -1,
        "max_msgs_per_subject": 1,
        "max_bytes": -1,
        "max_consumers": -1,
        "max_msg_size": -1,
        "duplicate_window": 120 * SECOND,
        "compression": "none",
        "deny_delete": True,
        "deny_purge": False,
        "allow_rollup_hdrs": True,
        "allow_direct": False,
        "allow_msg_ttl": True,
        "subject_delete_marker_ttl": 0,
    }


def objects(name: str, replicas: int = 1) -> dict[str, Any]:
    """Return the create request of an object store: chunks, and a message of each object's own."""
    return {
        "name": f"OBJ_{name}",
        "subjects": [f"$O.{name}.C.>", f"$O.{name}.M.>"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "discard": "new",
        "max_age": 0,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_bytes": -1,
        "max_consumers": -1,
        "max_msg_size": -1,
        "duplicate_window": 120 * SECOND,
        "compression": "none",
        "deny_delete": True,
        "deny_purge": False,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
    }
