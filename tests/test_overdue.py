"""Overdue is what a provider lists behind the day on which it should retire: asked, never told."""

from __future__ import annotations

from typing import Any

import pytest

from events.codec import FactEvent
from events.record import Lifecycle
from projections import ModelFilter
from services.cli.filters import wanted
from tests.support.builders import DAYS, added, catalogue, missing, record

DATED = record("dated", lifecycle=Lifecycle(retires_on="2026-03-01"))
GOING = record("going", lifecycle=Lifecycle(retires_on="2026-03-01"))
FACTS: list[FactEvent] = [
    *added(DATED, at=DAYS[0]),
    *added(GOING, at=DAYS[0]),
    *added(record("undated"), at=DAYS[0]),
    missing("going", at=DAYS[1]),
]


@pytest.mark.parametrize(
    ("today", "overdue"), [("2026-02-28", []), ("2026-03-01", []), ("2026-03-02", ["dated"])]
)
def test_a_model_is_overdue_from_the_day_behind_its_last(today: str, overdue: list[str]) -> None:
    with catalogue(FACTS) as opened:
        asked = ModelFilter(overdue_on=today)

        assert [one.id for one in opened.search(asked)] == overdue
        assert [one.id for one in opened.search(asked, as_of=len(FACTS))] == overdue


def test_the_command_line_asks_for_them_as_of_a_state() -> None:
    plain: dict[str, Any] = dict.fromkeys(
        (
            *("provider", "capability", "any_capability", "modality", "min_context"),
            *("max_input_price", "availability"),
        )
    )
    asked = wanted(**plain, lifecycle="overdue", text=None, sort=None, limit=None, offset=0)

    assert asked.lifecycle is None
    assert asked.overdue_on is not None
    assert (
        wanted(**plain, lifecycle="retired", text=None, sort=None, limit=None, offset=0).overdue_on
        is None
    )
