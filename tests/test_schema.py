from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from events import Event, encode, types
from events.queries import QUERIES
from events.requests import COMMANDS
from events.schema import address, asyncapi, json_schemas
from events.subjects import public, subject_of
from tests.support.strategies import events_of, legal

TAGS = sorted(types())
SCHEMAS = json_schemas()
DOCUMENT = asyncapi("1.2.3")
MESSAGES = DOCUMENT["components"]["messages"]


def test_every_event_has_a_schema() -> None:
    assert sorted(SCHEMAS) == TAGS


@pytest.mark.parametrize("tag", TAGS)
def test_a_schema_accepts_every_event_of_its_type(tag: str) -> None:
    schema = json.loads(json.dumps(SCHEMAS[tag]))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    @settings(max_examples=8)
    @given(events_of(tag))
    def law(event: Event) -> None:
        validator.validate(json.loads(encode(event)))

    law()


@pytest.mark.parametrize("tag", TAGS)
def test_a_schema_refuses_what_is_no_event_of_its_type(tag: str) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMAS[tag])

    assert not validator.is_valid({"type": tag})
    assert not validator.is_valid({"type": "another"})
    assert not validator.is_valid([])


@pytest.mark.parametrize("tag", TAGS)
def test_a_schema_says_what_the_event_means(tag: str) -> None:
    described = [SCHEMAS[tag], *SCHEMAS[tag].get("$defs", {}).values()]

    assert all(one["description"] and "\n  " not in one["description"] for one in described)


def test_the_document_is_of_asyncapi_3() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert set(DOCUMENT) <= {
        "asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations",
        "components",
    }  # fmt: skip
    for name in (*DOCUMENT["channels"], *DOCUMENT["operations"], *MESSAGES):
        assert re.fullmatch(r"[\w.-]+", name)


def test_every_event_is_received_on_a_channel_of_its_own() -> None:
    received = [
        message
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == "receive"
        for message in _at(operation["channel"]["$ref"])["messages"]
    ]

    assert sorted(received) == TAGS


def test_every_request_is_sent_and_replied_to() -> None:
    sent = {
        _at(operation["channel"]["$ref"])["address"]: _at(operation["reply"]["channel"]["$ref"])
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == "send"
    }

    assert {subject: next(iter(reply["messages"])) for subject, reply in sent.items()} == {
        **{f"rpc.modelog.command.{name}": "accepted" for name in COMMANDS},
        **{f"rpc.modelog.query.{name}": "page" for name in QUERIES},
    }
    assert all("refused" in reply["messages"] for reply in sent.values())


def test_every_reference_leads_somewhere() -> None:
    references = list(_references(DOCUMENT))

    assert len(references) > len(TAGS)
    for reference in references:
        assert isinstance(_at(reference), dict)


@pytest.mark.parametrize("tag", TAGS)
def test_a_message_of_the_document_has_the_schema_of_its_event(tag: str) -> None:
    schema = _at(MESSAGES[tag]["payload"]["$ref"])

    assert schema["properties"]["type"] == {"enum": [tag]}
    assert schema["properties"].keys() == SCHEMAS[tag]["properties"].keys()
    assert MESSAGES[tag]["summary"] == schema["description"].split("\n")[0]


@pytest.mark.parametrize("tag", TAGS)
def test_an_address_matches_the_subjects_of_its_event(tag: str) -> None:
    channel = DOCUMENT["channels"][tag.replace(".", "_")]
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[A-Za-z0-9_=-]+)", re.escape(address(tag)))

    @settings(max_examples=5)
    @given(legal(tag))
    def law(event: Event) -> None:
        found = re.fullmatch(pattern, public(subject_of(event)))

        assert found is not None
        assert channel["address"] == address(tag)
        assert channel["parameters"].keys() == found.groupdict().keys()

    law()


def _at(reference: str) -> dict[str, Any]:
    found = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
