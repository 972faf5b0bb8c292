"""What usually goes into a kind of model and comes out, for dialects that state kinds alone."""

from __future__ import annotations

from collections.abc import Mapping

USUAL: dict[str, tuple[str | None, str | None]] = {
    "chat": ("text", "text"),
    "completion": ("text", "text"),
    "embeddings": ("text", "embedding"),
    "rerank": ("text", None),
    "moderation": ("text", None),
    "image_generation": ("text", "image"),
    "video_generation": ("text", "video"),
    "speech": ("text", "audio"),
    "transcription": ("audio", "text"),
    "vision": ("image", None),
    "audio_input": ("audio", None),
    "video_input": ("video", None),
    "pdf_input": ("pdf", None),
}


def usual(known: Mapping[str, bool | None]) -> tuple[list[str] | None, list[str] | None]:
    """Return input and output modalities of the capabilities *known* true; None where none is."""
    pairs = [pair for word, pair in USUAL.items() if known.get(word)]
    inputs = sorted({into for into, _ in pairs if into})
    outputs = sorted({out for _, out in pairs if out})
    return inputs or None, outputs or None
