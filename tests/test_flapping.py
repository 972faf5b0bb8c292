"""The flap score: vectors of health.md, section 5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.health import REAL
from tests.support.rows import FLAPS, flap, remember

bits = st.integers(0, 2**21 - 1)


@pytest.mark.parametrize(("ring", "expected"), FLAPS)
def test_the_score_weighs_changes_and_the_newest_most(ring: str, expected: float) -> None:
    flap(REAL, ring, expected)


def test_a_ring_remembers_the_21_newest() -> None:
    remember(REAL)


@given(bits)
def test_a_score_lies_between_0_and_100_and_takes_no_side(ring: int) -> None:
    score = REAL.flapping.score

    assert 0 <= score(ring, 21) <= 100
    assert score(ring, 21) == score(ring ^ (2**21 - 1), 21)
