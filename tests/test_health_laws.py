"""What holds of the reducer in any order of verdicts, waits, gaps, switches and settings.

Source: health.md, section 12: invariants 1 to 9, 11 and the part of 15 that is the reducer's.
"""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from events.base import millis_of
from events.decide.health import Cycle, Off, Rules, step, switch, tick
from events.health import (
    Health,
    HealthCoverageLost,
    HealthCoverageRestored,
    HealthEvent,
    HealthStatusChanged,
    blocked,
    down,
    usable,
)
from tests.support.health import LETTERS, RULES, T0

OFF: tuple[Off, ...] = ("disabled", "removed", "unconfigured", "unchecked")
configurations = st.builds(
    RULES._replace,
    failure_threshold=st.integers(1, 4),
    recovery_threshold=st.integers(1, 3),
    block_threshold=st.integers(1, 3),
    partial_threshold=st.integers(1, 3),
    throttle_threshold=st.integers(1, 4),
    min_samples=st.integers(2, 10),
    relapse_cap=st.sampled_from([3, 16]),
    unhealthy_threshold=st.sampled_from([0.3, 0.5, 1.0]),
)
letters = st.sampled_from("OOOOFFFFPSBQTTUV")
pauses = st.sampled_from([0, 1, 5_000, 20_000, 20_000, 60_000, 60_000, 89_000, 200_000, 3_600_000])


class Reducer(RuleBasedStateMachine):
    """One provider, to which anything may happen, and what is told of it."""

    def __init__(self) -> None:
        super().__init__()
        self.thresholds = RULES
        self.health = Health()
        self.now = T0
        self.due: int | None = None
        self.events: list[HealthStatusChanged] = []
        self.stale = False
        self.numbers = 0
        self.last: tuple[Cycle, int | None, int] | None = None
        self.fails: list[int] = []
        self.good: list[int] = []
        self.refused: list[int] = []
        self.began = 0
        self.ok_since_enabled = False
        self.failed_ever = False

    @initialize(rules=configurations)
    def configure_first(self, rules: Rules) -> None:
        self.thresholds = rules

    @rule(
        letter=letters,
        pause=pauses,
        lasts=st.sampled_from([1, 200, 25_000]),
        held=st.sampled_from([0, 10_000]),
        planned=st.booleans(),
    )
    def cycle(self, letter: str, pause: int, lasts: int, held: int, *, planned: bool) -> None:
        self.numbers += 1
        started = self.now + pause
        self.now = started + lasts + held
        seen = LETTERS[letter]._replace(
            cycle_id=str(self.numbers), started=started, ended=started + lasts
        )
        due = (started - min(pause, 30_000)) if planned else self.due
        before = self.health
        gone = self._missed(due if before.due is None else before.due)
        after, events = step("p", before, seen, self.thresholds, due=due, now=self.now)
        self.last = seen, due, self.now
        off = before.status == "inactive" and before.cause != "unchecked"
        if off or seen.verdict == "UNKNOWN":
            assert events == []
            assert msgspec.structs.replace(after, due=before.due) == before
        else:
            self._counted(before, after, seen, gone=gone)
        self._take(after, events, seen)
        if seen.verdict != "UNKNOWN":
            self.due = started + 60_000

    def _missed(self, due: int | None) -> bool:
        if due is None:
            return False
        last = due if self.health.last_at is None else self.health.last_at
        slack = (self.thresholds.stale_factor - 1) * max(self.thresholds.interval, due - last)
        return self.now > due + slack

    def _counted(self, before: Health, after: Health, seen: Cycle, *, gone: bool) -> None:
        """Keep a second, simpler account of the streaks, as lists of starts."""
        if gone:
            self.fails, self.good, self.refused = [], [], []
        if seen.verdict == "FAIL":
            self.failed_ever = True
            self.good, self.refused = [], []
            if not self.fails or seen.started - self.fails[-1] >= self.thresholds.confirm_interval:
                self.fails.append(seen.started)
        elif seen.verdict in {"OK", "PARTIAL"}:
            self.fails, self.refused = [], []
            if not self.good or seen.started - self.good[-1] >= self.thresholds.confirm_interval:
                self.good.append(seen.started)
        elif seen.verdict == "BLOCKED":
            self.fails, self.good = [], []
            self.refused.append(seen.started)
        if down(before.status, before.cause) and after.cause == "throttled":
            self.fails = []
        self.ok_since_enabled |= seen.verdict == "OK"
        assert after.o.count == len(self.good)  # 4: THROTTLED and UNKNOWN leave o alone
        assert after.f.count == len(self.fails)
        assert after.b.count == len(self.refused)  # 9
        if self.fails:
            assert seen.ended - after.f.since == self.fails[0]
        assert after.last_at == seen.ended

    def _take(self, after: Health, events: list[HealthEvent], seen: Cycle | None = None) -> None:
        before, self.health = self.health, after
        for event in events:
            if isinstance(event, HealthCoverageLost):
                assert not self.stale
                self.stale = True
            elif isinstance(event, HealthCoverageRestored):
                assert self.stale
                assert event.since <= event.until
                self.stale = False
        changes = [event for event in events if isinstance(event, HealthStatusChanged)]
        assert len(changes) <= 1
        for event in changes:
            if seen is not None:
                self._permitted(event, seen)
            assert (event.from_, event.previous_cause) == (before.status, before.cause)  # 5
            assert (event.to, event.cause) == (after.status, after.cause)
            assert (event.from_, event.previous_cause) != (event.to, event.cause)
            began = millis_of(event.effective_at)
            assert self.began <= began == after.since  # 6
            assert event.effective_at <= event.detected_at == event.at
            was = down(event.from_, event.previous_cause)
            assert (event.downtime_ms is not None) == (was and not down(event.to, event.cause))
            if event.downtime_ms is not None:
                assert event.downtime_ms == began - self.began
            self.began = began
        self.events += changes
        if not changes:
            assert (before.status, before.cause) == (after.status, after.cause)
            assert before.since == after.since

    def _permitted(self, event: HealthStatusChanged, seen: Cycle) -> None:
        rules = self.thresholds
        if event.to == "error":
            assert seen.verdict in {"FAIL", "BLOCKED"}  # 8
            if event.cause == "outage":  # 2
                assert seen.verdict == "FAIL"
                assert len(self.fails) >= rules.failure_threshold
                span = self.fails[-1] - self.fails[0]
                assert span >= (len(self.fails) - 1) * rules.confirm_interval
                assert millis_of(event.effective_at) <= max(self.fails[0], self.began)
            elif event.cause == "error_rate":  # 1
                assert seen.verdict == "FAIL"
                assert event.evidence.samples >= rules.min_samples
            else:
                assert blocked("error", event.cause)
                assert len(self.refused) >= rules.block_threshold
        if event.to == "active":  # 3
            assert seen.verdict == "OK"
            if event.from_ == "error":
                wanted = 1 if blocked("error", event.previous_cause) else rules.recovery_threshold
                assert len(self.good) >= wanted
        if event.from_ == "error" and usable(event.to) and event.cause != "throttled":
            assert not self.health.clean
            assert not self.health.faulty

    @rule()
    def duplicate(self) -> None:
        if self.last is not None and self.last[0].verdict != "UNKNOWN" and self.health.last_at:
            seen, due, now = self.last
            if seen.ended == self.health.last_at:
                assert step("p", self.health, seen, self.thresholds, due=due, now=now) == (
                    self.health,
                    [],
                )

    @rule(pause=pauses)
    def time_passes(self, pause: int) -> None:
        self.now += pause
        after, events = tick(
            "p", self.health, self.thresholds, due=self.due, now=self.now, reason="silent"
        )
        again = tick("p", after, self.thresholds, due=self.due, now=self.now, reason="silent")
        assert again == (after, [])
        self._take(after, events)

    @rule(cause=st.sampled_from(OFF))
    def switch_off_and_on(self, cause: Off) -> None:
        after, events = switch("p", self.health, cause, self.now)
        assert switch("p", after, cause, self.now) == (after, [])
        assert (after.status, after.cause) == ("inactive", cause)
        self._take(after, events)
        after, events = switch("p", self.health, None, self.now)
        assert (after.status, after.cause) == ("inactive", "unchecked")
        assert switch("p", after, None, self.now) == (after, [])
        self._take(after, events)
        self.fails, self.good, self.refused = [], [], []
        self.ok_since_enabled = False
        self.due = None

    @rule(rules=configurations)
    def configure(self, rules: Rules) -> None:
        self.thresholds = rules

    @rule()
    def restart(self) -> None:
        """The state goes through the log; nothing is told by that alone."""
        self.health = msgspec.json.decode(msgspec.json.encode(self.health), type=Health)

    @invariant()
    def what_is_active_answered_since_it_was_enabled(self) -> None:
        assert self.health.status != "active" or self.ok_since_enabled  # 7

    @invariant()
    def nothing_is_down_without_a_failure(self) -> None:
        is_down = down(self.health.status, self.health.cause)
        assert self.failed_ever or not is_down  # 11
        assert (self.health.down_since is not None) == is_down

    @invariant()
    def the_state_stays_small(self) -> None:
        health = self.health
        assert health.seen <= 21
        assert health.fails < 2**21
        assert health.stale == self.stale == (health.lost is not None)
        ages = [*health.clean, *(one.age for one in health.faulty)]
        assert all(0 <= age <= self.thresholds.window for age in ages)
        assert len(health.streak) <= 10


