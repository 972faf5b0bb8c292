from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import Event, types
from events.audit import ServiceStarted
from events.models import CapabilityGained, ModelMissing
from events.record import CAPABILITIES
from events.subjects import (
    AUDIT,
    FACTS,
    LONGEST,
    LONGEST_TOKEN,
    BadSubject,
    escape,
    facts_of,
    outcome_subject,
    public,
    stored,
    stream_of,
    subject_of,
    unescape,
)
from tests.support.strategies import legal

EXAMPLES = {
    "gpt-4o_mini": "gpt-4o_mini",
    "gpt-4.1": "gpt-4=2E1",
    "openai/gpt-4o:free": "openai=2Fgpt-4o=3Afree",
    "*": "=2A",
    ">": "=3E",
    "a b": "a=20b",
    "a=b": "a=3Db",
    "a\x00\n\x7f": "a=00=0A=7F",
    "é": "=C3=A9",
    "../..": "=2E=2E=2F=2E=2E",
}
some = settings(max_examples=60)
events = st.sampled_from(sorted(types())).flatmap(legal)


@pytest.mark.parametrize(("text", "token"), EXAMPLES.items(), ids=EXAMPLES.values())
def test_a_token_is_spelled_in_one_way(text: str, token: str) -> None:
    assert escape(text) == token
    assert unescape(token) == text


