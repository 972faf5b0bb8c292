"""Every row of the reducer's tables: gap, count, decide (health.md, section 5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.health import REAL, Kit
from tests.support.rows import COUNTED, FREE, counts, lives
from tests.support.stories import STORIES, Story


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.claim)
def test_a_story_ends_as_it_must(story: Story) -> None:
    lives(REAL, story)


@pytest.mark.parametrize("row", COUNTED, ids=lambda row: row[0])
def test_a_verdict_counts(row: tuple[str, str, int, int, int, int]) -> None:
    counts(REAL, row)


@pytest.mark.parametrize("holds", FREE, ids=lambda one: one.__name__)
def test_the_reducer_holds(holds: Callable[[Kit], None]) -> None:
    holds(REAL)
