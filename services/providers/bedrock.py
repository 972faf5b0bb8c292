"""Amazon Bedrock: the models of a region, and its inference profiles, each a row of its own.

Source: botocore 1.44.5, mypy-boto3-bedrock 1.43.116; recorded answers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from events.decide.providers import Settings
from events.record import Lifecycle, ModelRecord
from services.providers.address import at, bearer, option, with_query
from services.providers.dialect import Dialect, Page, Request, Secrets
from services.providers.rows import Envelope, decoder, opened, page, record
from services.providers.sigv4 import Keys, signed
from services.providers.values import day, inner, listed, modalities, senses, text

KINDS = {
    "TEXT": "chat",
    "EMBEDDING": "embeddings",
    "IMAGE": "image_generation",
    "VIDEO": "video_generation",
    "SPEECH": "speech",
}
PROFILES = "/inference-profiles?maxResults=1000&type="


class _Models(Envelope, frozen=True, rename="camel"):
    model_summaries: list[msgspec.Raw]


class _Profiles(Envelope, frozen=True, rename="camel"):
    inference_profile_summaries: list[msgspec.Raw]
    next_token: str | None = None


class _Model(msgspec.Struct, frozen=True, rename="camel"):
    model_id: str
    model_arn: str | None = None
    model_name: str | None = None
    provider_name: str | None = None
    input_modalities: list[str] | None = None
    output_modalities: list[str] | None = None
    response_streaming_supported: bool | None = None
    customizations_supported: list[str] | None = None
    model_lifecycle: dict[str, Any] | None = None


class _Profile(msgspec.Struct, frozen=True, rename="camel"):
    inference_profile_id: str
    inference_profile_name: str | None = None
    inference_profile_arn: str | None = None
    description: str | None = None
    created_at: Any = None


_models = decoder(_Models)
_profiles = decoder(_Profiles)
_model = decoder(_Model)
_profile = decoder(_Profile)


def _lifecycle(value: object) -> Lifecycle:
    deprecated_on, retires_on = day(inner(value, "legacyTime")), day(inner(value, "endOfLifeTime"))
    status = inner(value, "status")
    ending = status == "LEGACY" or (status != "ACTIVE" and bool(deprecated_on or retires_on))
    return Lifecycle(
        state="deprecated" if ending else "active",
        deprecated_on=deprecated_on,
        retires_on=retires_on,
    )


def _of_model(row: _Model) -> ModelRecord:
    inputs = modalities(row.input_modalities)
    arn = text(row.model_arn)
    return record(
        row.model_id,
        name=row.model_name,
        owned_by=row.provider_name,
        created=day(inner(row.model_lifecycle, "startOfLifeTime")),
        inputs=inputs,
        outputs=modalities(row.output_modalities),
        capabilities=senses(inputs, closed=True)
        | listed(row.output_modalities, KINDS, closed=False)
        | listed(row.customizations_supported, {"FINE_TUNING": "fine_tuning"}, closed=True)
        | {"streaming": row.response_streaming_supported},
        lifecycle=_lifecycle(row.model_lifecycle),
        aliases=[arn] if arn else None,
    )


def _of_profile(row: _Profile) -> ModelRecord:
    arn = text(row.inference_profile_arn)
    return record(
        row.inference_profile_id,
        name=row.inference_profile_name,
        description=row.description,
        created=day(row.created_at),
        aliases=[arn] if arn else None,
    )


def parse(body: bytes, url: str, _: Settings) -> Page:
    """Read a page of models or of profiles, as *url* says; only profiles have further pages."""
    if urlsplit(url).path.endswith("/foundation-models"):
        return page(opened(body, _models).model_summaries, _model, _of_model)
    read = opened(body, _profiles)
    onward = with_query(url, nextToken=read.next_token) if read.next_token else None
    return page(read.inference_profile_summaries, _profile, _of_profile, onward=onward)


def sign(request: Request, settings: Settings, secrets: Secrets, now: datetime) -> dict[str, str]:
    """Sign *request* with the access key, where there is no API key."""
    key, secret = secrets.get("access_key_id"), secrets.get("secret_access_key")
    if secrets.get("api_key") or key is None or secret is None:
        return {}
    token = secrets.get("session_token")
    keys = Keys(key.reveal(), secret.reveal(), token.reveal() if token else None)
    region = str(option(settings, "region"))
    return signed(request, keys, region=region, service="bedrock", moment=now)


DIALECT = Dialect(
    "bedrock",
    at("/foundation-models", PROFILES + "SYSTEM_DEFINED", PROFILES + "APPLICATION"),
    parse,
    bearer,
    sign=sign,
)
