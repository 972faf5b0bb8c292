"""What other tools call a provider."""

from __future__ import annotations

from typing import NamedTuple


class Vendor(NamedTuple):
    """A provider as LiteLLM and models.dev know it.

    *litellm* and *models_dev* are their names of it, *plain* tells that LiteLLM's keys of its
    models are ids without a prefix. *env* are the variables that hold its key, *npm* is the package
    of the AI SDK that speaks to it, *api* its address where that package has to be told.
    """

    litellm: str
    models_dev: str
    name: str
    plain: bool = False
    env: tuple[str, ...] = ()
    npm: str = "@ai-sdk/openai-compatible"
    api: str | None = None
    doc: str = ""


def unnamed(provider: str) -> Vendor:
    """Return a provider that no other tool knows, under its own name."""
    return Vendor(litellm=provider, models_dev=provider, name=provider)
