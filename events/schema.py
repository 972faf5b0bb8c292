"""JSON Schema and AsyncAPI of every event, made from the structs themselves."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from events.codec import types
from events.subjects import AUDIT, AUDIT_SUBJECTS, FACT_SUBJECTS, FACTS, PUBLIC, PUBLIC_AUDIT

DIALECT = "https://json-schema.org/draft/2020-12/schema"

ADDRESSES = {
    "model": "model.{provider}.{event}.{model}",
    "capability": "capability.{provider}.{event}.{capability}.{model}",
    "provider": "provider.{provider}.{event}",
    "refresh": "refresh.{provider}.{event}",
    "discovery": "discovery.all.{event}",
    "service": "service.{process}.{event}",
    "command": "command.{command}.{event}",
}
"""The public subject of each family behind its prefix, with the event's name left open."""

FACT_FAMILIES = ("model", "capability", "provider")


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every event by its tag; each stands alone."""
    return {tag: _schema(kind) for tag, kind in types().items()}


def _schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    (root,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    name = root["$ref"].removeprefix("#/$defs/")
    body = components.pop(name)
    body["description"] = inspect.cleandoc(body.get("description", ""))
    schema = {"$schema": DIALECT, **body}
    if components:
        schema["$defs"] = components
    return schema


def asyncapi(version: str) -> dict[str, Any]:
    """Return the AsyncAPI 3 document of every public subject; *version* is modelog's."""
    messages = {tag: _message(tag, schema) for tag, schema in json_schemas().items()}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for tag in messages:
        channel = tag.replace(".", "_")
        channels[channel] = {
            "address": address(tag),
            "parameters": {name: {} for name in _parameters(address(tag))},
            "messages": {tag: {"$ref": f"#/components/messages/{tag}"}},
        }
        operations[f"receive_{channel}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{channel}"},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "modelog",
            "version": version,
            "description": (
                f"Facts are stored in stream {FACTS} ({FACT_SUBJECTS}), operations in {AUDIT} "
                f"({AUDIT_SUBJECTS}); what is stored is republished under the addresses below."
            ),
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def address(tag: str) -> str:
    """Return the public subject of the events of *tag*, its variable tokens in braces."""
    family, _, name = tag.partition(".")
    prefix = PUBLIC if family in FACT_FAMILIES else PUBLIC_AUDIT
    return prefix + ADDRESSES[family].replace("{event}", name)


def _parameters(text: str) -> list[str]:
    return [token[1:-1] for token in text.split(".") if token.startswith("{")]


def _message(tag: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": tag,
        "title": tag,
        "summary": schema.get("description", "").split("\n")[0],
        "headers": {
            "type": "object",
            "properties": {
                name: {"type": "string"}
                for name in ("ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time")
            },
        },
        "payload": schema,
    }
