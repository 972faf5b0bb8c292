"""The plain OpenAI list, and whatever its many imitators add to a row.

A new plain provider is a row in `table`: every extra is read wherever it is present.
Source: openai 3.54.0; recorded answers of some twenty providers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, bearer, option
from services.providers.dialect import Dialect, Page, Row, Secrets
from services.providers.rows import (
    Envelope,
    array,
    decoder,
    is_array,
    lifecycle,
    opened,
    page,
    record,
)
from services.providers.table import Builtin, row_of
from services.providers.units import AS_IS, PER_MILLION, PER_TOKEN, prices
from services.providers.values import (
    day,
    either,
    first,
    flag,
    flags,
    inner,
    modalities,
    senses,
    whole,
)

ACCOUNTS = {"system", "openai-internal", "organization_owner", "custom", "owner"}
ENGINES = {
    "vllm", "sglang", "llamacpp", "llama.cpp", "lmstudio", "tgi", "tei", "ollama", "library", "mlx",
}  # fmt: skip
CAPABILITIES = {
    "supports_chat": "chat",
    "supports_image_input": "vision",
    "supports_image_in": "vision",
    "supports_video_in": "video_input",
    "supports_tools": "tools",
    "functionality.tool_call": "tools",
    "features.tool_use": "tools",
    "functionality.parallel_tool_call": "parallel_tools",
    "functionality.structured_output": "structured_output",
    "supports_reasoning": "reasoning",
}
CEREBRAS = {
    "function_calling": "tools",
    "structured_outputs": "structured_output",
    "vision": "vision",
    "streaming": "streaming",
}
TOKENS = {
    "input": "input",
    "prompt": "input",
    "output": "output",
    "completion": "output",
    "cached_input": "cache_read",
}
PER_UNIT = {"million": PER_MILLION, "token": PER_TOKEN}


LITELLM = 1677610602
"""`created` of every row of a LiteLLM proxy; of OpenAI's own gpt-3.5-turbo it is true."""


class _List(Envelope, frozen=True):
    data: list[msgspec.Raw] | None


class Model(msgspec.Struct, frozen=True):
    id: str
    created: int | float | str | None = None
    owned_by: str | None = None
    name: Any = None
    display_name: Any = None
    title: Any = None
    description: Any = None
    shutdown_date: Any = None
    hugging_face_id: Any = None
    hugging_face_url: Any = None
    context_length: Any = None
    context_window: Any = None
    max_model_len: Any = None
    max_completion_tokens: Any = None
    limits: Any = None
    meta: Any = None
    kind: Any = None
    architecture: Any = None
    modalities: Any = None
    supports_chat: Any = None
    supports_image_input: Any = None
    supports_image_in: Any = None
    supports_video_in: Any = None
    supports_tools: Any = None
    supports_reasoning: Any = None
    functionality: Any = None
    features: Any = None
    capabilities: Any = None
    pricing: Any = None


_list = decoder(_List)
_model = decoder(Model)


def owner(value: str | None) -> str | None:
    """Return who made a model; words for an account or an engine, and addresses, are nobody."""
    if not value or "@" in value or value.lower() in ACCOUNTS | ENGINES:
        return None
    return value


def window(row: Model) -> int | None:
    """Return the context window that a row of this shape states, whatever its name."""
    found: int | None = first(
        whole(row.context_length),
        whole(row.context_window),
        whole(row.max_model_len),
        whole(inner(row.limits, "context")),
        whole(inner(row.meta, "n_ctx_train")),
    )
    return found


def capabilities(row: Model, inputs: list[str] | None) -> dict[str, bool]:
    """Return what a row of this shape states, one way or the other."""
    said: dict[str, bool | None] = dict(senses(inputs, closed=False))
    for path, ours in CAPABILITIES.items():
        head, *rest = path.split(".")
        said[ours] = either([said.get(ours), flag(inner(getattr(row, head), *rest))])
    if row.kind == "EMBEDDING_MODEL":
        said["embeddings"] = True
    known = {ours: value for ours, value in said.items() if value is not None}
    return known | flags(row.capabilities, CEREBRAS)


def _prices(row: Model, traits: Builtin | None) -> dict[str, str]:
    """Return the prices of a provider whose unit is known; seconds or tokens, as it bills."""
    if traits is None or traits.price_unit is None:
        return {}
    if inner(row.pricing, "unit_type") == "SECOND":
        return prices(row.pricing, {"response_time": "second"}, AS_IS)
    found = prices(row.pricing, TOKENS, PER_UNIT[traits.price_unit])
    return found | prices(row.pricing, {"duration_per_hour": "hour"}, AS_IS)


def _created(row: Model, traits: Builtin | None) -> str | None:
    known = row.created != LITELLM if traits is None else traits.created_known
    return day(row.created) if known else None


def mapped(row: Model, traits: Builtin | None) -> ModelRecord:
    """Return the record of a row; *traits* are those of its provider."""
    prefix = traits.id_prefix if traits else ""
    id_ = row.id.removeprefix(prefix)
    inputs = modalities(
        first(inner(row.architecture, "input_modalities"), inner(row.modalities, "input"))
    )
    return record(
        id_,
        name=first(row.name, row.display_name, row.title),
        owned_by=owner(row.owned_by),
        description=row.description,
        created=_created(row, traits),
        context_window=window(row),
        max_output_tokens=whole(first(row.max_completion_tokens, inner(row.limits, "completion"))),
        inputs=inputs,
        outputs=modalities(inner(row.architecture, "output_modalities")),
        capabilities=capabilities(row, inputs),
        prices=_prices(row, traits),
        lifecycle=lifecycle(retires_on=day(row.shutdown_date)),
        aliases=[row.id] if id_ != row.id else None,
        open_weights=True if first(row.hugging_face_id, row.hugging_face_url) else None,
    )


def parse(body: bytes, _: str, settings: Settings) -> Page:
    """Read a list with an envelope, or without one; Go's servers write an empty list as null."""
    traits = row_of(settings)
    raws = array(body) if is_array(body) else opened(body, _list).data or []
    return page(raws, _model, lambda row: mapped(row, traits))


def headers(settings: Settings, secrets: Secrets) -> dict[str, str]:
    """Authenticate, and say for which organization and project."""
    named = {"OpenAI-Organization": "organization", "OpenAI-Project": "project"}
    chosen = {header: option(settings, name) for header, name in named.items()}
    return bearer(settings, secrets) | {key: str(value) for key, value in chosen.items() if value}


def instead(_: str, settings: Settings) -> Page | None:
    """Return the ids that are known of a provider without a list; nothing more is said of them."""
    traits = row_of(settings)
    if traits is None or not traits.static:
        return None
    return Page([Row(ModelRecord(id=id_, name=id_), frozenset()) for id_ in traits.static])


DIALECT = Dialect(
    "openai",
    at("/models"),
    parse,
    headers,
    codes={"PRECONDITION_FAILED": "quota"},  # Fireworks: the account is suspended
    instead=instead,
)
