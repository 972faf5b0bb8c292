"""How alerts are told: lines for people, and signed messages for programs. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

from events.alerts import SEVERITIES, AlertResolved
from events.base import Instant
from events.codec import encode, tag_of
from services.durations import format_duration
from services.notifier.box import Change

LINES = 40
"""Alerts that one notice tells of; services cut longer texts."""
PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a key. Source: Standard Webhooks, signature scheme."""
MINUTE = 60_000

Tone = Literal["info", "success", "warning", "failure"]


class NotDelivered(Exception):
    """A notice did not go out; the message says why, and shows no secret."""


class BadKey(NotDelivered):
    """A secret that is no key of a webhook; the message does not show it."""


class Notice(NamedTuple):
    """What people read."""

    title: str
    body: str
    tone: Tone


def notice(changes: Sequence[Change]) -> Notice:
    """Return *changes* as one notice: a line for each alert, with what is true of it in the end."""
    last = {one.event.alert_id: one for one in changes}
    told = list(last.values())
    lines = [_line(one) for one in told[:LINES]]
    if len(told) > LINES:
        lines.append(f"and {len(told) - LINES} more: modelog alerts list")
    title = lines[0] if len(told) == 1 else f"{len(told)} alerts"
    return Notice(f"modelog: {title}"[:100], "\n".join(lines), _tone(told))


def _line(change: Change) -> str:
    event = change.event
    about = f"{event.provider}/{event.model_id}" if event.model_id else event.provider
    held = _span(change.duration_ms)
    match change.what:
        case "opened":
            return f"{event.severity.upper()} {about}: {event.message} (since {event.since})"
        case "updated":
            return f"now {event.severity.upper()} {about}: {event.message} (since {event.since})"
        case "reminder":
            return f"still {event.severity.upper()} {about}: {event.message} (for {held})"
        case "resolved":
            reason = event.reason if isinstance(event, AlertResolved) else ""
            return f"resolved {about}: {event.message} ({reason}, after {held})"


def _tone(told: Sequence[Change]) -> Tone:
    still = [one.event.severity for one in told if one.what != "resolved"]
    if not still:
        return "success"
    worst = max(SEVERITIES.index(severity) for severity in still)
    tones: tuple[Tone, ...] = ("info", "warning", "failure", "failure")
    return tones[worst]


def _span(milliseconds: int) -> str:
    """Write a span as people want it: in minutes, and in seconds where it has none."""
    step = MINUTE if milliseconds >= MINUTE else 1000
    return format_duration(milliseconds // step * step / 1000) if milliseconds >= step else "0s"


class _Data(msgspec.Struct, frozen=True):
    type: str
    timestamp: Instant
    data: msgspec.Raw


def message(change: Change) -> bytes:
    """Return *change* as the body of a webhook: ``{"type", "timestamp", "data"}``."""
    event = change.event
    return msgspec.json.encode(_Data(tag_of(event), event.at, msgspec.Raw(encode(event))))


def key(secret: str) -> bytes:
    """Return the key that *secret*, ``whsec_`` and base64, holds; raises BadKey."""
    try:
        found = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadKey(f"the secret is not {PREFIX} and base64") from error
    if not SHORTEST <= len(found) <= LONGEST:
        raise BadKey(f"the secret has {len(found)} bytes; {SHORTEST} to {LONGEST} are needed")
    return found


def signed(body: bytes, *, id: str, timestamp: int, key: bytes) -> dict[str, str]:
    """Return the headers of a message; *timestamp* is in Unix seconds.

    Source: Standard Webhooks, version 1: HMAC-SHA256 over ``id.timestamp.body``.
    """
    content = f"{id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, content, sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }
