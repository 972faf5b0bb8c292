"""Azure's management plane: what may be deployed in a location, one row a kind and SKU.

Source: azure-mgmt-cognitiveservices 14.1.0.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer
from services.providers.azure import entra, lifecycle_of
from services.providers.dialect import Dialect, Page
from services.providers.kinds import usual
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.values import day, first, flags, inner, text, whole

TAIL = (
    "/subscriptions/{subscription}/providers/Microsoft.CognitiveServices/locations/{location}"
    "/models?api-version=2025-09-01"
)
CAPABILITIES = {
    "chat_completion": "chat",
    "chatCompletion": "chat",
    "completion": "completion",
    "embeddings": "embeddings",
    "fine_tune": "fine_tuning",
    "fineTune": "fine_tuning",
}


class _List(Envelope, frozen=True, rename="camel"):
    value: list[msgspec.Raw]
    next_link: str | None = None


class _Inner(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    version: str | None = None
    format: str | None = None
    publisher: str | None = None
    is_default_version: bool | None = None
    capabilities: dict[str, Any] | None = None
    lifecycle_status: str | None = None
    deprecation: dict[str, Any] | None = None
    replacement_config: Any = None


class _Model(msgspec.Struct, frozen=True):
    model: _Inner
    description: str | None = None


_list = decoder(_List)
_model = decoder(_Model)


def _replacement(config: object) -> str | None:
    """Return ``name:version`` of the model that takes a model's place."""
    name = first(text(inner(config, "targetModelName")), text(inner(config, "modelName")))
    version = first(text(inner(config, "targetModelVersion")), text(inner(config, "modelVersion")))
    return f"{name}:{version}" if name and version else name


def _record(row: _Model) -> ModelRecord:
    model = row.model
    known = flags(model.capabilities, CAPABILITIES)
    inputs, outputs = usual(known)
    return record(
        f"{model.name}:{model.version}" if model.name and model.version else model.name,
        name=model.name,
        owned_by=first(model.publisher, model.format),
        description=row.description,
        context_window=whole(inner(model.capabilities, "maxContextToken")),
        max_output_tokens=whole(inner(model.capabilities, "maxOutputToken")),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        lifecycle=lifecycle_of(
            model.lifecycle_status,
            day(inner(model.deprecation, "inference")),
            _replacement(model.replacement_config),
        ),
        aliases=[model.name] if model.is_default_version else None,
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page; `nextLink` is the whole URL of the next one."""
    read = opened(body, _list)
    onward = urljoin(url, read.next_link) if read.next_link else None
    return page(read.value, _model, _record, onward=onward)


DIALECT = Dialect(
    "azure_management",
    at(TAIL),
    parse,
    bearer,
    exchange=entra("https://management.azure.com/.default"),
)
