from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from events.chain import link, start
from events.envelope import Stored

messages = st.builds(
    Stored,
    seq=st.integers(1, 9),
    subject=st.text(max_size=4),
    recorded_ns=st.integers(0, 9),
    headers=st.dictionaries(
        st.sampled_from(["ce-id", "ce-type", "ce-recordedtime", "Nats-Msg-Id"]),
        st.text(max_size=2),
    ),
    payload=st.binary(max_size=4),
)


def _end(history: list[Stored]) -> bytes:
    return reduce(link, history, start("MODELOG"))


def _said(history: list[Stored]) -> list[object]:
    return [
        (
            one.seq,
            one.subject,
            {
                name: value
                for name, value in one.headers.items()
                if name.startswith("ce-") and name != "ce-recordedtime"
            },
            one.payload,
        )
        for one in history
    ]


@given(st.lists(messages, max_size=3), st.lists(messages, max_size=3))
def test_two_histories_have_one_hash_where_they_say_the_same(
    one: list[Stored], other: list[Stored]
) -> None:
    assert (_end(one) == _end(other)) == (_said(one) == _said(other))


@given(messages)
def test_when_and_how_it_was_stored_changes_nothing(message: Stored) -> None:
    restored = message._replace(
        recorded_ns=5,
        headers={
            **dict(reversed(list(message.headers.items()))),
            "ce-recordedtime": "x",
            "Nats-X": "y",
        },
    )

    assert _end([message]) == _end([restored])


def test_what_moves_from_one_field_to_the_next_is_another_history() -> None:
    assert _end([Stored(1, "ab", 0, {}, b"c")]) != _end([Stored(1, "a", 0, {}, b"bc")])


def test_each_stream_has_a_chain_of_its_own() -> None:
    assert start("MODELOG") != start("MODELOG_AUDIT")
    assert len(start("MODELOG")) == len(_end([Stored(1, "", 0, {}, b"")])) == 32
