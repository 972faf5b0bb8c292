"""Laws of alerts: whatever is seen, in any order, each is opened before it is resolved, and once.

Source: health.md, section 12, invariants 11 and 12.
"""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from events.alerts import AlertEvent, AlertOpened, AlertResolved, AlertUpdated
from events.base import instant_at
from events.decide.alerts import Alerts, acknowledge, decide, evolve, silence
from events.decide.conditions import Condition, Seen, Unanswered, conditions
from events.decide.fleet import Standing, fleet
from events.decide.retiring import Retirement
from events.decide.runs import Failures, Quarantined
from events.health import BLOCKED_CAUSES, Status

T0 = 1_773_480_000_000
DAY = 86_400_000
HELD = 120_000
DEGRADED = ("throttled", "overloaded", "partial", "slow", "error_rate", "flapping")
STATUSES: tuple[tuple[Status, str | None], ...] = (
    ("active", None),
    ("inactive", "unchecked"),
    *(("degraded", cause) for cause in DEGRADED),
    *(("error", cause) for cause in ("outage", "error_rate", *BLOCKED_CAUSES)),
)
AT = instant_at(T0)


class Move(NamedTuple):
    """What is seen *after* so many milliseconds, and what people do meanwhile."""

    after: int
    status: tuple[Status, str | None]
    seen: Seen
    inhibited: frozenset[str]
    hand: str


spans = st.sampled_from(
    [0, 1_000, 20_000, HELD - 1, HELD, 600_000, 900_000, 900_001, 1_800_000, DAY]
)
sights = st.builds(
    Seen,
    provider=st.just("p"),
    status=st.just("active"),
    cause=st.none(),
    since=st.just(T0),
    entered=st.none(),
    message=st.just("500"),
    critical=st.booleans(),
    flapping=st.booleans(),
    turns=st.integers(0, 9),
    failed_runs=st.none()
    | st.builds(
        Failures,
        st.integers(1, 5),
        st.just(AT),
        st.just("dns"),
        st.just(""),
        st.sampled_from([AT, instant_at(T0 + DAY)]),
    ),
    quarantined=st.none() | st.builds(Quarantined, st.just(AT), st.integers(0, 2)),
    certificate_ends=st.none() | st.integers(0, 30).map(lambda days: instant_at(T0 + days * DAY)),
    unanswered=st.lists(
        st.builds(
            Unanswered, st.just("c"), st.integers(1, 4), st.just(AT), st.just("empty"), st.just("")
        ),
        max_size=2,
    ).map(tuple),
    retirements=st.sets(st.integers(0, 40), max_size=2).map(
        lambda some: tuple(Retirement(f"m|{n % 3}", instant_at(T0 + n * DAY)[:10]) for n in some)
    ),
    gone=st.sampled_from([None, None, None, None, "removed", "disabled", "unchecked"]),
)
moves = st.builds(
    Move,
    after=spans,
    status=st.sampled_from(STATUSES),
    seen=sights,
    inhibited=st.frozensets(st.sampled_from(["status_change", "degradation", "discovery"])),
    hand=st.sampled_from(["", "", "acknowledge", "silence"]),
)


class World:
    """A provider that is seen, its alerts, and every event of theirs."""

    def __init__(self) -> None:
        self.now = T0
        self.status: tuple[Status, str | None] = ("inactive", "unchecked")
        self.since = self.entered = T0
        self.alerts: Alerts = {}
        self.told: list[AlertEvent] = []

    def move(self, move: Move) -> list[AlertEvent]:
        self.now += move.after
        if move.status != self.status:
            self.since = self.now
            if move.status[0] != self.status[0]:
                self.entered = self.now
            self.status = move.status
        status, cause = self.status
        seen = move.seen._replace(
            status=status, cause=cause, since=self.since, entered=self.entered
        )
        told = self.decide(wanted := conditions(seen, self.now), move.inhibited)
        for event in told:
            self.alerts = evolve(self.alerts, event)
        assert self.decide(wanted, move.inhibited) == []
        self.told += told
        if move.hand:
            self.hand(move.hand)
        return told

    def decide(self, wanted: list[Condition], inhibited: frozenset[str]) -> list[AlertEvent]:
        return decide(
            self.alerts,
            wanted,
            self.now,
            inhibited=lambda condition: condition.kind in inhibited,
            mint=lambda text: f"{text}@{self.now}#{len(self.told)}",
        )

    def hand(self, what: str) -> None:
        at = instant_at(self.now)
        for one in tuple(self.alerts.values()):
            until = instant_at(self.now + 3_600_000)
            event = (
                acknowledge(self.alerts, one.alert_id, at)
                if what == "acknowledge"
                else silence(self.alerts, one.alert_id, until, at)
            )
            assert (event is None) == (one.resolved_at is not None)
            if event is not None:
                self.alerts = evolve(self.alerts, event)
                self.told.append(event)

    @property
    def open(self) -> dict[str, str]:
        """The id of every open alert, by its fingerprint."""
        return {key: one.alert_id for key, one in self.alerts.items() if one.resolved_at is None}


