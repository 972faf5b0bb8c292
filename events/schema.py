"""JSON Schema and AsyncAPI of every event, made from the structs themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec

from events.codec import types
from events.queries import QUERIES, Page
from events.requests import COMMANDS, Accepted, Changed, Rebuilding, Refused
from events.subjects import (
    AUDIT,
    AUDIT_SUBJECTS,
    COMMAND,
    FACT_SUBJECTS,
    FACTS,
    PUBLIC,
    PUBLIC_AUDIT,
    QUERY,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"

ADDRESSES = {
    "model": "model.{provider}.{event}.{model}",
    "capability": "capability.{provider}.{event}.{capability}.{model}",
    "provider": "provider.{provider}.{event}",
    "health": "health.{provider}.{event}",
    "alert": "alert.{provider}.{event}",
    "check": "check.{provider}.{event}",
    "refresh": "refresh.{provider}.{event}",
    "discovery": "discovery.all.{event}",
    "service": "service.{process}.{event}",
    "command": "command.{command}.{event}",
}
"""The public subject of each family behind its prefix, with the event's name left open."""

HEADERS = ("ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-subject")
REPLIES: dict[str, type[msgspec.Struct]] = {
    "accepted": Accepted,
    "changed": Changed,
    "rebuilding": Rebuilding,
    "page": Page,
    "refused": Refused,
}
FACT_FAMILIES = ("model", "capability", "provider", "health", "alert")


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every event by its tag; each stands alone."""
    return {tag: _schema(kind) for tag, kind in types().items()}


def _schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    (root,), components = _components([kind], "#/$defs/")
    body = components.pop(root["$ref"].removeprefix("#/$defs/"))
    return {"$schema": DIALECT, **body} | ({"$defs": components} if components else {})


def _components(
    kinds: Iterable[type[msgspec.Struct]], prefix: str
) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Return a reference for each of *kinds*, and all that they refer to below *prefix*."""
    roots, components = msgspec.json.schema_components(kinds, ref_template=prefix + "{name}")
    for component in components.values():
        component["description"] = inspect.cleandoc(component["description"])
    return roots, components


def asyncapi(version: str) -> dict[str, Any]:
    """Return the AsyncAPI 3 document of every public subject; *version* is modelog's.

    It speaks for who uses modelog: events are received, requests are sent and replied to.
    """
    requests: dict[str, type[msgspec.Struct]] = {
        **{COMMAND + name: kind for name, kind in COMMANDS.items()},
        **{QUERY + name: kind for name, kind in QUERIES.items()},
    }
    kinds = types() | requests | REPLIES
    roots, schemas = _components(kinds.values(), "#/components/schemas/")
    channels = {_key(tag): _channel(address(tag), tag) for tag in types()}
    channels |= {_key(subject): _channel(subject, subject) for subject in requests}
    channels |= {
        "reply": _channel(None, "accepted", "changed", "rebuilding", "refused"),
        "answer": _channel(None, "page", "refused"),
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
        "operations": {f"receive_{_key(tag)}": _receive(tag) for tag in types()}
        | {f"send_{_key(subject)}": _send(subject) for subject in requests},
        "components": {
            "messages": {
                name: _message(name, kind, root)
                for (name, kind), root in zip(kinds.items(), roots, strict=True)
            },
            "schemas": schemas,
        },
    }


def address(tag: str) -> str:
    """Return the public subject of the events of *tag*, its variable tokens in braces."""
    family, _, name = tag.partition(".")
    prefix = PUBLIC if family in FACT_FAMILIES else PUBLIC_AUDIT
    return prefix + ADDRESSES[family].replace("{event}", name)


def _key(name: str) -> str:
    return name.replace(".", "_")


def _channel(where: str | None, *messages: str) -> dict[str, Any]:
    tokens = [] if where is None else where.split(".")
    return {
        "address": where,
        "parameters": {token[1:-1]: {} for token in tokens if token.startswith("{")},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _receive(tag: str) -> dict[str, Any]:
    return {"action": "receive", "channel": {"$ref": f"#/channels/{_key(tag)}"}}


def _send(subject: str) -> dict[str, Any]:
    reply = "answer" if subject.startswith(QUERY) else "reply"
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{_key(subject)}"},
        "reply": {"channel": {"$ref": f"#/channels/{reply}"}},
    }


def _message(name: str, kind: type[msgspec.Struct], payload: dict[str, Any]) -> dict[str, Any]:
    message = {
        "name": name,
        "title": name,
        "summary": inspect.cleandoc(kind.__doc__ or "").split("\n")[0],
        "payload": payload,
    }
    if name in types():
        message["headers"] = {
            "type": "object",
            "properties": {header: {"type": "string"} for header in HEADERS},
            "required": list(HEADERS),
        }
    return message
