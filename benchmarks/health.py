"""How far the health monitor can be trusted: the real one over months of simulated providers.

    python benchmarks/health.py            # print the tables
    python benchmarks/health.py --write    # and put them into docs/health-report.md

``SEED`` draws other traces, ``JSON`` names a file for the figures, ``SCALE`` multiplies the days.
Ends with 1 where a figure is not reached. Source of the figures: health.md, section 13.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

from benchmarks.health_families import worlds
from benchmarks.health_judging import Tally, judged
from benchmarks.health_report import Measured, as_json, figures, told
from benchmarks.health_traces import World
from benchmarks.health_world import lived

DOCUMENT = Path(__file__).parent.parent / "docs" / "health-report.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def one(world: World) -> tuple[str, Tally, Tally, float]:
    """Let one world pass; return its family, both tallies, and the CPU seconds that it took."""
    logging.getLogger("modelog").setLevel(logging.CRITICAL)
    began = time.process_time()
    ours, naive = judged(world, lived(world))
    gc.collect()
    return world.family, ours, naive, time.process_time() - began


def measured(all_: Sequence[World], seed: int, cores: int | None = None) -> Measured:
    """Let every world pass, on all cores, and add up what is counted."""
    began = time.perf_counter()
    found = Measured(seed)
    found.families.update((world.family, (Tally(), Tally())) for world in all_)
    longest_first = sorted(all_, key=lambda world: -world.days * len(world.traces))
    with get_context("spawn").Pool(cores) as pool:
        done = pool.map(one, longest_first, chunksize=1)
    for family, ours, naive, took in done:
        found.families[family][0].add(ours)
        found.families[family][1].add(naive)
        found.cpu += took
    found.wall = time.perf_counter() - began
    return found


def main(*, seed: int, scale: float, write: bool, file: Path | None) -> bool:
    """Measure, and print; tell whether every figure is reached."""
    found = measured(list(worlds(seed, scale)), seed)
    lines = told(found)
    print("\n".join(lines))
    if file is not None:
        file.write_bytes(as_json(found))
    if write:
        text = DOCUMENT.read_text("utf-8")
        before, after = text[: text.index(BEGIN)], text[text.index(END) :]
        DOCUMENT.write_text("\n".join([before + BEGIN, *lines, after]), "utf-8")
    return all(figure.reached for figure in figures(found))


if __name__ == "__main__":
    target = os.environ.get("JSON")
    reached = main(
        seed=int(os.environ.get("SEED") or 1),
        scale=float(os.environ.get("SCALE") or 1),
        write="--write" in sys.argv[1:],
        file=Path(target) if target else None,
    )
    sys.exit(not reached)
