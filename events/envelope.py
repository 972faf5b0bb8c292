"""The headers that carry an event: CloudEvents 1.0 in binary mode, and what the log adds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, unquote

from events.base import Instant, instant_of
from events.codec import Event, decode, encode, tag_of
from events.subjects import subject_of

MESSAGE_ID = "Nats-Msg-Id"
SCHEMA = "/modelog/schema/1"
EXTENSIONS = ("correlationid", "causationid", "traceparent")
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class Message(NamedTuple):
    """An event made ready to be appended: minted once, and the same in every attempt."""

    id: str
    subject: str
    headers: dict[str, str]
    payload: bytes
    event: Event

    @property
    def size(self) -> int:
        """Bytes of payload and headers, near enough to what the server counts."""
        return len(self.payload) + sum(len(k) + len(v) + 4 for k, v in self.headers.items())


class Stored(NamedTuple):
    """A message as a stream holds it, not decoded yet.

    *recorded_ns* is the server's time in nanoseconds since 1970: a number, for a replay of millions
    has no use for its text.
    """

    seq: int
    subject: str
    recorded_ns: int
    headers: Mapping[str, str]
    payload: bytes

    @property
    def recorded_at(self) -> Instant:
        """The server's time as an instant."""
        return instant_of(datetime.fromtimestamp(self.recorded_ns / 1e9, tz=UTC))


class Recorded(NamedTuple):
    """An event together with its place in the log.

    *recorded_at* is the server's time, *event* what was observed; *correlation_id* names the
    refresh run, check cycle or command that it belongs to.
    """

    stream: str
    seq: int
    subject: str
    recorded_at: Instant
    id: str
    event: Event
    correlation_id: str | None = None


def seal(  # noqa: PLR0913 - one argument an attribute
    event: Event,
    *,
    id: str,
    source: str,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    traceparent: str | None = None,
) -> Message:
    """Put *event* into its envelope.

    *id* has the layout of a UUIDv7; *source* is ``/modelog/<service>/<instance>``. Raises
    BadSubject where the event has no legal subject.
    """
    subject = subject_of(event)
    extensions = zip(EXTENSIONS, (correlation_id, causation_id, traceparent), strict=True)
    headers = {
        MESSAGE_ID: id,
        "ce-specversion": "1.0",
        "ce-id": id,
        "ce-source": _percent(source),
        "ce-type": tag_of(event),
        "ce-time": event.at,
        "ce-subject": _percent(about(event)),
        "ce-datacontenttype": "application/json",
        "ce-dataschema": SCHEMA,
    }
    for name, value in extensions:
        if value is not None:
            headers[name] = headers[f"ce-{name}"] = _percent(value)
    return Message(id, subject, headers, encode(event), event)


def opened(stream: str, stored: Stored) -> Recorded:
    """Read a stored message of *stream*; raises what `decode` raises."""
    correlation_id = stored.headers.get("correlationid")
    return Recorded(
        stream,
        stored.seq,
        stored.subject,
        stored.recorded_at,
        stored.headers.get(MESSAGE_ID, ""),
        decode(stored.payload),
        unquote(correlation_id) if correlation_id else None,
    )


def about(event: Event) -> str:
    """Return what *event* is about: ``<provider>/<model>``, a provider, a process, a command."""
    provider = getattr(event, "provider", None)
    model = getattr(event, "model", None)
    model_id = getattr(event, "model_id", None) or getattr(model, "id", None)
    if provider is None:
        return str(getattr(event, "process", None) or getattr(event, "command", None) or "all")
    return f"{provider}/{model_id}" if model_id else str(provider)


def _percent(value: str) -> str:
    """Encode space, double quote, percent and all outside U+0021-U+007E (CloudEvents, HTTP)."""
    return quote(value, safe=_PLAIN)
