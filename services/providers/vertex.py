"""Vertex AI: the models of some publishers, without limits or prices.

Source: Vertex AI `PublisherModel`; google-genai 3.4.0.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import base, bearer, option, with_query
from services.providers.azure import token_of
from services.providers.dialect import Dialect, Exchange, Page, Refused, Request, Secrets
from services.providers.rows import (
    Envelope,
    decoder,
    lifecycle,
    opened,
    page,
    record,
    rows_if_any,
)
from services.providers.rs256 import BadKey, assertion
from services.providers.values import text

TAIL = "/publishers/{}/models?view=PUBLISHER_MODEL_VIEW_FULL"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
HOUR = 3600


class _List(Envelope, frozen=True, rename="camel"):
    publisher_models: list[msgspec.Raw] | None = None
    next_page_token: str | None = None


class _Model(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    open_source_category: str | None = None
    launch_stage: str | None = None


class _Account(msgspec.Struct, frozen=True):
    client_email: str
    private_key: str
    private_key_id: str | None = None
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


_list = decoder(_List)
_model = decoder(_Model)
_account = decoder(_Account)


def first(settings: Settings) -> list[str]:
    """Return a list for each publisher; the location `global` has a host of its own."""
    address = base(settings).replace("://global-aiplatform.", "://aiplatform.", 1)
    publishers: Any = option(settings, "publishers")
    names = publishers if isinstance(publishers, list) else str(publishers).split(",")
    return [address + TAIL.format(quote(str(name).strip(), safe="")) for name in names]


def _record(row: _Model) -> ModelRecord:
    publisher, _, short = row.name.removeprefix("publishers/").partition("/models/")
    category = text(row.open_source_category)
    stage = row.launch_stage or ""
    opened_weights = category not in (None, "PROPRIETARY", "OPEN_SOURCE_CATEGORY_UNSPECIFIED")
    return record(
        short or row.name.removeprefix("models/"),
        owned_by=publisher if short else None,
        lifecycle=lifecycle(preview=stage == "EXPERIMENTAL" or stage.endswith("_PREVIEW")),
        aliases=[row.name],
        open_weights=True if opened_weights else None,
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page of one publisher's models."""
    read = opened(body, _list)
    onward = with_query(url, pageToken=read.next_page_token) if read.next_page_token else None
    return page(rows_if_any(body, read.publisher_models), _model, _record, onward=onward)


def headers(settings: Settings, secrets: Secrets) -> dict[str, str]:
    """Authenticate by a token, for a project, which pays."""
    project = option(settings, "project")
    return bearer(settings, secrets) | ({"x-goog-user-project": str(project)} if project else {})


def exchange(_: Settings, secrets: Secrets, now: datetime) -> Exchange | None:
    """Sign an assertion of the service account, for a token of an hour.

    Raises Refused where the account is no JSON key of one.
    """
    if secrets.get("api_key") or secrets.get("access_token"):
        return None
    secret = secrets.get("service_account")
    if secret is None:
        return None
    try:
        account = _account.decode(secret.reveal().encode())
        return _asked(account, int(now.timestamp()))
    except (msgspec.DecodeError, BadKey) as error:
        raise Refused("credential", f"the service account's JSON key: {error}") from error


def _asked(account: _Account, issued: int) -> Exchange:
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": issued,
        "exp": issued + HOUR,
    }
    form = {"grant_type": GRANT, "assertion": assertion(claims, account.private_key)}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return Exchange(Request(account.token_uri, "POST", kind, urlencode(form).encode()), token_of)


DIALECT = Dialect("vertex", first, parse, headers, exchange=exchange)
