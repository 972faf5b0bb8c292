from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import BrokenEvent, Event, UnknownEvent, decode, encode, tag_of, types
from events.models import ModelMissing
from tests.support.strategies import JSON, events_of

TAGS = sorted(types())
MISSING = {"type": "model.missing", "at": "", "provider": "acme", "model_id": "m"}


@pytest.mark.parametrize("tag", TAGS)
def test_what_is_written_is_read(tag: str) -> None:
    @settings(max_examples=25)
    @given(events_of(tag))
    def law(event: Event) -> None:
        payload = encode(event)

        assert decode(payload) == event
        assert decode(payload.decode()) == event
        assert json.loads(payload)["type"] == tag == tag_of(event)

    law()


def test_every_tag_is_a_family_and_an_event() -> None:
    assert all(tag.count(".") == 1 for tag in TAGS)


@given(st.dictionaries(st.text(), JSON))
def test_fields_of_a_newer_version_are_passed_over(more: dict[str, Any]) -> None:
    event = decode(json.dumps(more | MISSING))

    assert event == ModelMissing(at="", provider="acme", model_id="m")


@given(
    st.text(max_size=20).filter(lambda tag: tag not in types()), st.dictionaries(st.text(), JSON)
)
def test_an_event_of_a_newer_version_is_unknown(tag: str, more: dict[str, Any]) -> None:
    with pytest.raises(UnknownEvent):
        decode(json.dumps(more | {"type": tag}))


DEEP = b"[" * 100_000
BROKEN: dict[str, bytes | str] = {
    "nothing": b"",
    "no JSON": b"<html>",
    "cut off": b'{"type":"model.missing","at":"","prov',
    "no object": b"[]",
    "null": b"null",
    "no tag": b"{}",
    "a tag that is no text": b'{"type":5}',
    "two tags": b'{"type":"x","type":"model.missing"}',
    "more behind it": json.dumps(MISSING) + "{}",
    "a field too few": b'{"type":"model.missing","at":"","provider":"acme"}',
    "a field of another type": json.dumps(MISSING | {"scans": "many"}),
    "a word outside its list": json.dumps(
        {"type": "provider.unregistered", "at": "", "provider": "acme", "reason": "boredom"}
    ),
    "no UTF-8": b'{"type":"model.missing","at":"\xff"}',
    "no UTF-8 in its tag": b'{"type":"\xff"}',
    "half a surrogate": '{"type":"model.missing","at":"\ud800"}',
    "too deep": b'{"type":"model.missing","x":' + DEEP,
    "unknown and too deep": b'{"type":"a.b","x":' + DEEP,
}


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_what_is_no_event_is_broken(payload: bytes | str) -> None:
    with pytest.raises(BrokenEvent):
        decode(payload)


@given(st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_payload_breaks_the_reader(payload: bytes) -> None:
    with pytest.raises((BrokenEvent, UnknownEvent)):
        decode(payload)


def test_the_error_names_the_event_and_the_field() -> None:
    with pytest.raises(BrokenEvent, match=r"'model\.missing'.*\$.scans"):
        decode(json.dumps(MISSING | {"scans": "many"}))

    with pytest.raises(UnknownEvent, match=r"'model\.renamed'"):
        decode(b'{"type":"model.renamed"}')
