"""Whom to tell: what should be open, what opens, changes and resolves, and what is told instead."""

from __future__ import annotations

from typing import Any

import pytest

from events.alerts import AlertEvent, AlertOpened, AlertResolved, AlertUpdated
from events.audit import (
    Absent,
    Failure,
    RefreshFailed,
    RefreshOutcome,
    RefreshQuarantined,
    RefreshSucceeded,
)
from events.base import instant_at
from events.decide.alerts import Alerts, acknowledge, decide, evolve, recovered, silence
from events.decide.conditions import Condition, Seen, Unanswered, conditions
from events.decide.fleet import Standing, fleet
from events.decide.retiring import NOTHING, Retirement, Retiring, soon
from events.decide.retiring import evolve as age
from events.decide.runs import NONE, Failures, Quarantined, Runs
from events.decide.runs import evolve as ran
from events.health import HealthStatusChanged, Status
from events.models import ModelAdded, ModelMissing, ModelRemoved, ModelReturned, ModelUpdated
from events.record import Lifecycle, ModelRecord

T0 = 1_773_480_000_000
SECOND, MINUTE, DAY = 1_000, 60_000, 86_400_000
AT = instant_at(T0)
"""2026-03-14, 09:20 UTC."""


def seen(status: Status = "active", cause: str | None = None, **more: Any) -> Seen:  # noqa: ANN401 - any field
    return Seen("openai", status, cause, T0)._replace(**more)


def wanted(one: Seen, now: int = T0) -> list[str]:
    """Return what should be open, a line each; what waits is in brackets."""
    found = []
    for condition in conditions(one, now):
        words = (condition.kind, condition.group, condition.cause or "-", condition.severity)
        line = " ".join(words)
        found.append(f"({line})" if condition.waits else line)
    return found


class Desk:
    """The alerts of one provider, as their events leave them."""

    def __init__(self) -> None:
        self.alerts: Alerts = {}

    def tell(
        self, *some: Condition, at: int = T0, reason: str = "recovered", inhibit: bool = False
    ) -> list[str]:
        told = decide(
            self.alerts,
            some,
            at,
            inhibited=lambda _: inhibit,
            mint=lambda text: f"{text}@{(at - T0) // SECOND}",
            reason=reason,
            vantage="v",
        )
        for event in told:
            assert (event.at, event.vantage) == (instant_at(at), "v")
            self.alerts = evolve(self.alerts, event)
        return [line(event) for event in told]

    def see(self, one: Seen, at: int, *, inhibit: bool = False) -> list[str]:
        return self.tell(*conditions(one, at), at=at, inhibit=inhibit)

    def hand(self, event: AlertUpdated | None) -> None:
        assert event is not None
        self.alerts = evolve(self.alerts, event)


def line(event: AlertEvent) -> str:
    match event:
        case AlertOpened():
            return f"opened {event.alert_id} {event.severity} {event.cause}"
        case AlertUpdated():
            return f"{event.change} {event.alert_id} {event.severity} {event.cause}"
        case AlertResolved():
            return f"resolved {event.alert_id} {event.reason} {event.duration_ms // SECOND}"


def degraded(cause: str = "slow", **more: Any) -> Seen:  # noqa: ANN401 - any field
    return seen("degraded", cause, **more)


OUTAGE = conditions(seen("error", "outage", message="500 Internal Server Error"), T0)[0]
ID = "openai||status_change|outage@0"