def played(story: list[Move]) -> World:
    world = World()
    for move in story:
        world.move(move)
    return world


stories = st.lists(moves, max_size=25)


@given(stories)
def test_each_resolve_has_one_opening_before_it_and_one_alert_is_open_for_each_fingerprint(
    story: list[Move],
) -> None:
    """An event that re-opens is an opening of the same id."""
    open_: dict[str, str] = {}
    ids: set[str] = set()
    for event in played(story).told:
        match event:
            case AlertOpened():
                assert event.fingerprint not in open_
                assert event.alert_id not in ids
                open_[event.fingerprint] = event.alert_id
                ids.add(event.alert_id)
            case AlertUpdated(change="reopened"):
                assert event.fingerprint not in open_
                assert event.alert_id in ids
                open_[event.fingerprint] = event.alert_id
            case AlertUpdated():
                assert open_[event.fingerprint] == event.alert_id
            case AlertResolved():
                assert open_.pop(event.fingerprint) == event.alert_id


@given(stories)
def test_folding_the_events_gives_the_alerts(story: list[Move]) -> None:
    """`World.move` holds besides that deciding twice gives nothing the second time."""
    world = played(story)
    alerts: Alerts = {}
    for event in world.told:
        alerts = evolve(alerts, event)

    assert alerts == world.alerts


@given(stories, sights)
def test_a_provider_active_for_two_minutes_has_no_open_trouble(
    story: list[Move], last: Seen
) -> None:
    world = played(story)
    calm = Move(0, ("active", None), last, frozenset(), "")
    world.move(calm)
    world.move(calm._replace(after=HELD))

    groups = {fingerprint.rpartition("|")[2] for fingerprint in world.open}
    assert groups.isdisjoint({"outage", "account", "degradation"})


@given(stories)
def test_a_provider_that_is_gone_has_no_open_alert(story: list[Move]) -> None:
    world = played(story)
    world.move(
        Move(0, world.status, Seen("p", "active", None, T0, gone="removed"), frozenset(), "")
    )

    assert world.open == {}


@given(stories)
def test_what_should_be_told_and_is_not_held_back_is_open(story: list[Move]) -> None:
    """And nothing else is: alerts follow levels, so no edge is ever lost."""
    world = played(story)
    calm = Seen("p", "active", None, T0, quarantined=Quarantined(AT, 0))
    world.move(Move(DAY, ("error", "outage"), calm, frozenset(), ""))

    assert set(world.open) == {"p||status_change|outage", "p||discovery|list"}


@settings(max_examples=50)
@given(sights, st.sampled_from([one for one in STATUSES if one[0] == "degraded"]), spans)
def test_degraded_is_never_worse_than_medium(
    seen: Seen, status: tuple[Status, str], after: int
) -> None:
    one = seen._replace(status=status[0], cause=status[1], gone=None)
    found = [c for c in conditions(one, T0 + after) if c.group == "degradation"]

    assert {condition.severity for condition in found} <= {"low", "medium"}
    assert len(found) == 1


@settings(max_examples=50)
@given(
    st.lists(
        st.builds(
            lambda status, since, enabled: Standing("p", status[0], status[1], since, enabled),
            st.sampled_from(STATUSES),
            st.integers(T0, T0 + DAY),
            st.booleans(),
        ),
        max_size=9,
    )
)
def test_the_order_of_providers_changes_nothing(standings: list[Standing]) -> None:
    assert fleet(standings, None) == fleet(standings[::-1], None)
