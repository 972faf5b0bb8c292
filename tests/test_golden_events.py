"""Stored samples of every event: `golden/<tag>.jsonl` is appended to and never edited.

Each line is a message as the log holds it. Where an event gets a field, a line that has it is
appended; the lines before it must still decode, and mean what they meant.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from events import encode, seal, tag_of, types
from events.envelope import Recorded, Stored, opened
from events.subjects import stream_of

FOLDER = Path(__file__).parent / "golden"
TAGS = sorted(types())
SAMPLES = {
    f"{path.stem}-{number}": json.loads(line)
    for path in sorted(FOLDER.glob("*.jsonl"))
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
}
NEWEST = {name.rpartition("-")[0]: sample for name, sample in SAMPLES.items()}
GIT = shutil.which("git")


def _open(sample: dict[str, Any]) -> Recorded:
    payload = json.dumps(sample["payload"]).encode()
    stored = Stored(1, sample["subject"], 0, sample["headers"], payload)
    return opened(stream_of(sample["subject"]), stored)


def test_every_tag_has_a_sample() -> None:
    assert sorted(NEWEST) == TAGS
    assert sorted(path.name for path in FOLDER.iterdir()) == [f"{tag}.jsonl" for tag in TAGS]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_stored_event_still_means_what_it_meant(name: str) -> None:
    sample = SAMPLES[name]
    recorded = _open(sample)
    again = seal(recorded.event, id=recorded.id, source="/modelog/test/1")
    written = json.loads(again.payload)

    assert tag_of(recorded.event) == name.rpartition("-")[0] == sample["headers"]["ce-type"]
    assert again.subject == sample["subject"]
    assert again.headers.keys() <= sample["headers"].keys()
    assert _holds(written, sample["payload"])


@pytest.mark.parametrize("tag", TAGS)
def test_the_newest_sample_has_every_field_of_today(tag: str) -> None:
    sample = NEWEST[tag]

    assert json.loads(encode(_open(sample).event)) == sample["payload"]


@pytest.mark.skipif(GIT is None or not (FOLDER.parents[1] / ".git").exists(), reason="no history")
def test_no_line_of_a_sample_was_ever_edited() -> None:
    log = subprocess.run(
        [GIT or "", "log", "--numstat", "--format=", "--", str(FOLDER)],
        cwd=FOLDER,
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    if log.returncode:
        pytest.skip(f"no history: {log.stderr}")
    removed = [line for line in log.stdout.splitlines() if line and not re.match(r"\d+\t0\t", line)]

    assert removed == []


def _holds(now: object, then: object) -> bool:
    """Whether *now* has every field of *then* with the same value, whatever else it has."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(
            key in now and _holds(now[key], value) for key, value in then.items()
        )
    if isinstance(then, list):
        return (
            isinstance(now, list)
            and len(now) == len(then)
            and all(_holds(*pair) for pair in zip(now, then, strict=True))
        )
    return now == then