@pytest.mark.parametrize(
    ("one", "after", "expected"),
    [
        pytest.param(seen(), 0, [], id="active"),
        pytest.param(seen("inactive", "unchecked"), 0, [], id="unchecked"),
        pytest.param(
            seen("error", "outage"), 0, ["status_change outage outage high"], id="an outage"
        ),
        pytest.param(
            seen("error", "error_rate"),
            0,
            ["status_change outage error_rate high"],
            id="many errors",
        ),
        *(
            pytest.param(
                seen("error", cause, critical=True),
                0,
                [f"status_change account {cause} high"],
                id=f"{cause}, and critical",
            )
            for cause in ("credential", "quota", "endpoint_gone", "config")
        ),
        pytest.param(
            seen("error", "outage", critical=True),
            0,
            ["critical_failure outage outage critical"],
            id="a critical outage",
        ),
        pytest.param(
            degraded(),
            120 * SECOND - 1,
            ["(degradation degradation slow medium)"],
            id="slow, early",
        ),
        pytest.param(
            degraded(), 120 * SECOND, ["degradation degradation slow medium"], id="slow for 120 s"
        ),
        pytest.param(
            degraded(entered=T0 - 120 * SECOND),
            0,
            ["degradation degradation slow medium"],
            id="degraded for 120 s, slow since now",
        ),
        pytest.param(
            degraded("throttled"),
            30 * MINUTE - 1,
            ["degradation degradation throttled low"],
            id="throttled",
        ),
        pytest.param(
            degraded("throttled"),
            30 * MINUTE,
            ["degradation degradation throttled medium"],
            id="throttled for half an hour",
        ),
        pytest.param(
            degraded("new"), DAY, ["degradation degradation new medium"], id="a cause without words"
        ),
        pytest.param(
            degraded("flapping", flapping=True, turns=4),
            0,
            ["degradation degradation flapping medium"],
            id="flapping",
        ),
        pytest.param(
            seen("error", "outage", flapping=True, turns=5),
            0,
            ["(status_change outage outage high)", "degradation degradation flapping medium"],
            id="flapping, down",
        ),
        pytest.param(
            seen("error", "outage", flapping=True, critical=True),
            0,
            ["critical_failure outage outage critical", "degradation degradation flapping medium"],
            id="flapping, down and critical",
        ),
        pytest.param(
            seen(flapping=True),
            120 * SECOND - 1,
            ["degradation degradation flapping medium"],
            id="flapping, active for a while",
        ),
        pytest.param(seen(flapping=True), 120 * SECOND, [], id="active for 120 s after flapping"),
        pytest.param(
            seen("inactive", "unchecked", flapping=True), 0, [], id="it flapped, now unchecked"
        ),
    ],
)
def test_a_status_wants_its_alert(one: Seen, after: int, expected: list[str]) -> None:
    assert wanted(one, T0 + after) == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (21.01, None),
        (21, "low"),
        (7.01, "low"),
        (7, "medium"),
        (2.01, "medium"),
        (2, "high"),
        (-1, "high"),
    ],
)
def test_a_certificate_is_told_of_before_it_ends(days: float, expected: str | None) -> None:
    one = seen(certificate_ends=instant_at(T0 + round(days * DAY)))

    assert wanted(one) == ([f"degradation certificate certificate {expected}"] if expected else [])


@pytest.mark.parametrize(
    ("days", "expected"),
    [(31, None), (30, "low"), (8, "low"), (7, "medium"), (2, "medium"), (1, "high"), (-9, "high")],
)
def test_a_retirement_is_told_of_before_its_day(days: int, expected: str | None) -> None:
    date = instant_at(T0 + days * DAY)[:10]
    midnight = T0 - T0 % DAY
    one = seen(retirements=(Retirement("gpt-4", date), Retirement("odd", "some day")))

    assert wanted(one, midnight) == ([f"retirement retirement - {expected}"] if expected else [])


@pytest.mark.parametrize(
    ("times", "expected"),
    [(2, []), (3, ["discovery run server medium"])],
)
def test_three_failed_runs_in_a_row_are_told_of(times: int, expected: list[str]) -> None:
    one = seen(failed_runs=Failures(times, AT, "server", "502", AT))

    assert wanted(one) == expected


def test_failed_runs_wait_while_the_provider_is_in_error() -> None:
    one = seen("error", "quota", failed_runs=Failures(3, AT, "quota", "", AT))

    assert wanted(one) == ["status_change account quota high", "(discovery run quota medium)"]


def test_runs_that_failed_before_a_recovery_wait_for_the_next_one() -> None:
    runs = Failures(3, instant_at(T0 - DAY), "server", "", instant_at(T0 - 1))

    assert wanted(seen(failed_runs=runs)) == ["(discovery run server medium)"]
    assert wanted(seen(failed_runs=runs._replace(times=4, last_at=AT))) == [
        "discovery run server medium"
    ]


