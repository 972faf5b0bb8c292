from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import Event, Recorded, encode, seal, types
from events.audit import CommandAccepted, DiscoveryStarted, RefreshStarted, ServiceStarted
from events.base import elapsed, instant_of, later
from events.envelope import EXTENSIONS, Stored, about, opened
from events.models import ModelAdded, ModelMissing
from events.record import ModelRecord
from events.subjects import FACTS, BadSubject, stream_of, subject_of
from tests.support.strategies import EPOCH, instants, legal

AT = "2026-01-01T00:00:00.000Z"
events = st.sampled_from(sorted(types())).flatmap(legal)
traces = st.none() | st.text(min_size=1)


@given(events, traces)
def test_what_is_sealed_can_be_opened(event: Event, correlation_id: str | None) -> None:
    message = seal(event, id="0190-x", source="/modelog/test/1", correlation_id=correlation_id)
    stream = stream_of(message.subject)
    stored = Stored(7, message.subject, 1_767_225_600_123_000_000, message.headers, message.payload)

    assert opened(stream, stored) == Recorded(
        stream, 7, subject_of(event), "2026-01-01T00:00:00.123Z", "0190-x", event, correlation_id
    )


@given(events, st.text(), traces, traces, traces)
def test_headers_are_cloudevents_in_binary_mode(
    event: Event, source: str, correlation_id: str | None, cause: str | None, trace: str | None
) -> None:
    headers = seal(
        event,
        id="0190-x",
        source=source,
        correlation_id=correlation_id,
        causation_id=cause,
        traceparent=trace,
    ).headers
    extensions = dict(zip(EXTENSIONS, (correlation_id, cause, trace), strict=True))

    for value in headers.values():
        assert all(0x21 <= ord(character) < 0x7F and character != '"' for character in value)
    assert {name: unquote(value) for name, value in headers.items()} == {
        "Nats-Msg-Id": "0190-x",
        "ce-specversion": "1.0",
        "ce-id": "0190-x",
        "ce-source": source,
        "ce-type": event.__struct_config__.tag,
        "ce-time": event.at,
        "ce-subject": about(event),
        "ce-datacontenttype": "application/json",
        "ce-dataschema": "/modelog/schema/1",
        **{name: value for name, value in extensions.items() if value is not None},
        **{f"ce-{name}": value for name, value in extensions.items() if value is not None},
    }


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (ModelAdded(at=AT, provider="p", model=ModelRecord(id="a/b", name="")), "p/a/b"),
        (ModelMissing(at=AT, provider="p", model_id="m"), "p/m"),
        (RefreshStarted(at=AT, provider="p", run_id="r"), "p"),
        (ServiceStarted(at=AT, process="projector", instance="i", version="1"), "projector"),
        (CommandAccepted(at=AT, command="refresh"), "refresh"),
        (DiscoveryStarted(at=AT, run_id="r"), "all"),
    ],
    ids=["a model", "its id", "a provider", "a process", "a command", "everything"],
)
def test_every_event_is_about_something(event: Event, what: str) -> None:
    assert about(event) == what


def test_the_envelope_is_ascii_and_the_payload_is_not() -> None:
    event = ModelMissing(at=AT, provider="p", model_id='é "100 %"')
    message = seal(event, id="1", source="/modelog/test/1")

    assert message.headers["ce-subject"] == "p/%C3%A9%20%22100%20%25%22"
    assert message.payload == encode(event)
    assert 'é \\"100 %\\"'.encode() in message.payload


def test_the_size_counts_payload_and_headers() -> None:
    message = seal(DiscoveryStarted(at=AT, run_id="r"), id="1", source="s")
    lines = "".join(f"{name}: {value}\r\n" for name, value in message.headers.items())

    assert message.size == len(message.payload) + len(lines)


@pytest.mark.parametrize("model_id", ["", "\ud800", "x" * 500], ids=["empty", "surrogate", "long"])
def test_an_event_without_a_subject_is_not_sealed(model_id: str) -> None:
    with pytest.raises(BadSubject):
        seal(ModelMissing(at=AT, provider="p", model_id=model_id), id="1", source="s")


def test_a_message_of_somebody_else_has_no_id() -> None:
    event = ModelMissing(at=AT, provider="p", model_id="m")
    recorded = opened(FACTS, Stored(1, subject_of(event), 0, {}, encode(event)))

    assert (recorded.id, recorded.correlation_id) == ("", None)
    assert recorded.recorded_at == "1970-01-01T00:00:00.000Z"


@given(st.integers(0, 4 * 10**12))
def test_the_servers_time_is_exact_to_the_millisecond(ms: int) -> None:
    stored = Stored(1, "", ms * 1_000_000, {}, b"")

    assert datetime.fromisoformat(stored.recorded_at) == datetime.fromtimestamp(
        ms // 1000, tz=UTC
    ).replace(microsecond=ms % 1000 * 1000)


@given(instants, instants)
def test_instants_sort_as_text_and_count_as_time(one: str, other: str) -> None:
    assert (one < other) == (elapsed(one, other).total_seconds() > 0)
    assert later(one, elapsed(one, other)) == other


def test_an_instant_is_rounded_down() -> None:
    assert instant_of(EPOCH.replace(microsecond=999_999)) == "2026-01-01T00:00:00.999Z"
