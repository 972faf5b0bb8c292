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
}
SENSES = {"vision": "image", "audio_input": "audio", "video_input": "video", "pdf_input": "pdf"}


def usual(known: Mapping[str, bool | None]) -> tuple[list[str] | None, list[str] | None]:
    """Return input and output modalities of the capabilities *known* true.

    None where no kind is: that a model sees does not say that it reads nothing.
    """
    pairs = [pair for word, pair in USUAL.items() if known.get(word)]
    if not pairs:
        return None, None
    inputs = {into for into, _ in pairs if into}
    inputs |= {modality for word, modality in SENSES.items() if known.get(word)}
    return sorted(inputs) or None, sorted({out for _, out in pairs if out}) or None
