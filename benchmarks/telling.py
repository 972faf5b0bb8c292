"""The figures as people and as programs read them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks import judging
from benchmarks.figures import Provider, figures
from benchmarks.recording import Scan
from benchmarks.replaying import Replayed

PROVIDERS = (
    "provider", "lists", "failed", "quarantined", "naive removals", "back in 24 h", "ever back",
    "ours", "back in 24 h", "ever back", "median delay", "naive updates", "noise", "ours", "noise",
    "flips", "drifts",
)  # fmt: skip


def row(one: Provider) -> list[str]:
    """Return the row of a provider."""
    delay = f"{median(hours(one)):.1f} h" if one.late.delays else ""
    rows = one.updates
    cells: list[object] = [
        one.name, one.lists, one.failed, one.quarantined,
        len(one.naive), judging.undone(one.naive, judging.DAY), judging.undone(one.naive),
        len(one.ours), judging.undone(one.ours, judging.DAY), judging.undone(one.ours), delay,
        rows.naive, rows.naive_noise, rows.ours, rows.ours_noise, one.flips.undone, one.drifts,
    ]  # fmt: skip
    return [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells]


def hours(one: Provider) -> list[float]:
    """Return how long after it vanished each model that is gone for good was removed."""
    return [round(delay.total_seconds() / 3600, 2) for delay in one.late.delays]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def told(recorded: Sequence[Scan], all_: Sequence[Provider], replayed: Replayed) -> list[str]:
    """Return everything that was measured, as Markdown."""
    soon = sum(judging.undone_soon(one.ours) for one in all_)
    outlasted = sum(one.mass.outlasted for one in all_)
    waited = sum(one.late.waited for one in all_)
    worst = sorted(((n, one.name, which) for one in all_ for which, n in one.flips.worst))[::-1]
    observations = sum(one.lists + one.failed for one in all_)
    first, last = recorded[0].at, recorded[-1].at
    return [
        f"Measured {datetime.now(UTC):%Y-%m-%d} at commit {commit()}, on {os.cpu_count()} cores:",
        f"{len(recorded):,} scans of {len(all_)} providers, {first:%Y-%m-%d} to {last:%Y-%m-%d};",
        f"{observations:,} observations in {replayed.runs:.0f} s, and",
        f"{replayed.projection:.1f} s of the projector.",
        "",
        *table(
            ("figure", "naive", "ours", "must reach", ""),
            [(*one[:4], "reached" if one.reached else "NOT REACHED") for one in figures(all_)],
        ),
        "",
        *table(PROVIDERS, [row(one) for one in all_]),
        "",
        f"- Removals undone within 24 h of being told (not of the disappearance): {soon}.",
        f"- Models gone for good whose removal a quarantine of others delayed: {waited}.",
        f"- Mass disappearances that outlasted the hold, and came back all the same: {outlasted}.",
        "- Values that flip most: "
        + "; ".join(f"{name} {which}, {n} times" for n, name, which in worst[:3])
        + ".",
        *(
            f"- Drift: {one.at[:16]} {one.provider}, {one.models} rows"
            + (f" gain {', '.join(one.added_fields)}" if one.added_fields else "")
            + (f" lose {', '.join(one.removed_fields)}" if one.removed_fields else "")
            for one in replayed.drifts
        ),
    ]


def commit() -> str:
    """Return the commit that is measured, or that there is none."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    asked = [git, "rev-parse", "--short", "HEAD"]
    found = subprocess.run(
        asked, cwd=Path(__file__).parent, check=False, capture_output=True, text=True, timeout=20
    )
    return found.stdout.strip() or "unknown"


def as_json(recorded: Sequence[Scan], all_: Sequence[Provider], replayed: Replayed) -> bytes:
    """Return the figures for a program."""
    providers: dict[str, Any] = {
        one.name: {
            "lists": one.lists,
            "failed": one.failed,
            "quarantined": one.quarantined,
            "naive": _counts(one.naive) | {"updates": one.updates.naive},
            "ours": _counts(one.ours) | {"updates": one.updates.ours},
            "gone_for_good": {
                "due": one.late.due,
                "in_time": one.late.in_time,
                "waited": one.late.waited,
            },
            "delays_h": hours(one),
            "notice": one.notice._asdict(),
            "mass": one.mass._asdict(),
            "updates": one.updates._asdict(),
            "kept": one.kept._asdict(),
            "flips": one.flips._asdict(),
            "drifts": one.drifts,
        }
        for one in all_
    }
    whole = {
        "commit": commit(),
        "scans": len(recorded),
        "from": recorded[0].instant,
        "to": recorded[-1].instant,
        "seconds": replayed.runs,
        "total": {
            "naive": _counts([gone for one in all_ for gone in one.naive]),
            "ours": _counts([gone for one in all_ for gone in one.ours]),
        },
        "figures": [one._asdict() for one in figures(all_)],
        "providers": providers,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _counts(gone: Sequence[judging.Gone]) -> dict[str, int]:
    return {
        "removals": len(gone),
        "undone_24h": judging.undone(gone, judging.DAY),
        "undone_24h_of_report": judging.undone_soon(gone),
        "undone": judging.undone(gone),
    }