@pytest.mark.parametrize(
    ("models", "expected"),
    [(0, "discovery list empty high"), (3, "discovery list shrunk medium")],
)
def test_a_list_that_is_not_believed_is_told_of(models: int, expected: str) -> None:
    assert wanted(seen(quarantined=Quarantined(AT, models))) == [expected]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((2,), ["(degradation check check_invalid low)"]),
        ((2, 3), ["degradation check check_invalid low"]),
    ],
)
def test_a_check_that_says_nothing_is_told_of_the_third_time(
    times: tuple[int, ...], expected: list[str]
) -> None:
    silent = tuple(Unanswered(f"c{n}", n, AT, "check_invalid", "400") for n in times)

    assert wanted(seen(unanswered=silent)) == expected


@pytest.mark.parametrize(
    ("gone", "kinds"),
    [
        ("removed", []),
        ("disabled", []),
        ("unchecked", ["discovery", "retirement"]),
        ("unconfigured", ["discovery", "retirement"]),
    ],
)
def test_what_is_not_checked_is_told_of_only_where_that_needs_no_check(
    gone: str, kinds: list[str]
) -> None:
    one = seen(
        certificate_ends=AT,
        unanswered=(Unanswered("a", 9, AT, "check_invalid", ""),),
        quarantined=Quarantined(AT, 1),
        retirements=(Retirement("gpt-4", AT[:10]),),
        gone=gone,
    )

    assert [condition.kind for condition in conditions(one, T0)] == kinds


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (
            seen("error", "outage", message="500 Internal Server Error"),
            "openai is down since 2026-03-14 09:20 UTC: 500 Internal Server Error",
        ),
        (seen("error", "credential", message="401"), "openai refuses the key: 401"),
        (seen("error", "quota"), "openai has no credit left for us"),
        (seen("error", "new"), "openai cannot be used"),
        (degraded("throttled"), "openai is throttling us since 2026-03-14 09:20 UTC"),
        (degraded("flapping", flapping=True, turns=1), "openai flaps"),
        (degraded("flapping", flapping=True, turns=7), "openai flaps: 7 changes of status"),
        (
            seen(failed_runs=Failures(4, AT, "server", "502", AT)),
            "4 refreshes of openai failed in a row (server): 502",
        ),
        (
            seen(quarantined=Quarantined(AT, 0)),
            "the list of openai is empty and is not believed yet",
        ),
        (
            seen(quarantined=Quarantined(AT, 9)),
            "the list of openai has shrunk to 9 models and is not believed yet",
        ),
        (
            seen(retirements=(Retirement("gpt-4", "2026-04-12", "gpt-4.1"),)),
            "gpt-4 of openai retires on 2026-04-12; gpt-4.1 replaces it",
        ),
        (
            seen(retirements=(Retirement("gpt-4", "2026-03-14"),)),
            "gpt-4 of openai was to retire on 2026-03-14",
        ),
        (seen(certificate_ends=AT), "the certificate of openai ends on 2026-03-14"),
        (
            seen(unanswered=(Unanswered("/health", 3, AT, "check_invalid", ""),)),
            "checks of openai say nothing: /health (check_invalid)",
        ),
    ],
)
def test_a_message_is_one_line_for_people(one: Seen, message: str) -> None:
    assert [condition.message for condition in conditions(one, T0)] == [message]


def stands(down: int, of: int, *, disabled: int = 0) -> list[Standing]:
    """Return *of* providers, the first *down* of them down a second apart; then disabled ones."""
    return [
        *(Standing(f"p{n}", "error", "outage", T0 + n * SECOND, enabled=True) for n in range(down)),
        *(Standing(f"q{n}", "error", "quota", T0, enabled=True) for n in range(of - down)),
        *(Standing(f"r{n}", "error", "outage", T0, enabled=False) for n in range(disabled)),
    ]


@pytest.mark.parametrize(
    ("standings", "message"),
    [
        pytest.param(stands(3, 3), None, id="three say nothing"),
        pytest.param(stands(2, 4), None, id="half"),
        pytest.param(stands(2, 4, disabled=3), None, id="disabled ones do not count"),
        pytest.param(stands(3, 4), "3 of 4 providers are down: p0, p1, p2", id="more than half"),
        pytest.param(
            stands(6, 6), "6 of 6 providers are down: p0, p1, p2, p3, p4, …", id="too many to name"
        ),
    ],
)
def test_most_providers_down_is_one_critical_failure(
    standings: list[Standing], message: str | None
) -> None:
    found = fleet(standings, None)

    assert [one.message for one in found] == ([] if message is None else [message])
    if found:
        assert found[0].fingerprint == "all||critical_failure|outage"
        assert found[0].severity == "critical"


