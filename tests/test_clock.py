from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from events.base import elapsed
from services import clock
from services.clock import BadClock, Clock, new_id, system


def test_an_instant_has_milliseconds_and_a_z() -> None:
    moment = Clock(start=1_767_225_600.25, speed=1e-9, origin=time.time()).now()

    assert moment == "2026-01-01T00:00:00.250Z"


def test_a_fast_clock_runs_so_many_times_as_fast() -> None:
    fast = Clock(origin=time.time(), speed=1_000_000, start=0)
    first = fast.now()
    while fast.now() == first:
        pass

    assert elapsed(first, fast.now()).total_seconds() >= 0.001
    assert fast.real_seconds(1_000_000) == 1
    assert fast.real_seconds(-5) == 0


async def test_a_sleep_is_of_the_clock_s_own_time() -> None:
    fast = Clock(speed=10_000)
    before = fast.monotonic()
    await fast.sleep(100)

    assert 100 <= fast.monotonic() - before < 100_000


def test_the_variable_sets_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.VARIABLE, f"{time.time()},1,1767225600")
    assert system().now().startswith("2026-01-01T00:00:0")

    monkeypatch.delenv(clock.VARIABLE)
    assert (system().speed, system().start) == (1, 0)


@pytest.mark.parametrize(
    "text", ["1", "1,2", "a,b,c", "1,0,1", "1,-2,1", "1,nan,1", "nan,1,1", "1,inf,1", "0,1,1e300"]
)
def test_a_variable_that_is_no_clock_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.VARIABLE, text)
    with pytest.raises(BadClock, match="MODELOG_CLOCK"):
        system()


def test_ids_are_uuids_of_version_seven_in_the_order_of_their_making() -> None:
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(5_000)]
    after = time.time_ns() // 1_000_000
    first, last = (uuid.UUID(made[place]) for place in (0, -1))

    assert made == sorted(set(made))
    assert {(uuid.UUID(id_).version, uuid.UUID(id_).variant) for id_ in made} == {
        (7, uuid.RFC_4122)
    }
    assert before <= first.int >> 80 <= last.int >> 80 <= after + 1


def test_threads_never_share_an_id() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: new_id(), range(5_000)))

    assert len(set(made)) == len(made)


def test_an_instance_has_one_name() -> None:
    assert clock.instance() == clock.instance()
    assert len(clock.instance()) == 8
    assert clock.instance().isalnum()
