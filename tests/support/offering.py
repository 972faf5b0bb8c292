"""A package that offers checks of its own, as an installed one would."""

from __future__ import annotations

from pathlib import Path

import pytest


def offer(folder: Path, patch: pytest.MonkeyPatch, code: str = "", **points: str) -> None:
    """Put a package on the path: module `acme_checks` with *code*, and its entry points."""
    named = folder / "acme_checks-1.0.dist-info"
    named.mkdir(parents=True)
    (named / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-checks\nVersion: 1.0\n")
    lines = [f"{name.replace('_', '-')} = {where}" for name, where in points.items()]
    (named / "entry_points.txt").write_text("\n".join(["[modelog.checks]", *lines, ""]))
    (folder / "acme_checks.py").write_text(code)
    patch.syspath_prepend(str(folder))