@given(st.text(min_size=1) | st.text("*>./ \t\n\x00=%$é", min_size=1))
def test_any_text_becomes_one_token_and_back(text: str) -> None:
    token = escape(text)

    assert re.fullmatch(r"[A-Za-z0-9_=-]+", token)
    assert unescape(token) == text


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_texts_never_share_a_token(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@pytest.mark.parametrize(
    "token",
    ["", "a.b", "a b", "*", ">", "=", "=4", "=2e", "=41", "=2D", "=FF", "=ED=A0=80", "a\n", "é"],
)
def test_what_no_text_is_spelled_as_is_refused(token: str) -> None:
    with pytest.raises(BadSubject):
        unescape(token)


@given(st.text("ABCDEFabcdef0123456789=-_.", max_size=12))
def test_what_can_be_read_is_what_is_written(token: str) -> None:
    try:
        text = unescape(token)
    except BadSubject:
        return

    assert escape(text) == token


@pytest.mark.parametrize("text", ["", "\ud800", "a\udfffb"], ids=ascii)
def test_a_text_without_utf_8_has_no_token(text: str) -> None:
    with pytest.raises(BadSubject):
        escape(text)


def _missing(model_id: str, provider: str = "acme") -> ModelMissing:
    return ModelMissing(at="", provider=provider, model_id=model_id)


@pytest.mark.parametrize("model_id", ["x" * 500, "." * 90, "é" * 50], ids=["x", "dot", "é"])
def test_an_id_too_long_for_a_subject_is_refused(model_id: str) -> None:
    with pytest.raises(BadSubject, match="over 255"):
        subject_of(_missing(model_id, provider="p" * 64))


def test_the_longest_id_fits_every_subject() -> None:
    for capability in CAPABILITIES:
        event = CapabilityGained(
            at="", provider="p" * 64, model_id="x" * LONGEST_TOKEN, capability=capability
        )

        assert len(subject_of(event)) <= LONGEST


@some
@given(events)
def test_a_subject_says_the_family_the_event_and_what_it_is_about(event: Event) -> None:
    stream, family, owner, name, *about = subject_of(event).split(".")
    said: dict[str, Any] = msgspec.to_builtins(event)
    model_id = said.get("model_id") or said.get("model", {}).get("id")

    assert f"{family}.{name}" == said["type"]
    assert stream_of(f"{stream}.") == (FACTS if stream == "log" else AUDIT)
    expected = (said.get("capability"), None if family == "alert" else model_id)
    assert [unescape(token) for token in about] == [
        value for value in expected if isinstance(value, str)
    ]
    command = str(said.get("command", "")).replace(".", "-")
    assert unescape(owner) in {said.get("provider", "all"), said.get("process"), command}


def test_the_names_of_processes_and_commands_are_tokens() -> None:
    event = ServiceStarted(at="", process="health.monitor", instance="", version="")

    assert subject_of(event) == "audit.service.health=2Emonitor.started"


@some
@given(events)
def test_one_filter_selects_the_facts_of_a_provider(event: Event) -> None:
    subject = subject_of(event)
    stream, family, owner, name, *_ = subject.split(".")

    if stream == "log" and family != "provider":
        assert _matches(facts_of(family, owner), subject)
    if family == "refresh":
        assert outcome_subject(owner, name) == subject


def test_a_subject_of_somebody_else_is_in_no_stream() -> None:
    with pytest.raises(BadSubject, match="in no stream"):
        stream_of("orders.new")


@pytest.mark.parametrize(
    ("stored_as", "seen_as"),
    [
        ("log.model.openai.added.x", "modelog.model.openai.added.x"),
        ("audit.refresh.openai.failed", "modelog.audit.refresh.openai.failed"),
    ],
)
def test_users_see_one_prefix(stored_as: str, seen_as: str) -> None:
    assert public(stored_as) == seen_as
    assert stored(seen_as) == [(stream_of(stored_as), stored_as)]


PATTERNS = {
    ">": [(FACTS, "log.>"), (AUDIT, "audit.>")],
    "modelog.>": [(FACTS, "log.>"), (AUDIT, "audit.>")],
    "modelog.*": [(FACTS, "log.*")],
    "modelog.*.>": [(FACTS, "log.*.>"), (AUDIT, "audit.>")],
    "modelog.*.openai.>": [(FACTS, "log.*.openai.>"), (AUDIT, "audit.openai.>")],
    "modelog.model.*.removed.>": [(FACTS, "log.model.*.removed.>")],
    "modelog.audit.>": [(AUDIT, "audit.>")],
    "modelog.audit.refresh.*.failed": [(AUDIT, "audit.refresh.*.failed")],
    "modelog.audit": [],
}


@pytest.mark.parametrize(("pattern", "lies"), PATTERNS.items(), ids=PATTERNS)
def test_a_pattern_of_users_becomes_filters_of_streams(
    pattern: str, lies: list[tuple[str, str]]
) -> None:
    assert stored(pattern) == lies


@some
@given(events, st.lists(st.booleans(), min_size=8, max_size=8), st.integers(1, 8))
def test_the_filters_select_what_the_pattern_selects(
    event: Event, wild: list[bool], cut: int
) -> None:
    """Each pattern that a user may write for an event finds it, and nothing but what it matches."""
    subject = subject_of(event)
    seen_as = public(subject)
    tokens = seen_as.split(".")
    pattern = [
        "*" if place and asterisk else token
        for place, (token, asterisk) in enumerate(zip(tokens, wild, strict=False))
    ]
    if cut < len(tokens):
        pattern[cut:] = [">"]
    found = [
        lies
        for stream, lies in stored(".".join(pattern))
        if stream == stream_of(subject) and _matches(lies, subject)
    ]

    assert _matches(".".join(pattern), seen_as)
    assert len(found) == 1


@some
@given(
    events,
    st.lists(st.sampled_from(["*", ">", "audit", "model", "openai", "added", "x"]), max_size=6),
)
def test_filters_select_nothing_else(event: Event, tokens: list[str]) -> None:
    subject = subject_of(event)
    pattern = ".".join(["modelog", *tokens])
    try:
        lies = stored(pattern)
    except BadSubject:
        return
    selected = any(stream_of(subject) == one and _matches(two, subject) for one, two in lies)

    assert selected == _matches(pattern, public(subject))


@pytest.mark.parametrize(
    "pattern",
    [
        "", "modelog", "log.>", "rpc.modelog.command.refresh", "*", "*.model.>", "modelog.",
        "modelog..x", "modelog.>.x", "modelog.a b", "modelog.gpt-4.1!", "modelog.x*", "modelog.é",
        "modelog.x\n",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_pattern_of_ours_is_refused(pattern: str) -> None:
    with pytest.raises(BadSubject):
        stored(pattern)


def _matches(pattern: str, subject: str) -> bool:
    """Whether NATS delivers *subject* to a subscription of *pattern*."""
    wanted, given_ = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":  # noqa: S105 - the wildcard
            return len(given_) > place
        if place >= len(given_) or token not in {"*", given_[place]}:
            return False
    return len(wanted) == len(given_)