def test_most_are_down_since_the_one_that_made_them_most() -> None:
    (one,) = fleet(stands(4, 4), None)

    assert one.since == instant_at(T0 + 2 * SECOND)


def test_our_own_network_is_one_alert() -> None:
    (one,) = fleet([], T0)

    assert (one.fingerprint, one.severity, one.since) == ("all||monitor_offline|local", "high", AT)


def test_an_alert_opens_once_and_resolves_once() -> None:
    desk = Desk()

    assert desk.tell(OUTAGE) == [f"opened {ID} high outage"]
    assert desk.tell(OUTAGE, at=T0 + SECOND) == []
    assert desk.tell(at=T0 + 9 * SECOND) == [f"resolved {ID} recovered 9"]
    assert desk.tell(at=T0 + 10 * SECOND) == []


def test_another_severity_or_cause_is_an_update_of_the_same_alert() -> None:
    desk = Desk()
    name = "openai||degradation|degradation@120"
    assert desk.see(degraded("throttled"), T0 + 120 * SECOND) == [f"opened {name} low throttled"]

    late = T0 + 30 * MINUTE
    slow = degraded(since=late, entered=T0)

    assert desk.see(degraded("throttled"), late) == [f"severity {name} medium throttled"]
    assert desk.see(slow, late) == [f"cause {name} medium slow"]
    assert desk.see(slow, late) == []


def test_a_change_of_severity_tells_the_cause_too() -> None:
    desk = Desk()
    desk.tell(OUTAGE)

    told = desk.tell(OUTAGE._replace(severity="critical", cause="error_rate"))

    assert told == [f"severity {ID} critical error_rate"]
    assert desk.tell(OUTAGE._replace(severity="critical", cause="error_rate")) == []


def test_what_waits_does_not_open_but_stays_open() -> None:
    desk = Desk()
    assert desk.tell(OUTAGE._replace(waits=True)) == []
    desk.tell(OUTAGE)

    assert desk.tell(OUTAGE._replace(waits=True)) == []


def test_what_comes_back_within_a_quarter_of_an_hour_is_the_same_alert() -> None:
    desk = Desk()
    desk.tell(OUTAGE)
    desk.hand(acknowledge(desk.alerts, ID, AT))
    desk.tell(at=T0 + MINUTE)

    assert desk.tell(OUTAGE, at=T0 + 16 * MINUTE) == [f"reopened {ID} high outage"]
    assert not desk.alerts[OUTAGE.fingerprint].acknowledged
    assert desk.tell(at=T0 + 17 * MINUTE) == [f"resolved {ID} recovered {17 * 60}"]


def test_what_comes_back_later_is_another_alert() -> None:
    desk = Desk()
    desk.tell(OUTAGE)
    desk.tell(at=T0)

    again = desk.tell(OUTAGE, at=T0 + 15 * MINUTE + 1)

    assert again == [f"opened {ID.removesuffix('0')}900 high outage"]


def test_what_was_resolved_long_ago_is_forgotten() -> None:
    desk = Desk()
    desk.tell(OUTAGE)
    desk.tell(at=T0)
    other = OUTAGE._replace(group="account")

    desk.tell(other, at=T0 + 15 * MINUTE)
    assert list(desk.alerts) == [OUTAGE.fingerprint, other.fingerprint]
    desk.tell(at=T0 + 15 * MINUTE + 1)
    assert list(desk.alerts) == [other.fingerprint]


def test_inhibition_stops_opening_and_never_a_resolve() -> None:
    desk = Desk()
    assert desk.tell(OUTAGE, inhibit=True) == []
    assert desk.tell(OUTAGE, at=T0 + SECOND) == [f"opened {ID.removesuffix('0')}1 high outage"]
    assert desk.alerts[OUTAGE.fingerprint].since == AT

    assert desk.tell(OUTAGE, at=T0 + SECOND, inhibit=True) == []
    assert len(desk.tell(at=T0 + 2 * SECOND, inhibit=True)) == 1


def test_a_removed_provider_resolves_its_alerts_with_that_reason() -> None:
    desk = Desk()
    desk.tell(OUTAGE)

    assert desk.tell(at=T0 + SECOND, reason="removed") == [f"resolved {ID} removed 1"]


