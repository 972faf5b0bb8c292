"""The shapes that other tools read: models in, pieces of text out, one model at a time."""

from __future__ import annotations

from projections.export.litellm import litellm
from projections.export.models_dev import models_dev
from projections.export.openai import openai
from projections.export.plain import as_csv, as_json
from projections.export.vendor import Vendor

__all__ = ["Vendor", "as_csv", "as_json", "litellm", "models_dev", "openai"]
