"""The checks of a cycle add up to one verdict: table and vectors of health.md, section 4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.decide.verdict import judge
from events.health import CheckResult
from tests.support.health import REAL
from tests.support.rows import CLASSES, JUDGED, Row, check, judged

checks = st.lists(
    st.builds(
        check,
        st.sampled_from(sorted(CLASSES)),
        weight=st.sampled_from([0.5, 1.0, 2.0]),
        critical=st.booleans(),
    ),
    max_size=5,
)


@pytest.mark.parametrize("row", JUDGED, ids=lambda row: row.claim)
def test_checks_add_up_to(row: Row) -> None:
    judged(REAL, row)


@given(checks)
def test_the_order_of_the_checks_changes_neither_verdict_nor_cause(
    found: list[CheckResult],
) -> None:
    one, other = judge(found, 0.5), judge(found[::-1], 0.5)

    assert one[:2] == other[:2]
    assert one.error_rate == other.error_rate


@given(checks)
def test_a_verdict_is_borne_out_by_a_check_of_its_own(found: list[CheckResult]) -> None:
    said = judge(found, 0.5)
    groups = {one.verdict for one in found}

    assert 0 <= said.error_rate <= 1
    assert said.verdict in groups or said.verdict in {"UNKNOWN", "PARTIAL"}
    assert (said.cause is not None) == (said.verdict in {"BLOCKED", "PARTIAL"})
    if said.verdict in {"OK", "PARTIAL"}:
        answered = {one.verdict for one in found if one.critical}
        assert answered <= {"OK", "PARTIAL"}


@given(checks)
def test_checks_that_say_nothing_of_the_provider_do_not_sway_it(found: list[CheckResult]) -> None:
    beside = [check("rate_limited"), check("check_invalid"), check("local")]
    said = judge([check("ok", critical=True), *found], 0.5)

    assert judge([check("ok", critical=True), *found, *beside], 0.5)[:5] == said[:5]