TestAnyOrder = Reducer.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


@given(
    configurations, st.text("OPSpBQGCTU", max_size=60), st.lists(pauses, min_size=60, max_size=60)
)
def test_a_history_without_a_failure_is_never_down(
    rules: Rules, story: str, waits: list[int]
) -> None:
    health, now = Health(), T0
    for letter, wait in zip(story, waits, strict=False):
        now += wait + 1
        cycle = LETTERS[letter]._replace(started=now, ended=now + 1)
        health, _ = step("p", health, cycle, rules, due=now, now=now + 1)

        assert not down(health.status, health.cause)


@given(st.text("OPSpBTU", max_size=30), st.text("OPSpBTU", min_size=3, max_size=30))
def test_one_failure_alone_moves_nothing_to_error(before: str, after: str) -> None:
    rules = RULES._replace(block_threshold=99)
    health, now = Health(), T0
    for letter in f"{before}OF{after}":
        now += 60_000
        cycle = LETTERS[letter]._replace(started=now, ended=now + 1)
        health, _ = step("p", health, cycle, rules, due=now, now=now + 1)

        assert health.status != "error"


@given(configurations, st.text("OFPSBQTUV", max_size=60))
def test_folding_what_was_told_gives_the_status(rules: Rules, story: str) -> None:
    health, now = Health(), T0
    folded: tuple[str, str | None, int] = ("inactive", "unchecked", 0)
    for letter in story:
        now += 20_000
        cycle = LETTERS[letter]._replace(started=now, ended=now + 1_000)
        health, events = step("p", health, cycle, rules, due=now, now=now + 2_000)
        for event in events:
            if isinstance(event, HealthStatusChanged):
                folded = event.to, event.cause, millis_of(event.effective_at)

        assert folded == (health.status, health.cause, health.since)
        assert usable(health.status) == (health.status in {"active", "degraded"})
