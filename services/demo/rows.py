"""A model of models.dev as a row in each dialect's own words; what one cannot say is left out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Model = Mapping[str, Any]
"""A model as models.dev describes it; only `id` must be there."""
Row = dict[str, Any]

BORN = "2024-01-01"
"""The release date of a model that has none."""
SHOW = "_show"
"""Where an Ollama row keeps what only the detail request tells."""


def openai(model: Model, provider: str) -> Row:
    """`id`, `object`, `created`, `owned_by`: the plain list says no more, but for Groq's."""
    row: Row = {
        "id": model["id"],
        "object": "model",
        "created": _seconds(model),
        "owned_by": provider,
    }
    if provider == "groq":
        limits = {"context_window": "context", "max_completion_tokens": "output"}
        row |= {"active": True} | {theirs: _limit(model, ours) for theirs, ours in limits.items()}
    if provider == "deepseek":
        del row["created"]
    return row


def anthropic(model: Model, _provider: str) -> Row:
    """Limits and capabilities, explicit both ways; no price."""
    inputs = _modalities(model, "input")
    features = {
        "image_input": "image" in inputs,
        "pdf_input": "pdf" in inputs,
        "structured_outputs": model.get("structured_output"),
        "thinking": model.get("reasoning"),
    }
    known = {name: {"supported": has} for name, has in features.items() if has is not None}
    return {
        "type": "model",
        "id": model["id"],
        "display_name": model.get("name", model["id"]),
        "created_at": f"{_date(model)}T00:00:00Z",
        "max_input_tokens": _limit(model, "input") or _limit(model, "context"),
        "max_tokens": _limit(model, "output"),
        "lifecycle": "deprecated" if model.get("status") == "deprecated" else "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": known,
    }


def gemini(model: Model, _provider: str) -> Row:
    """Limits, methods, and `thinking` where it is true."""
    family = f"{model.get('family', '')} {model['id']}"
    if "embedding" in family:
        methods = ["embedContent", "countTextTokens", "asyncBatchEmbedContent"]
    elif "live" in family or "native-audio" in family:
        methods = ["bidiGenerateContent", "countTokens"]
    else:
        methods = ["generateContent", "countTokens"]
        methods += ["createCachedContent"] if "cache_read" in model.get("cost", {}) else []
        methods += ["batchGenerateContent"]
    row: Row = {
        "name": f"models/{model['id']}",
        "version": "001",
        "displayName": model.get("name", model["id"]),
        "inputTokenLimit": _limit(model, "input") or _limit(model, "context"),
        "outputTokenLimit": _limit(model, "output"),
        "supportedGenerationMethods": methods,
    }
    return {**row, "thinking": True} if model.get("reasoning") else row


def openrouter(model: Model, _provider: str) -> Row:
    """All of it; prices are strings in USD per token."""
    inputs = ["file" if one == "pdf" else one for one in _modalities(model, "input")]
    outputs = list(_modalities(model, "output"))
    said = {
        "tools": model.get("tool_call"),
        "tool_choice": model.get("tool_call"),
        "reasoning": model.get("reasoning"),
        "include_reasoning": model.get("reasoning"),
        "structured_outputs": model.get("structured_output"),
        "temperature": model.get("temperature"),
    }
    knowledge = model.get("knowledge") or ""
    context = _limit(model, "context")
    return {
        "id": model["id"],
        "canonical_slug": model["id"],
        "hugging_face_id": "",
        "name": model.get("name", model["id"]),
        "created": _seconds(model),
        "context_length": context,
        "architecture": {
            "modality": f"{'+'.join(inputs)}->{'+'.join(outputs)}",
            "input_modalities": inputs,
            "output_modalities": outputs,
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": _per_token(model.get("cost", {})),
        "top_provider": {
            "context_length": context,
            "max_completion_tokens": _limit(model, "output"),
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": sorted(name for name, has in said.items() if has),
        "default_parameters": None,
        "supported_voices": None,
        "knowledge_cutoff": knowledge if knowledge.count("-") == 2 else None,  # noqa: PLR2004
        "expiration_date": None,
        "links": {"details": f"/api/v1/models/{model['id']}/endpoints"},
    }


def mistral(model: Model, _provider: str) -> Row:
    """Capabilities as explicit booleans; `created` is set when the answer is sent, as theirs is."""
    inputs, id_ = _modalities(model, "input"), model["id"]
    chats = not any(word in id_ for word in ("embed", "ocr", "moderation"))
    return {
        "id": id_,
        "object": "model",
        "created": 0,
        "owned_by": "mistralai",
        "name": id_,
        "description": model.get("name", id_),
        "max_context_length": _limit(model, "context"),
        "aliases": [],
        "deprecation": None,
        "deprecation_replacement_model": None,
        "default_model_temperature": None,
        "type": "base",
        "capabilities": {
            "completion_chat": chats,
            "function_calling": bool(model.get("tool_call")),
            "reasoning": bool(model.get("reasoning")),
            "completion_fim": "codestral" in id_,
            "fine_tuning": False,
            "vision": "image" in inputs,
            "ocr": "ocr" in id_,
            "classification": False,
            "moderation": "moderation" in id_,
            "audio": "audio" in inputs,
        },
    }


def ollama(model: Model, _provider: str) -> Row:
    """Tags; context and capabilities are in the details."""
    family = model.get("family", "llama")
    said = {
        "completion": True,
        "tools": model.get("tool_call"),
        "vision": "image" in _modalities(model, "input"),
        "thinking": model.get("reasoning"),
    }
    moment = f"{model.get('last_updated', _date(model))}"
    return {
        "name": model["id"],
        "model": model["id"],
        "modified_at": f"{moment}T00:00:00Z",
        "size": 0,
        "digest": hashlib.sha256(repr(sorted(model.items())).encode()).hexdigest(),
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": family,
            "families": [family],
            "parameter_size": "",
            "quantization_level": "",
        },
        SHOW: {
            "details": {"family": family},
            "model_info": {
                "general.architecture": family,
                f"{family}.context_length": _limit(model, "context"),
            },
            "capabilities": [name for name, has in said.items() if has],
            "modified_at": f"{moment}T00:00:00Z",
        },
    }


ROWS: dict[str, Callable[[Model, str], Row]] = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "openrouter": openrouter,
    "mistral": mistral,
    "ollama": ollama,
}

_PRICES = {
    "input": "prompt",
    "output": "completion",
    "cache_read": "input_cache_read",
    "cache_write": "input_cache_write",
    "reasoning": "internal_reasoning",
    "input_audio": "audio",
}


def _per_token(cost: Mapping[str, Any]) -> dict[str, str]:
    """Turn USD per million tokens into strings of USD per token, without float noise."""
    return {
        theirs: format((Decimal(str(cost[ours])) / 1_000_000).normalize(), "f")
        for ours, theirs in _PRICES.items()
        if cost.get(ours) is not None
    }


def _modalities(model: Model, side: str) -> tuple[str, ...]:
    return tuple(model.get("modalities", {}).get(side, ("text",)))


def _limit(model: Model, name: str) -> int | None:
    """Return a limit; models.dev writes 0 for what it does not know."""
    return model.get("limit", {}).get(name) or None


def _date(model: Model) -> str:
    """Return the release date; where models.dev has a month alone, its first day."""
    text = str(model.get("release_date") or BORN)
    return f"{text}-01" if text.count("-") == 1 else text


def _seconds(model: Model) -> int:
    return int(datetime.fromisoformat(_date(model)).replace(tzinfo=UTC).timestamp())
