"""What a destination is told: openings, changes, resolves, reminders, and when."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from events.alerts import (
    AlertChange,
    AlertEvent,
    AlertOpened,
    AlertResolved,
    AlertUpdated,
    Severity,
)
from events.base import instant_at
from events.decide.alerts import Alert, Alerts, evolve
from services.notifier.box import MOST, PATIENCE, Box, Rules, due, wakes
from services.notifier.notice import BadKey, key, notice, signed
from services.notifier.outbox import bounded, delivered, failed, look, take

START = 1_800_000_000_000
SECOND = 1000
HOUR = 3_600_000


def about(alert_id: str, severity: Severity = "high", provider: str = "acme") -> dict[str, Any]:
    return {
        "at": instant_at(START),
        "provider": provider,
        "alert_id": alert_id,
        "fingerprint": f"{provider}|{alert_id}",
        "kind": "status_change",
        "severity": severity,
        "message": "down",
        "since": instant_at(START),
    }


def opened(alert_id: str = "a", severity: Severity = "high", provider: str = "acme") -> AlertOpened:
    return AlertOpened(**about(alert_id, severity, provider))


def updated(change: AlertChange, severity: Severity = "high", **more: Any) -> AlertUpdated:  # noqa: ANN401 - an event's fields
    return AlertUpdated(**about("a", severity), change=change, **more)


RESOLVED = AlertResolved(**about("a"), reason="recovered", duration_ms=90_000)


class Desk:
    """One destination over a log and a clock that the test moves."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules(severity="medium")
        self.box = Box()
        self.now = START
        self._alerts: Alerts = {}
        self._seq = 0

    @property
    def standing(self) -> dict[str, Alert]:
        return {one.alert_id: one for one in self._alerts.values() if one.resolved_at is None}

    def happens(self, *events: AlertEvent) -> None:
        for event in events:
            self._seq += 1
            self._alerts = evolve(self._alerts, replace(event, at=instant_at(self.now)))
            self.box = take(
                self.box,
                self.rules,
                event,
                id=f"e{self._seq}",
                seq=self._seq,
                standing=self.standing.get(event.alert_id),
                now=self.now,
            )

    def passes(self, milliseconds: int) -> None:
        self.now += milliseconds
        self.box = look(self.box, self.rules, self.standing, self.now)

    def waits(self) -> list[tuple[str, str]]:
        return [(one.what, one.event.alert_id) for one in self.box.waiting]

    def goes_out(self) -> list[str]:
        """Deliver all that waits, if it is due."""
        moment = due(self.box, self.rules)
        if moment is None or moment > self.now:
            return []
        told = [f"{one.what} {one.event.alert_id}" for one in self.box.waiting]
        self.box = delivered(self.box, self.rules, self.box.waiting, self.now)
        return told


def test_changes_wait_for_those_that_come_with_them() -> None:
    desk = Desk()
    desk.happens(opened("a"))
    desk.passes(29 * SECOND)
    desk.happens(opened("b"))

    assert desk.goes_out() == []
    desk.passes(1 * SECOND)
    assert desk.goes_out() == ["opened a", "opened b"]
    assert desk.goes_out() == []


def test_a_resolve_goes_out_behind_its_opening() -> None:
    desk = Desk()
    desk.happens(opened(), RESOLVED)

    assert desk.waits() == [("opened", "a"), ("resolved", "a")]
    assert desk.box.told == {}


@pytest.mark.parametrize(
    "alert", [opened("a", "low"), opened("a", "high", "other")], ids=["too low", "another's"]
)
def test_what_is_not_wanted_is_told_neither_when_it_opens_nor_when_it_ends(
    alert: AlertOpened,
) -> None:
    desk = Desk(Rules(severity="medium", providers=frozenset({"acme"})))
    desk.happens(alert)
    desk.happens(AlertResolved(**about("a", provider=alert.provider), reason="recovered"))

    assert desk.waits() == []