def test_flapping_is_one_alert_however_often_the_status_turns() -> None:
    desk = Desk()
    down, up = seen("error", "outage", flapping=True), degraded("flapping", flapping=True)
    told = [
        one
        for turn in range(8)
        for one in desk.see((down, up)[turn % 2]._replace(turns=turn), T0 + turn * MINUTE)
    ]

    assert told == ["opened openai||degradation|degradation@0 medium flapping"]


def test_an_outage_that_was_told_of_stays_told_when_flapping_is_noticed() -> None:
    desk = Desk()
    desk.see(seen("error", "outage"), T0)

    told = desk.see(seen("error", "outage", flapping=True), T0)

    assert told == ["opened openai||degradation|degradation@0 medium flapping"]


def test_a_silenced_alert_that_resolved_does_not_open_before_the_silence_ends() -> None:
    desk = Desk()
    desk.tell(OUTAGE)
    desk.hand(silence(desk.alerts, ID, instant_at(T0 + DAY), AT))
    desk.tell(at=T0)

    assert desk.tell(OUTAGE, at=T0 + MINUTE) == []
    desk.hand(_other(T0 + DAY - 1))
    assert desk.tell(OUTAGE, at=T0 + DAY - 1) == []
    assert desk.tell(OUTAGE, at=T0 + DAY) == [f"opened {ID.removesuffix('0')}86400 high outage"]


def _other(at: int) -> AlertUpdated:
    return AlertUpdated(
        at=instant_at(at),
        provider="openai",
        alert_id="x",
        fingerprint="x",
        kind="discovery",
        severity="low",
        message="",
        since=AT,
        change="severity",
    )


def test_a_resolve_of_nothing_leaves_nothing() -> None:
    resolved = AlertResolved(
        at=AT,
        provider="p",
        alert_id="x",
        fingerprint="x",
        kind="discovery",
        severity="low",
        message="",
        since=AT,
        reason="",
    )

    assert evolve({}, resolved) == {}


def test_people_can_acknowledge_and_silence_what_is_open_alone() -> None:
    desk = Desk()
    desk.tell(OUTAGE)
    until = instant_at(T0 + DAY)

    seen_to = acknowledge(desk.alerts, ID, AT, "ann")
    silenced = silence(desk.alerts, ID, until, AT)
    desk.hand(seen_to)
    desk.hand(silenced)

    assert seen_to is not None
    assert (seen_to.change, seen_to.actor, seen_to.message) == (
        "acknowledged",
        "ann",
        OUTAGE.message,
    )
    assert silenced is not None
    assert (silenced.change, silenced.until) == ("silenced", until)
    alert = desk.alerts[OUTAGE.fingerprint]
    assert (alert.acknowledged, alert.silenced_until, alert.resolved_at) == (True, until, None)
    assert acknowledge(desk.alerts, "another", AT) is None
    desk.tell()
    assert acknowledge(desk.alerts, ID, AT) is None


@pytest.mark.parametrize(
    ("cause", "downtime", "fingerprint", "message"),
    [
        ("outage", 45_000, "p||recovery|outage", "p can be used again after 45 s"),
        ("outage", 119_000, "p||recovery|outage", "p can be used again after 119 s"),
        ("error_rate", 720_000, "p||recovery|outage", "p can be used again after 12 min"),
        ("outage", 11_100_000, "p||recovery|outage", "p can be used again after 3 h 05 min"),
        ("credential", None, "p||recovery|account", "p can be used again"),
    ],
)
def test_a_recovery_is_opened_and_resolved_at_once(
    cause: str, downtime: int | None, fingerprint: str, message: str
) -> None:
    changed = HealthStatusChanged(
        at=instant_at(T0 + SECOND),
        provider="p",
        from_="error",
        to="active",
        previous_cause=cause,
        effective_at=AT,
        detected_at=instant_at(T0 + SECOND),
        downtime_ms=downtime,
    )

    opened, resolved = recovered(changed, lambda text: text, "v")

    assert isinstance(opened, AlertOpened)
    assert isinstance(resolved, AlertResolved)
    assert (opened.alert_id, opened.message, opened.severity) == (fingerprint, message, "low")
    assert (resolved.alert_id, resolved.duration_ms) == (fingerprint, downtime or 0)
    assert opened.at == resolved.at == changed.at
    assert recovered(changed, lambda text: text, inhibited=lambda _: True) == []


