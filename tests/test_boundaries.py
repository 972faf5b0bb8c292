from __future__ import annotations

import pytest

from events.envelope import Stored
from events.subjects import AUDIT, FACTS
from services.projector.boundaries import Intake, TornBatch


def _one(seq: int) -> Stored:
    return Stored(seq, "log.x", 0, {}, b"")


def _batched(seq: int, batch: str, place: int, *, last: bool = False) -> Stored:
    headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(place)}
    if last:
        headers["Nats-Batch-Commit"] = "1"
    return Stored(seq, "log.x", 0, headers, b"")


def _seqs(messages: list[Stored]) -> list[int]:
    return [message.seq for message in messages]


def test_a_message_of_its_own_is_ready_at_once() -> None:
    intake = Intake(FACTS)
    intake.add(_one(1))

    assert _seqs(intake.take()) == [1]


def test_half_a_batch_waits_for_its_end() -> None:
    intake = Intake(FACTS)
    intake.add(_one(1))
    intake.add(_batched(2, "a", 1))

    assert _seqs(intake.take()) == [1]
    assert len(intake) == 0

    intake.add(_batched(3, "a", 2, last=True))

    assert _seqs(intake.take()) == [2, 3]


def test_what_was_taken_is_not_handed_over_again() -> None:
    intake = Intake(FACTS)
    intake.add(_batched(1, "a", 1, last=True))
    intake.take()

    assert intake.take() == []


@pytest.mark.parametrize(
    "after",
    [_one(2), _batched(2, "b", 1), _batched(2, "a", 3)],
    ids=["a single message", "another batch", "a jump within the batch"],
)
def test_a_batch_without_its_rest_stops_the_reader(after: Stored) -> None:
    intake = Intake(FACTS)
    intake.add(_batched(1, "a", 1))

    with pytest.raises(TornBatch, match=r"sequence 2|before 2"):
        intake.add(after)


def test_a_fact_stream_never_begins_inside_a_batch() -> None:
    with pytest.raises(TornBatch, match="jumps from its message 0 to 2"):
        Intake(FACTS).add(_batched(1, "a", 2, last=True))


def test_the_age_limit_may_have_taken_the_beginning_of_an_audit_batch() -> None:
    intake = Intake(AUDIT)
    intake.add(_batched(7, "a", 2))
    intake.add(_batched(8, "a", 3, last=True))

    assert _seqs(intake.take()) == [7, 8]