def test_what_is_about_all_providers_is_for_everybody() -> None:
    desk = Desk(Rules(severity="medium", providers=frozenset({"acme"})))
    desk.happens(opened("a", "high", "all"))

    assert desk.waits() == [("opened", "a")]


def test_an_alert_that_becomes_severe_enough_opens_then() -> None:
    desk = Desk()
    desk.happens(opened("a", "low"), updated("severity", "medium"), updated("severity", "high"))

    assert desk.waits() == [("opened", "a"), ("updated", "a")]
    assert isinstance(desk.box.waiting[0].event, AlertOpened)
    assert desk.box.waiting[0].event.severity == "medium"


def test_an_event_that_is_in_the_box_is_taken_once() -> None:
    desk = Desk()
    desk.happens(opened())
    again = take(desk.box, desk.rules, RESOLVED, id="e1", seq=1, standing=None, now=desk.now)

    assert again == desk.box


def test_what_is_open_and_was_never_told_is_told() -> None:
    desk = Desk()
    desk.happens(opened())
    desk.box = Box(seq=1)
    desk.passes(0)

    assert desk.waits() == [("opened", "a")]


def test_a_silenced_alert_waits_for_the_end_of_its_silence() -> None:
    desk = Desk()
    until = START + HOUR
    desk.happens(opened(), updated("silenced", until=instant_at(until)))

    assert desk.waits() == []
    assert wakes(desk.box, desk.rules, desk.standing, desk.now) == until
    desk.passes(HOUR - 1)
    assert desk.waits() == []
    desk.passes(1)
    assert desk.waits() == [("opened", "a")]


def test_one_that_ends_in_its_silence_is_never_told() -> None:
    desk = Desk()
    desk.happens(opened(), updated("silenced", until=instant_at(START + HOUR)), RESOLVED)
    desk.passes(2 * HOUR)

    assert desk.waits() == []


def test_a_silence_keeps_no_resolve_back() -> None:
    desk = Desk(Rules(severity="medium", group=0))
    desk.happens(opened())
    desk.goes_out()
    desk.happens(updated("silenced", until=instant_at(START + HOUR)), RESOLVED)

    assert desk.goes_out() == ["resolved a"]


def test_what_changed_in_a_silence_is_told_at_its_end() -> None:
    desk = Desk(Rules(severity="medium", group=0))
    desk.happens(opened())
    desk.goes_out()
    until = instant_at(START + HOUR)
    desk.happens(updated("silenced", until=until), updated("severity", "critical"))

    assert desk.waits() == []
    desk.passes(HOUR)
    assert desk.waits() == [("updated", "a")]


def test_a_silence_takes_back_a_second_opening_and_leaves_the_first_time_whole() -> None:
    desk = Desk()
    desk.happens(opened(), RESOLVED, updated("reopened"))
    desk.happens(updated("silenced", until=instant_at(START + HOUR)))

    assert desk.waits() == [("opened", "a"), ("resolved", "a")]


