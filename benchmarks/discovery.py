"""Months of real lists through the real pipeline, beside the naive difference of two lists.

    python benchmarks/discovery.py            # print the tables
    python benchmarks/discovery.py --write    # and put them into docs/discovery-report.md

``TIMELINE`` names a folder of recorded lists other than ../shared/recordings/timeline, ``JSON`` a
file for the figures. Ends with 1 where a figure is not reached. Source of the figures:
discovery.md, section 9.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Provider, figures, judged
from benchmarks.recording import FOLDER, NoTimeline, Scan, scans
from benchmarks.replaying import Replayed, run
from benchmarks.telling import as_json, told
from projections import Catalogue

DOCUMENT = Path(__file__).parent.parent / "docs" / "discovery-report.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def measured(recorded: Sequence[Scan]) -> tuple[list[Provider], Replayed]:
    """Replay what was recorded, and judge what the catalogue says of it."""
    with TemporaryDirectory() as name:
        replayed = asyncio.run(run(recorded, Path(name)))
        drifted = [one.provider for one in replayed.drifts]
        with Catalogue.open(Path(name) / "catalogue.db") as catalogue:
            names = sorted({name for scan in recorded for name in scan.answers})
            return [judged(one, recorded, catalogue, drifted.count(one)) for one in names], replayed


def main(folder: Path, *, write: bool, file: Path | None) -> bool:
    """Measure, and print; tell whether every figure is reached. Raises NoTimeline."""
    recorded = scans(folder)
    all_, replayed = measured(recorded)
    lines = told(recorded, all_, replayed)
    print("\n".join(lines))
    if file is not None:
        file.write_bytes(as_json(recorded, all_, replayed))
    if write:
        text = DOCUMENT.read_text("utf-8")
        before, after = text[: text.index(BEGIN)], text[text.index(END) :]
        DOCUMENT.write_text("\n".join([before + BEGIN, *lines, after]), "utf-8")
    return all(one.reached for one in figures(all_))


if __name__ == "__main__":
    given, target = os.environ.get("TIMELINE"), os.environ.get("JSON")
    try:
        reached = main(
            Path(given) if given else FOLDER,
            write="--write" in sys.argv[1:],
            file=Path(target) if target else None,
        )
    except NoTimeline as error:
        print(f"nothing to replay: {error}", file=sys.stderr)
        sys.exit(1 if given else 0)
    sys.exit(not reached)
