"""The only file that spells a subject or the name of a stream."""

from __future__ import annotations

import re
from typing import assert_never

from events.alerts import AlertOpened, AlertResolved, AlertUpdated
from events.audit import (
    CommandAccepted,
    CommandRejected,
    DiscoveryCompleted,
    DiscoveryStarted,
    RefreshFailed,
    RefreshQuarantined,
    RefreshStarted,
    RefreshSucceeded,
    ServiceFailed,
    ServiceStarted,
    ServiceStopped,
)
from events.codec import Event, tag_of
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

FACTS = "MODELOG"
AUDIT = "MODELOG_AUDIT"
STREAMS = (FACTS, AUDIT)
FACT_SUBJECTS = "log.>"
AUDIT_SUBJECTS = "audit.>"
PUBLIC = "modelog."
PUBLIC_AUDIT = "modelog.audit."
COMMAND = "rpc.modelog.command."
QUERY = "rpc.modelog.query."
LONGEST = 255
LONGEST_TOKEN = 150
"""Characters of an escaped model id: a longer one could not be put into every subject."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z", re.ASCII)
_ESCAPED = re.compile(r"(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+\Z", re.ASCII)
_OTHER = re.compile(rb"[^A-Za-z0-9_-]")
_CODE = re.compile(rb"=([0-9A-F]{2})")


class BadSubject(ValueError):
    """A text that is no token or subject of modelog's."""


def escape(text: str) -> str:
    """Spell *text* as one subject token: ``gpt-4.1`` becomes ``gpt-4=2E1``.

    Every byte of its UTF-8 form outside ``A-Z a-z 0-9 _ -`` becomes ``=XX``. Raises BadSubject for
    the empty text and for lone surrogates.
    """
    if _PLAIN.match(text):
        return text
    if not text:
        raise BadSubject("an empty text is no subject token")
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise BadSubject(f"{text!r} is no subject token: {error.reason}") from error
    return _OTHER.sub(lambda found: b"=%02X" % found[0][0], raw).decode()


def unescape(token: str) -> str:
    """Return the text that *token* spells.

    Each text has one spelling: lower-case hex, an escape that was not needed and bytes that are no
    UTF-8 raise BadSubject.
    """
    if _PLAIN.match(token):
        return token
    if not _ESCAPED.match(token):
        raise BadSubject(f"{token!r} is no subject token")
    try:
        text = _CODE.sub(lambda code: bytes([int(code[1], 16)]), token.encode()).decode()
    except UnicodeDecodeError as error:
        raise BadSubject(f"{token!r} is no subject token: not UTF-8") from error
    if escape(text) != token:
        raise BadSubject(f"{token!r} is not the one spelling of {text!r}")
    return text


def subject_of(event: Event) -> str:
    """Return the subject under which *event* is appended: ``log.…`` or ``audit.…``.

    Raises BadSubject where it would be longer than 255 characters.
    """
    family, _, name = tag_of(event).partition(".")
    tokens: tuple[str, ...]
    match event:
        case ModelAdded() | ModelUpdated():
            tokens = ("log", family, event.provider, name, escape(event.model.id))
        case ModelMissing() | ModelReturned() | ModelRemoved():
            tokens = ("log", family, event.provider, name, escape(event.model_id))
        case CapabilityGained() | CapabilityLost():
            model = escape(event.model_id)
            tokens = ("log", family, event.provider, name, event.capability, model)
        case (
            ProviderRegistered()
            | ProviderReconfigured()
            | ProviderUnregistered()
            | ProviderSchemaChanged()
            | HealthStatusChanged()
            | HealthCoverageLost()
            | HealthCoverageRestored()
            | HealthMaintenanceStarted()
            | HealthMaintenanceEnded()
            | AlertOpened()
            | AlertUpdated()
            | AlertResolved()
        ):
            tokens = ("log", family, event.provider, name)
        case (
            RefreshStarted()
            | RefreshSucceeded()
            | RefreshFailed()
            | RefreshQuarantined()
            | CheckCompleted()
        ):
            tokens = ("audit", family, event.provider, name)
        case DiscoveryStarted() | DiscoveryCompleted():
            tokens = ("audit", family, "all", name)
        case ServiceStarted() | ServiceStopped() | ServiceFailed():
            tokens = ("audit", family, escape(event.process), name)
        case CommandAccepted() | CommandRejected():
            tokens = ("audit", family, escape(event.command.replace(".", "-")), name)
        case _:
            assert_never(event)
    subject = ".".join(tokens)
    if len(subject) > LONGEST:
        raise BadSubject(f"{subject[:60]}…: a subject of {len(subject)} characters, over {LONGEST}")
    return subject


def stream_of(subject: str) -> str:
    """Return the stream that stores *subject*; raise BadSubject for one outside both streams."""
    if subject.startswith("log."):
        return FACTS
    if subject.startswith("audit."):
        return AUDIT
    raise BadSubject(f"{subject!r} is in no stream of modelog's")


def public(subject: str) -> str:
    """Return the form under which users see *subject*: ``modelog.…`` or ``modelog.audit.…``."""
    head, _, rest = subject.partition(".")
    return (PUBLIC if head == "log" else PUBLIC_AUDIT) + rest


def stored(pattern: str) -> list[tuple[str, str]]:
    """Return, for a public subject or pattern, each stream and filter in which its events lie.

    ``modelog.>`` and patterns whose second token is a wildcard lie in both streams. Raises
    BadSubject where *pattern* is not below ``modelog.`` or is no legal pattern.
    """
    tokens = pattern.split(".")
    if tokens == [">"]:
        tokens = ["modelog", ">"]
    if tokens[0] != "modelog" or len(tokens) < 2:  # noqa: PLR2004 - the prefix and one more
        raise BadSubject(f"{pattern!r}: subjects begin with `modelog.`, such as modelog.model.>")
    for place, token in enumerate(tokens):
        last = place == len(tokens) - 1
        if token == ">" and not last:  # noqa: S105 - the wildcard
            raise BadSubject(f"{pattern!r}: `>` stands at the end alone")
        if token not in {"*", ">"} and not _ESCAPED.match(token):
            raise BadSubject(f"{pattern!r}: {token!r} is no subject token")
    rest = tokens[1:]
    found: list[tuple[str, str]] = []
    if rest[0] != "audit":
        found.append((FACTS, ".".join(["log", *rest])))
    if rest == [">"]:
        found.append((AUDIT, AUDIT_SUBJECTS))
    elif rest[0] in {"audit", "*"} and len(rest) > 1:
        found.append((AUDIT, ".".join(["audit", *rest[1:]])))
    return found


def facts_of(family: str, provider: str) -> str:
    """Return the filter of one family of a provider's facts, such as ``log.model.openai.>``.

    Every append under that family is conditional on exactly this text.
    """
    return f"log.{family}.{provider}.>"


def check_subject(provider: str) -> str:
    """Return the audit subject of a provider's completed cycles."""
    return f"audit.check.{provider}.completed"


def outcome_subject(provider: str, outcome: str) -> str:
    """Return the audit subject of a provider's refresh events of one kind."""
    return f"audit.refresh.{provider}.{outcome}"
