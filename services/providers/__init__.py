"""What each provider says and means: one file per dialect, one row per provider in `table`."""

from __future__ import annotations

from services.providers import (
    anthropic,
    azure,
    azure_management,
    bedrock,
    cloudflare,
    cohere,
    dashscope,
    deepinfra,
    elevenlabs,
    fireworks,
    gemini,
    github_models,
    huggingface,
    litellm,
    llamacpp,
    lmstudio,
    mistral,
    novita,
    ollama,
    openai,
    openrouter,
    openrouter_provider,
    replicate,
    tgi,
    together,
    together_catalog,
    venice,
    vercel,
    vertex,
    xai,
)
from services.providers.dialect import (
    Detail,
    Dialect,
    Exchange,
    Page,
    Refused,
    Request,
    Row,
    Secrets,
)
from services.providers.table import Builtin

__all__ = [
    "DIALECTS",
    "Detail",
    "Dialect",
    "Exchange",
    "Page",
    "Refused",
    "Request",
    "Row",
    "Secrets",
    "usable",
]

DIALECTS: dict[str, Dialect] = {
    module.DIALECT.name: module.DIALECT
    for module in (
        anthropic,
        azure,
        azure_management,
        bedrock,
        cloudflare,
        cohere,
        dashscope,
        deepinfra,
        elevenlabs,
        fireworks,
        gemini,
        github_models,
        huggingface,
        litellm,
        llamacpp,
        lmstudio,
        mistral,
        novita,
        ollama,
        openai,
        openrouter,
        openrouter_provider,
        replicate,
        tgi,
        together,
        together_catalog,
        venice,
        vercel,
        vertex,
        xai,
    )
}
"""Every dialect by its name."""


def usable(builtin: Builtin) -> bool:
    """Tell whether the dialect of *builtin* can be read."""
    return builtin.dialect in DIALECTS
