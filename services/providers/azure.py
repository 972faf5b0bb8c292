"""Azure OpenAI's data plane: what a resource may deploy.

Source: Azure OpenAI REST `models/list`, 2024-10-21.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from events.decide.providers import Settings
from events.record import Lifecycle, ModelRecord
from services.providers.address import at, bearer
from services.providers.dialect import Dialect, Exchange, Page, Request, Secrets
from services.providers.kinds import usual
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.values import day, first, flags, inner, text

LOGIN = "https://login.microsoftonline.com/{}/oauth2/v2.0/token"
CAPABILITIES = {
    "chat_completion": "chat",
    "completion": "completion",
    "embeddings": "embeddings",
    "fine_tune": "fine_tuning",
}
STATES: dict[str, Literal["preview", "active", "deprecated", "retired"]] = {
    "preview": "preview",
    "deprecating": "deprecated",
    "legacy": "deprecated",
    "deprecated": "retired",  # calls answer 410
}


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw]


class _Model(msgspec.Struct, frozen=True):
    id: str
    capabilities: dict[str, Any] | None = None
    lifecycle_status: str | None = None
    deprecation: dict[str, Any] | None = None
    created_at: int | float | None = None


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int | float | str = 0


_list = decoder(_List)
_model = decoder(_Model)
_token = decoder(_Token)


def lifecycle_of(status: object, retires_on: str | None, replacement: object = None) -> Lifecycle:
    """Return the life cycle that Azure's words mean: what it calls deprecated is retired."""
    word = text(status)
    state = STATES.get(word.lower(), "active") if word else None
    return Lifecycle(
        state=state or ("deprecated" if retires_on else "active"),
        retires_on=retires_on,
        replacement=text(replacement),
    )


def entra(scope: str) -> Callable[[Settings, Secrets, datetime], Exchange | None]:
    """Make an `exchange` of client credentials for a token of *scope*."""

    def exchange(_: Settings, secrets: Secrets, __: datetime) -> Exchange | None:
        if secrets.get("api_key") or secrets.get("access_token"):
            return None
        tenant, client, secret = (
            secrets.get(name) for name in ("tenant_id", "client_id", "client_secret")
        )
        if tenant is None or client is None or secret is None:
            return None
        form = {
            "grant_type": "client_credentials",
            "client_id": client.reveal(),
            "client_secret": secret.reveal(),
            "scope": scope,
        }
        url = LOGIN.format(quote(tenant.reveal(), safe=""))
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return Exchange(Request(url, "POST", kind, urlencode(form).encode()), token_of)

    return exchange


def token_of(body: bytes) -> tuple[str, float]:
    """Read an OAuth answer: the token and its life in seconds; raises msgspec.DecodeError."""
    read = _token.decode(body)
    try:
        return read.access_token, float(read.expires_in)
    except ValueError as error:
        raise msgspec.ValidationError("`expires_in` is no number") from error


def _record(row: _Model) -> ModelRecord:
    known = flags(row.capabilities, CAPABILITIES)
    inputs, outputs = usual(known)
    return record(
        row.id,
        created=day(row.created_at),
        inputs=inputs,
        outputs=outputs,
        capabilities=known,
        lifecycle=lifecycle_of(row.lifecycle_status, day(inner(row.deprecation, "inference"))),
    )


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the list, which has one page."""
    return page(opened(body, _list).data, _model, _record)


def headers(settings: Settings, secrets: Secrets) -> dict[str, str]:
    """Authenticate by the resource's key, else by a token of Entra."""
    key = first(secrets.get("api_key"))
    if key is not None:
        return {"api-key": key.reveal()}
    return bearer(settings, secrets)


DIALECT = Dialect(
    "azure",
    at("/openai/models?api-version=2024-10-21"),
    parse,
    headers,
    exchange=entra("https://cognitiveservices.azure.com/.default"),
)
