"""Rows that the reducer must hold, one by one, and checks of them that run on any kit of modules.

A test runs them on the real modules; the mutants must fail at least one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import pytest

from events.base import instant_at
from events.health import (
    CheckResult,
    Health,
    HealthCoverageLost,
    HealthCoverageRestored,
    HealthStatusChanged,
    Sample,
    Streak,
)
from tests.support.health import LETTERS, RULES, T0, Kit, Life
from tests.support.stories import STORIES, Story

CLASSES = {
    "ok": "OK",
    "slow": "PARTIAL",
    "empty": "PARTIAL",
    "server": "FAIL",
    "connect": "FAIL",
    "credential": "BLOCKED",
    "quota": "BLOCKED",
    "endpoint_gone": "BLOCKED",
    "config": "BLOCKED",
    "forbidden_edge": "BLOCKED",
    "rate_limited": "THROTTLED",
    "check_invalid": "NEUTRAL",
    "local": "UNKNOWN",
}


def check(class_: str, weight: float = 1.0, *, critical: bool = False) -> CheckResult:
    return CheckResult(
        name="c",
        verdict=CLASSES[class_],
        class_=class_,
        weight=weight,
        critical=critical,
        status_code=sorted(CLASSES).index(class_),
        message=f"it was {class_}",
    )


class Row(NamedTuple):
    """Checks by class (the first is the list: critical, weight 2; `!` critical, `*` weight 3)."""

    claim: str
    checks: str
    verdict: str
    cause: str | None
    class_: str
    errors: float = 0.0
    threshold: float = 0.5


JUDGED = [
    Row("1: nothing known", "local local", "UNKNOWN", None, "local"),
    Row("1: nothing asked", "", "UNKNOWN", None, "check_error"),
    Row("1: nothing that answers", "- rate_limited check_invalid", "UNKNOWN", None, "rate_limited"),
    Row("2: a critical failure", "server ok ok ok ok", "FAIL", None, "server", 1 / 3),
    Row("2: of another than the list", "ok server!", "FAIL", None, "server", 1 / 3),
    Row("2: before a refusal", "credential server!", "FAIL", None, "server", 1.0),
    Row("2: the heaviest decides", "- server! connect!*", "FAIL", None, "connect", 1.0),
    Row("2: the critical one decides", "- server! connect*", "FAIL", None, "server", 1.0),
    Row("3: blocked", "credential server", "BLOCKED", "credential", "credential", 1.0),
    Row("3: before throttled", "rate_limited quota!", "BLOCKED", "quota", "quota"),
    Row("3: credential first", "quota credential!", "BLOCKED", "credential", "credential"),
    Row("3: then quota", "endpoint_gone quota!", "BLOCKED", "quota", "quota"),
    Row("3: then gone", "config endpoint_gone!", "BLOCKED", "endpoint_gone", "endpoint_gone"),
    Row("3: an edge is config", "forbidden_edge ok", "BLOCKED", "config", "forbidden_edge"),
    Row("3: config", "config", "BLOCKED", "config", "config"),
    Row("4: throttled", "rate_limited ok", "THROTTLED", None, "rate_limited"),
    Row("4: before neutral", "check_invalid rate_limited!", "THROTTLED", None, "rate_limited"),
    Row("5: a check that asks wrongly", "check_invalid ok", "UNKNOWN", None, "check_invalid"),
    Row("5: a network of ours", "local ok", "UNKNOWN", None, "local"),
    Row("5: before failing others", "local server server", "UNKNOWN", None, "local", 1.0),
    Row("6: half of the weight", "ok server connect", "FAIL", None, "server", 0.5),
    Row("6: the heaviest decides", "ok server connect*", "FAIL", None, "connect", 2 / 3),
    Row("6: the threshold", "ok server", "FAIL", None, "server", 1 / 3, 0.3),
    Row("6: partial does not fail", "slow slow*", "PARTIAL", "slow", "slow", 0.5, 0.2),
    Row("7: an endpoint fails", "ok server", "PARTIAL", "partial", "server", 1 / 3),
    Row("7: slow alone", "slow", "PARTIAL", "slow", "slow", 0.5),
    Row("7: slow beside ok", "slow ok", "PARTIAL", "slow", "slow", 1 / 3),
    Row("7: slow and failing", "slow server", "PARTIAL", "partial", "server", 2 / 3),
    Row("7: empty", "empty ok", "PARTIAL", "partial", "empty", 1 / 3),
    Row("7: slow, others refused", "slow quota", "PARTIAL", "slow", "slow", 0.5),
    Row("8: ok", "ok", "OK", None, "ok"),
    Row("8: others refused", "ok quota rate_limited check_invalid local", "OK", None, "ok"),
]


def judged(kit: Kit, row: Row) -> None:
    checks: list[CheckResult] = []
    for place, word in enumerate(row.checks.split()):
        weight = 2.0 if place == 0 else 3.0 if "*" in word else 1.0
        if word != "-":
            name = word.strip("!*")
            checks.append(check(name, weight, critical=place == 0 or "!" in word))
    said = kit.verdict.judge(checks, row.threshold)

    assert (said.verdict, said.cause, said.class_) == (row.verdict, row.cause, row.class_)
    assert said.error_rate == pytest.approx(row.errors)
    if row.class_ in CLASSES:
        assert said.status_code == sorted(CLASSES).index(row.class_)
        assert said.message == f"it was {row.class_}"
    else:
        assert (said.status_code, said.message) == (None, "no check ran")


FLAPS = [
    ("010101010101010101010", 100.0),
    ("101010101010101010101", 100.0),
    ("000000000000000000000", 0.0),
    ("111111111111111111111", 0.0),
    ("000000000000000010101", 29.93),
    ("000000000000000101010", 35.53),
    ("111111111111111111110", 6.25),
    ("100000000000000000000", 3.75),
    ("01010101010101010101", 0.0),
]


def flap(kit: Kit, ring: str, expected: float) -> None:
    assert kit.flapping.score(int(ring, 2), len(ring)) == pytest.approx(expected, abs=0.005)


def remember(kit: Kit) -> None:
    fails = 0
    for number in range(30):
        fails = kit.flapping.remembered(fails, failed=number % 3 == 0)
    assert f"{fails:021b}" == "100100100100100100100"
    for _ in range(30):
        fails = kit.flapping.remembered(fails, failed=True)
    assert fails == 2**21 - 1


def lives(kit: Kit, story: Story) -> None:
    life = Life(kit, RULES._replace(**story.rules)).play(story.cycles)

    assert life.lines == story.told
    assert f"{life.counts} | {len(life.health.clean)}+{len(life.health.faulty)}" == story.ends


ONE = Streak(1, 61_000, 41_000)
FULL = Health(
    status="active",
    cause=None,
    since=T0 - 900_000,
    f=ONE,
    o=ONE,
    g=ONE,
    b=ONE,
    th=ONE,
    pa=ONE,
    clean=(0, 540_000, 540_001),
    faulty=(
        Sample(10, failed=True, errors=1.0),
        Sample(540_000, failed=True, errors=1.0),
        Sample(540_001, failed=True, errors=1.0),
    ),
    fails=1,
    seen=3,
    last_at=T0 - 59_000,
)
COUNTED = [
    ("O", "o2 g2", 3, 2, 0b10, 4),
    ("P", "o2 pa2", 2, 3, 0b10, 4),
    ("F", "f2", 2, 3, 0b11, 4),
    ("B", "b2", 2, 2, 0b1, 3),
    ("T", "f1 o1 b1 th2 pa1", 2, 2, 0b1, 3),
]


def counts(kit: Kit, row: tuple[str, str, int, int, int, int]) -> None:
    """A verdict raises and resets what the table says; the window holds what is in it."""
    letter, streaks, clean, faulty, fails, seen = row
    life = Life(
        kit, RULES._replace(block_threshold=9, failure_threshold=9, partial_threshold=9), FULL
    ).play(letter)
    health = life.health

    assert life.counts == streaks
    assert (len(health.clean), len(health.faulty)) == (clean, faulty)
    assert (health.fails, health.seen) == (fails, seen)
    assert health.last_at == T0 + 1_000
    raised = (
        health.f
        if letter == "T"
        else getattr(health, {"O": "o", "P": "pa"}.get(letter, letter.lower()))
    )
    assert raised == (Streak(1, 121_000, 101_000) if letter == "T" else Streak(2, 121_000, 1_000))
    assert health.clean[-2:] == (60_000, 600_000)
    if letter in "PF":
        assert health.faulty[0] == Sample(
            0, failed=letter == "F", errors=0.5 if letter == "P" else 1.0
        )
    assert health.faulty[-2] == Sample(60_010, failed=True, errors=1.0)
    assert health.faulty[-1] == Sample(600_000, failed=True, errors=1.0)
    assert health.clean[0] == (0 if letter == "O" else 60_000)
    assert life.told == []


def evidence(kit: Kit) -> None:
    """An error names its streak and the class it shows most; another change its own cycle."""
    life = Life(kit).play("O F v F")
    first, last = life.told
    assert isinstance(first, HealthStatusChanged)
    assert isinstance(last, HealthStatusChanged)

    assert first.evidence.cycle_ids == ["1"]
    assert (first.evidence.class_, first.evidence.status_code) == ("ok", 200)
    assert (first.from_, first.previous_cause) == ("inactive", "unchecked")
    assert last.evidence.cycle_ids == ["2", "3", "4"]
    assert (last.evidence.class_, last.evidence.message) == ("server", "500")
    assert (last.evidence.failures, last.evidence.samples) == (3, 4)
    assert last.evidence.error_rate == 0.75
    assert (last.from_, last.previous_cause) == ("active", None)
    life.play("F V*3")
    assert [name for name, *_ in life.health.streak] == ["overloaded"] * 3
    life.play("B V")
    assert life.health.streak[0] == ("overloaded", None, "10")
    assert len(life.health.streak) == 1
    assert not life.play("O").health.streak
    odd = Life(kit).play("O F V@19 F F V")
    assert [cycle_id for *_, cycle_id in odd.health.streak] == ["4", "5", "6"]
    many = Life(kit, RULES._replace(failure_threshold=15)).play("F*20")
    assert len(many.health.streak) == 10
    few = Life(kit, RULES._replace(block_threshold=5)).play("F*20")
    assert len(few.health.streak) == 5
    assert not Life(kit).play("O F P").health.streak
    most = Life(kit).play("O v v F").told[-1]
    assert isinstance(most, HealthStatusChanged)
    assert most.evidence.class_ == "overloaded"
    own = Life(kit).play("F T T T").told[-1]
    assert isinstance(own, HealthStatusChanged)
    assert own.evidence.class_ == "rate_limited"
    single = Life(kit).play("P").told[-1]
    assert isinstance(single, HealthStatusChanged)
    assert single.evidence.error_rate == 0.5
    third = Life(kit).play("O p p F P")
    assert isinstance(third.told[-1], HealthStatusChanged)
    assert third.told[-1].evidence.error_rate == 0.0667


def bare(kit: Kit) -> None:
    """Who has only a status, and no memory of a streak, names the cycle at hand."""
    known = Health(status="active", cause=None, since=T0, b=Streak(1, 0, 0), last_at=T0 - 9)
    changed = Life(kit, health=known).play("B").told[0]
    assert isinstance(changed, HealthStatusChanged)
    assert changed.cause == "credential"
    low = Health(status="active", cause=None, since=T0, f=Streak(5, 0, 0), last_at=T0 - 9)
    changed = Life(kit, health=low).play("F").told[0]
    assert isinstance(changed, HealthStatusChanged)
    assert (changed.evidence.class_, changed.evidence.cycle_ids) == ("server", [])


def clamped(kit: Kit) -> None:
    """A change begins neither before the last one nor after it was decided."""
    life = Life(kit, RULES._replace(throttle_threshold=3)).play("O F V F F")
    assert [one.split(" down")[0] for one in life.lines] == [
        "active() 2..2",
        "degraded(overloaded) 42..42",
        "error(outage) 42..62 relapses 1",
    ]
    ahead = Health(status="active", cause=None, since=T0 + 3_600_000, last_at=T0 - 20_000)
    assert Life(kit, health=ahead).play("B B").lines == ["error(credential) 3600..3600"]


def flags(kit: Kit) -> None:
    """Suspect, throttled and relapses read the state alone."""
    suspect, throttled = kit.health.suspect, kit.health.throttled
    once = Streak(1, 0, 0)
    assert not suspect(Health(status="active"))
    assert suspect(Health(status="active", f=once))
    assert suspect(Health(status="inactive", b=once))
    assert not suspect(Health(status="error", f=once))
    assert not suspect(Health(status="active", o=once, g=once, th=once, pa=once))
    assert not throttled(Health(th=Streak(2, 599_999, 0)), RULES)
    assert throttled(Health(th=Streak(2, 600_000, 0)), RULES)
    assert not throttled(Health(th=Streak(1, 600_000, 0)), RULES)
    assert throttled(Health(th=Streak(3, 0, 0)), RULES)
    health = Health(relapses=(T0, T0 + 1, T0 + 2))
    assert kit.health.relapses(health, RULES, T0 + 1_800_001) == 2
    assert kit.health.relapses(health, RULES, T0) == 3


def bounds(kit: Kit) -> None:
    """Gap and staleness begin after the bound, to the millisecond."""
    start = Life(kit).play("O").health  # last_at T0 + 1 s
    due = T0 + 20_000
    for behind, lost in ((90_000, False), (90_001, True)):
        life = Life(kit, health=start)
        life.tick(due + behind, due)
        assert bool(life.told) is lost is life.health.stale
        one = LETTERS["O"]._replace(
            cycle_id="z", started=due + behind - 2_000, ended=due + behind - 1_000
        )
        life = Life(kit, health=start)
        life.step(one, due)
        assert (life.health.o.count == 1) is lost
    for letter in "OPFBT":
        wiped = Life(kit, RULES._replace(partial_threshold=9), FULL).play(f"{letter}@20+500")
        streaks = {"O": "o1 g1", "P": "o1 pa1", "F": "f1", "B": "b1", "T": "th1"}
        assert wiped.counts == streaks[letter]
    far = T0 + 101_000  # planned 100 s after the last end: 150 s more
    for behind, lost in ((150_000, False), (150_001, True)):
        life = Life(kit, health=start)
        life.tick(far + behind, far)
        assert life.health.stale is lost
    life = Life(kit, health=start)
    life.tick(T0 + 9_000_000, None)
    assert life.told == []
    life = Life(kit)
    life.tick(due + 90_000, due)
    assert life.told == []
    life.tick(due + 90_001, due, "local_network")
    lost_event = life.told[0]
    assert isinstance(lost_event, HealthCoverageLost)
    assert lost_event.reason == life.health.lost == "local_network"
    assert lost_event.since == instant_at(due)
    life.play("O@500")
    restored = life.told[1]
    assert isinstance(restored, HealthCoverageRestored)
    assert restored.reason == "local_network"
    known = life.health
    assert not known.stale
    assert known.lost is None
    assert known.lost_since is None
    unknown = Life(kit)
    unknown.step(LETTERS["O"]._replace(started=T0 + 500_000, ended=T0 + 501_000), T0)
    assert unknown.lines == ["active() 502..502"]
    late = Life(kit, health=start)
    late.step(LETTERS["O"]._replace(started=T0 + 900_000, ended=T0 + 901_000), None)
    assert late.health.o.count == 2
    on_time = Life(kit, RULES._replace(stale_factor=1.01), start)
    on_time.step(LETTERS["O"]._replace(started=due, ended=due + 5_000), due)
    assert (on_time.lines, on_time.health.o.count) == ([], 1)
    assert on_time.health.stale is False


def clocks(kit: Kit) -> None:
    """A cycle of the past counts for nothing; a clock that was set far back is a gap."""
    start = Life(kit).play("O O").health  # last_at T0 + 21 s
    for back, counted in ((0, False), (90_000, False), (90_001, True)):
        life = Life(kit, health=start)
        ended = T0 + 21_000 - back
        life.step(LETTERS["F"]._replace(started=ended - 1_000, ended=ended), None)
        assert bool(life.health.f.count) is counted
        if not counted:
            assert life.health == start
    for back, gone in ((90_000, False), (91_001, True), (3_600_000, True)):
        life = Life(kit, health=start)
        ended = T0 + 21_000 - back
        life.step(LETTERS["O"]._replace(started=ended - 1_000, ended=ended), T0 + 80_000)
        assert (life.health.o.count == 1) is gone
        assert life.lines == []
    for back, stale in ((90_000, False), (90_001, True)):
        life = Life(kit, health=start)
        life.tick(T0 + 21_000 - back, T0 + 80_000)
        assert life.health.stale is stale
        if stale:
            assert life.health.lost_since == T0 + 21_000 - back
    next_one = Life(kit, health=start)
    next_one.step(LETTERS["O"]._replace(started=T0 + 21_001, ended=T0 + 21_001), None)
    assert next_one.health.last_at == T0 + 21_001


def waits(kit: Kit) -> None:
    """UNKNOWN leaves word of what was due after the last cycle that counted, and nothing else."""
    life = Life(kit).play("O F")
    before = life.health
    life.play("U@60 U@60")

    assert life.health == msgspec.structs.replace(before, due=T0 + 80_000)
    assert life.play("O@10").health.due is None
    late = Life(kit).play("O U@60 !@30 !@31")
    assert late.health.lost_since is None
    assert late.play("U@60 !@31").health.lost_since == T0 + 60_000


def downtime(kit: Kit) -> None:
    """What was down is so until it is not; entering it is remembered at most 20 times."""
    life = Life(kit).play("O F*3")
    assert life.health.down_since == T0 + 20_000
    assert life.health.relapses == (T0 + 62_000,)
    assert life.play("O O").health.down_since is None
    blocked = Life(kit).play("O F*3 B B")
    assert (blocked.health.down_since, blocked.health.since) == (None, T0 + 80_000)
    many = Life(kit, RULES._replace(relapse_window=10**9))
    many.play(" ".join(["F*3 O*2"] * 25))
    assert len(many.health.relapses) == 20
    assert many.health.relapses[-1] == T0 + 24 * 100_000 + 42_000
    short = Life(kit, RULES._replace(relapse_window=60_000)).play("F*3 O*2 O")
    assert short.health.relapses == (T0 + 42_000,)
    assert short.play("O").health.relapses == ()


def switched(kit: Kit) -> None:
    """Off: nothing of its cycles stays, but its restlessness."""
    life = Life(kit).play("O F F U -")
    health = life.health
    assert (health.last_at, health.due, health.streak) == (None, None, ())
    assert (health.fails, health.seen) == (0b11, 3)
    assert health.since == T0 + 80_000
    life.tick(T0 + 10_000_000, T0)
    life.play("F F F")
    assert life.health == health
    never = Life(kit).play("F F N")
    assert (never.counts, never.told) == ("", [])
    fresh = Life(kit)
    fresh.switch("unconfigured", T0)
    assert fresh.lines == ["inactive(unconfigured) 0..0"]
    stale = Life(kit).play("O !@151")
    stale.switch("disabled", T0 + 300_000)
    assert stale.lines[2:] == ["restored(silent) 60..300 at 300", "inactive(disabled) 300..300"]


def configured(kit: Kit) -> None:
    """New thresholds are compared at the next verdict."""
    life = Life(kit, RULES._replace(partial_threshold=9)).play("O P P")
    life.rules = RULES
    life.play("T")
    assert life.lines[1:] == ["degraded(partial) 62..62"]
    life = Life(kit, RULES._replace(failure_threshold=9)).play("O F F F")
    life.rules = RULES
    life.play("F@5")
    assert life.lines[1:] == ["error(outage) 20..67 relapses 1"]


def restless(kit: Kit) -> None:
    """Flapping starts at the upper threshold and lasts until the lower one, both inclusive."""
    rules = RULES._replace(unhealthy_threshold=1.0, failure_threshold=99)
    score = kit.flapping.score(0b10101, 21)
    for high, flapping in ((score, True), (score + 1e-9, False)):
        life = Life(kit, rules._replace(flap_high=high)).play("O*16 F O F O F")
        assert life.health.flapping is flapping
    score = kit.flapping.score(0b101010, 21)
    for low, flapping in ((score, False), (score - 1e-9, True)):
        life = Life(kit, rules._replace(flap_high=29, flap_low=low)).play("O*16 F O F O F O")
        assert life.health.flapping is flapping
    assert Life(kit, rules).play("F*30 T").health.seen == 21


def turning(kit: Kit) -> None:
    """Changes are counted from the one that flapping makes until it is over, and then anew."""
    life = Life(kit)
    expected, most = 0, 0
    for letter in "OOOOOOOOOOOOOOOOFOFOFFFOOFOF" + 40 * "O" + "FOFOFFFOO":
        before = len(life.told)
        life.play(letter)
        changes = len(life.told) - before
        expected = expected + changes if life.health.flapping else 0
        assert life.health.turns == expected
        most = max(most, expected)
    assert (most, life.health.turns) == (4, 1)


FREE: Sequence[Callable[[Kit], None]] = (
    remember,
    evidence,
    bare,
    clamped,
    flags,
    bounds,
    clocks,
    waits,
    downtime,
    switched,
    configured,
    restless,
    turning,
)


def everything(kit: Kit) -> None:
    """Run all rows on *kit*; the first that does not hold raises."""
    for ring, expected in FLAPS:
        flap(kit, ring, expected)
    for row in JUDGED:
        judged(kit, row)
    for counted in COUNTED:
        counts(kit, counted)
    for story in STORIES:
        lives(kit, story)
    for free in FREE:
        free(kit)
