from __future__ import annotations

from typing import Any

import pytest

from events.alerts import AlertResolved, AlertUpdated
from events.codec import FactEvent
from events.subjects import FACTS
from projections.faults import MissingRow
from projections.health_rows import Alert
from tests.support.builders import catalogue, empty, folder, stored
from tests.support.cycles import at, opened, resolved, updated


def test_an_alert_has_a_life() -> None:
    facts: list[FactEvent] = [
        opened("1", cause="outage"),
        updated("1", 1, "acknowledged"),
        updated("1", 2, "silenced", until=at(60)),
        updated("1", 3, "severity", severity="critical", message="down for long", cause="outage"),
        resolved("1", 4, message="up again", cause="outage"),
    ]
    with catalogue(facts) as one:
        found = one.alert("1")
        assert one.alert("2") is None

    assert found == Alert(
        alert_id="1",
        provider="acme",
        model_id=None,
        kind="status_change",
        cause="outage",
        severity="critical",
        message="up again",
        fingerprint="acme||status_change|1",
        since=at(0),
        opened_at=at(0),
        resolved_at=at(4),
        resolved_reason="recovered",
        state="resolved",
        acknowledged_at=at(1),
        silenced_until=at(60),
        seq=5,
    )


def test_an_alert_that_comes_back_is_open_under_its_id() -> None:
    facts: list[FactEvent] = [
        opened("1"),
        resolved("1", 4),
        updated("1", 5, "reopened", message="down again"),
    ]
    with catalogue(facts) as one:
        [found] = one.alerts()

    assert (found.state, found.resolved_at, found.resolved_reason) == ("open", None, None)
    assert (found.opened_at, found.message) == (at(0), "down again")


def test_an_alert_that_comes_back_is_not_acknowledged_again_but_stays_silenced() -> None:
    before: list[FactEvent] = [
        opened("1"),
        updated("1", 1, "acknowledged"),
        updated("1", 2, "silenced", until=at(60)),
        resolved("1", 4),
        updated("1", 61, "reopened"),
    ]
    with catalogue(before) as one:
        [again] = one.alerts()
    with catalogue([*before, updated("1", 62, "acknowledged")]) as one:
        [seen_to] = one.alerts()

    assert (again.acknowledged_at, again.silenced_until) == (None, at(60))
    assert seen_to.acknowledged_at == at(62)


def test_alerts_are_told_newest_first_by_state_and_provider_in_pages() -> None:
    facts: list[FactEvent] = [
        opened("1"),
        opened("2", 1, provider="beta"),
        opened("3", 1),
        opened("4", 2, provider="beta"),
        resolved("3", 3),
    ]
    with catalogue(facts) as one:

        def ids(*asked: str, **more: Any) -> list[str]:  # noqa: ANN401 - as `alerts` takes them
            return [found.alert_id for found in one.alerts(*asked, **more)]

        assert ids() == ["4", "3", "2", "1"]
        assert ids("open") == ["4", "2", "1"]
        assert ids("resolved") == ["3"]
        assert ids(provider="beta") == ["4", "2"]
        assert ids("open", "acme") == ["1"]
        assert ids(limit=2) == ["4", "3"]
        assert ids(limit=2, after=(at(1), "3")) == ["2", "1"]
        assert ids("open", after=(at(2), "4"), limit=1) == ["2"]


@pytest.mark.parametrize(
    "event", [updated("1", 1, "acknowledged"), updated("1", 1, "cause"), resolved("1", 1)]
)
def test_what_happens_to_an_unknown_alert_halts(event: AlertUpdated | AlertResolved) -> None:
    with pytest.raises(MissingRow, match="alert acme/1"):
        folder(empty()).fold(FACTS, stored([event]))