def failed(class_: str | None, at: int = 0) -> RefreshFailed:
    error = None if class_ is None else Failure(class_=class_, message="why")
    return RefreshFailed(at=instant_at(T0 + at), provider="p", run_id="r", error=error)


def succeeded(absent: Absent | None = None) -> RefreshSucceeded:
    return RefreshSucceeded(at=AT, provider="p", run_id="r", absent=absent)


def quarantined(models: int, at: int = 0) -> RefreshQuarantined:
    return RefreshQuarantined(at=instant_at(T0 + at), provider="p", run_id="r", models=models)


ABSENT = Absent(count=1, hash="h", since=AT)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param([], NONE, id="none"),
        pytest.param(
            [failed("dns"), failed("cancelled"), failed("interrupted"), failed("server", 9)],
            Runs(Failures(2, AT, "server", "why", instant_at(T0 + 9))),
            id="what was cut off neither counts nor breaks the row",
        ),
        pytest.param(
            [failed(None)], Runs(Failures(1, AT, "check_error", "", AT)), id="without a cause"
        ),
        pytest.param([failed("dns"), succeeded()], NONE, id="a success ends the row"),
        pytest.param(
            [failed("dns"), quarantined(3), quarantined(0, 9)],
            Runs(quarantined=Quarantined(AT, 0)),
            id="a list that is not believed ends the row, too",
        ),
        pytest.param(
            [quarantined(3), failed("dns", 9)],
            Runs(
                Failures(1, instant_at(T0 + 9), "dns", "why", instant_at(T0 + 9)),
                Quarantined(AT, 3),
            ),
            id="a failed run does not end a quarantine",
        ),
        pytest.param(
            [quarantined(3), failed("dns"), succeeded(absent=ABSENT)],
            Runs(quarantined=Quarantined(AT, 3)),
            id="an incomplete list does not end a quarantine",
        ),
        pytest.param([quarantined(3), succeeded()], NONE, id="a believed list ends it"),
    ],
)
def test_outcomes_amount_to_a_row_of_failures_and_a_quarantine(
    outcomes: list[RefreshOutcome], expected: Runs
) -> None:
    runs = NONE
    for outcome in outcomes:
        runs = ran(runs, outcome)

    assert runs == expected


def model(id_: str = "m", date: str | None = None, replacement: str | None = None) -> ModelRecord:
    return ModelRecord(
        id=id_, name=id_, lifecycle=Lifecycle(retires_on=date, replacement=replacement)
    )


def test_a_model_retires_until_it_is_removed_or_its_date_is_dropped() -> None:
    gone = ModelRemoved(
        at=AT,
        provider="p",
        model_id="m",
        missing_since=AT,
        scans=3,
        reason="delisted",
        model=model(),
    )
    retires = {"m": Retirement("m", "2026-04-12", "n")}
    story: list[tuple[object, Retiring]] = [
        (ModelAdded(at=AT, provider="p", model=model()), {}),
        (
            ModelUpdated(at=AT, provider="p", model=model("m", "2026-04-12", "n"), changed=[]),
            retires,
        ),
        (ModelMissing(at=AT, provider="p", model_id="m"), retires),
        (ModelReturned(at=AT, provider="p", model_id="m", missing_since=AT), retires),
        (ModelUpdated(at=AT, provider="p", model=model(), changed=[]), {}),
        (ModelAdded(at=AT, provider="p", model=model("m", "2026-04-12", "n")), retires),
        (gone, {}),
        (gone, {}),
    ]
    retiring = NOTHING
    for event, expected in story:
        retiring = age(retiring, event)  # type: ignore[arg-type]  # a story of several kinds

        assert retiring == expected
    assert NOTHING == {}


def test_soon_is_within_the_days_or_overdue_in_order() -> None:
    dates = {"z": "2026-03-01", "b": "2026-04-13", "a": "2026-04-14", "c": "never"}
    retiring = {id_: Retirement(id_, date) for id_, date in dates.items()}
    midnight = T0 - T0 % DAY

    assert [one.model_id for one in soon(retiring, midnight)] == ["b", "z"]
    assert [one.model_id for one in soon(retiring, midnight, days=31)] == ["a", "b", "z"]
