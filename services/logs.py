"""Log lines: one a decision, at the shell only."""

from __future__ import annotations

import logging

logger = logging.getLogger("modelog")


def say(what: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log one decision on one line: what was done, then its fields as ``key=value``."""
    told = (f"{key}={_plain(field)}" for key, field in fields.items())
    logger.log(level, " ".join([what, *told]))


def _plain(value: object) -> str:
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return text if text and text.isprintable() and not set(text) & set(' "=') else repr(text)


def log_to_stderr() -> None:
    """Send log lines to stderr, one a decision; libraries are heard when they warn."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