def test_reminders_come_after_four_hours_and_double_to_a_day() -> None:
    desk = Desk(Rules(severity="medium", group=0))
    desk.happens(opened())
    desk.goes_out()
    moments, line = [], ""
    for _ in range(5):
        moment = wakes(desk.box, desk.rules, desk.standing, desk.now)
        assert moment is not None
        desk.passes(moment - desk.now - 1)
        assert desk.waits() == []
        desk.passes(1)
        moments.append((desk.now - START) // HOUR)
        line = notice(desk.box.waiting).body
        assert desk.goes_out() == ["reminder a"]

    assert moments == [4, 12, 28, 52, 76]
    assert line == "still HIGH acme: down (for 3d4h)"


@pytest.mark.parametrize("change", ["acknowledged", "silenced"])
def test_an_acknowledgement_ends_reminders_and_not_the_resolve(change: AlertChange) -> None:
    desk = Desk(Rules(severity="medium", group=30_000))
    desk.happens(opened())
    desk.passes(30_000)
    desk.goes_out()
    desk.passes(4 * HOUR)
    assert desk.waits() == [("reminder", "a")]
    until = instant_at(desk.now + 30 * HOUR) if change == "silenced" else None
    desk.happens(updated(change, until=until))
    desk.passes(20 * HOUR)

    assert desk.waits() == []
    desk.happens(RESOLVED)
    assert desk.waits() == [("resolved", "a")]


def test_no_reminders_where_they_are_off() -> None:
    desk = Desk(Rules(severity="medium", group=0, reminders=False))
    desk.happens(opened())
    desk.goes_out()
    desk.passes(100 * HOUR)

    assert desk.waits() == []
    assert wakes(desk.box, desk.rules, desk.standing, desk.now) is None


def test_the_rate_holds_notices_back_and_loses_none() -> None:
    desk = Desk(Rules(severity="medium", group=0, limit=2, span=HOUR))
    out = []
    for name in "abcd":
        desk.happens(opened(name))
        out.append(desk.goes_out())
        desk.passes(SECOND)

    assert out == [["opened a"], ["opened b"], [], []]
    assert due(desk.box, desk.rules) == START + HOUR
    desk.passes(HOUR - 4 * SECOND)
    assert desk.goes_out() == ["opened c", "opened d"]


def test_what_failed_waits_as_long_as_it_is_told_to_with_all_that_came_since() -> None:
    desk = Desk(Rules(severity="medium", group=0))
    desk.happens(opened("a"))
    desk.box = failed(desk.box, desk.now, wait=5 * SECOND).box
    desk.happens(opened("b"))

    assert desk.goes_out() == []
    desk.passes(5 * SECOND)
    assert desk.goes_out() == ["opened a", "opened b"]
    assert desk.box.attempts == 0


def test_after_a_day_an_opening_is_given_up_and_its_resolve_never_goes_out() -> None:
    desk = Desk(Rules(severity="medium", group=0))
    desk.happens(opened("a"))
    desk.passes(PATIENCE - 1)
    desk.happens(opened("b"))
    kept = failed(desk.box, desk.now, wait=0)
    assert kept.lost == ()
    desk.passes(1)
    given = failed(kept.box, desk.now, wait=0)

    assert [one.event.alert_id for one in given.lost] == ["a"]
    desk.box = given.box
    desk.passes(HOUR)
    desk.happens(updated("severity", "critical"), RESOLVED)
    assert desk.waits() == [("opened", "b")]


def test_what_waits_behind_an_opening_that_is_given_up_goes_with_it() -> None:
    desk = Desk(Rules(severity="medium", group=0))
    desk.happens(opened())
    desk.passes(PATIENCE)
    desk.happens(RESOLVED)
    given = failed(desk.box, desk.now, wait=0)

    assert given.box.waiting == ()


def test_a_box_is_bounded() -> None:
    desk = Desk(Rules(severity="medium", group=0))
    desk.happens(*(opened(f"a{number}") for number in range(MOST + 2)))
    given = bounded(desk.box)

    assert len(given.box.waiting) == MOST
    assert [one.event.alert_id for one in given.lost] == ["a0", "a1"]


def test_a_reopened_alert_opens_again() -> None:
    desk = Desk(Rules(severity="medium", group=0))
    desk.happens(opened())
    desk.goes_out()
    desk.happens(RESOLVED)
    desk.goes_out()
    desk.happens(updated("reopened"))

    assert desk.goes_out() == ["opened a"]


def test_a_signature_is_that_of_the_scheme() -> None:
    """The example of the specification's own libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - published for tests
    headers = signed(
        b'{"test": 2432232314}',
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        key=key(secret),
    )

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!", "whsec_c2hvcnQ=", ""])
def test_what_is_no_key_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(BadKey) as told:
        key(secret)

    assert not secret or secret not in str(told.value)
