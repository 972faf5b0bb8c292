from __future__ import annotations

from functools import reduce

import msgspec
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from events import decode, encode
from events.decide.providers import Registry, Settings, evolve, reconcile, register
from events.providers import (
    ProviderEvent,
    ProviderReconfigured,
    ProviderRegistered,
    ProviderSchemaChanged,
    ProviderUnregistered,
)
from tests.support.strategies import settings

AT = "2026-01-01T00:00:00.000Z"
OPENAI = Settings(
    name="openai",
    dialect="openai",
    base_url="https://api.openai.com/v1",
    credential={"env": "OPENAI_API_KEY"},
    schedule={"interval": 3600.0},
)
OLLAMA = Settings(
    name="ollama", dialect="ollama", base_url="http://localhost:11434", origin="command"
)

names = st.sampled_from(["a", "b", "c", "d"])
registries = st.lists(settings(names), max_size=4).map(lambda some: {one.name: one for one in some})
wishes = registries.map(
    lambda wanted: {
        name: msgspec.structs.replace(one, origin="config") for name, one in wanted.items()
    }
)


def _fold(registry: Registry, events: list[ProviderEvent]) -> Registry:
    return reduce(evolve, events, registry)


def test_a_new_provider_is_registered_with_all_its_settings() -> None:
    assert reconcile({}, {"openai": OPENAI}, AT) == [
        ProviderRegistered(
            at=AT,
            provider="openai",
            dialect="openai",
            base_url="https://api.openai.com/v1",
            enabled=True,
            priority=0,
            origin="config",
            credential={"env": "OPENAI_API_KEY"},
            schedule={"interval": 3600.0},
        )
    ]


def test_other_settings_reconfigure_it() -> None:
    slower = msgspec.structs.replace(OPENAI, schedule={"interval": 7200.0})
    (event,) = reconcile({"openai": OPENAI}, {"openai": slower}, AT)

    assert isinstance(event, ProviderReconfigured)
    assert event.schedule == {"interval": 7200.0}
    assert event.credential == OPENAI.credential


def test_what_the_file_names_no_more_is_unregistered() -> None:
    assert reconcile({"openai": OPENAI}, {}, AT) == [
        ProviderUnregistered(at=AT, provider="openai", reason="config")
    ]


def test_what_was_registered_by_command_stays() -> None:
    assert reconcile({"ollama": OLLAMA}, {}, AT) == []


def test_the_file_wins_over_the_command() -> None:
    named = msgspec.structs.replace(OLLAMA, origin="config")
    events = reconcile({"ollama": OLLAMA}, {"ollama": named}, AT)

    assert [type(event) for event in events] == [ProviderReconfigured]
    assert _fold({"ollama": OLLAMA}, events) == {"ollama": named}
    assert [type(event) for event in reconcile({"ollama": named}, {}, AT)] == [ProviderUnregistered]


def test_providers_are_reconciled_in_the_order_of_their_names() -> None:
    registry = {name: msgspec.structs.replace(OPENAI, name=name) for name in ("z", "y")}
    wanted = {name: msgspec.structs.replace(OPENAI, name=name) for name in ("b", "a")}

    assert [event.provider for event in reconcile(registry, wanted, AT)] == ["a", "b", "y", "z"]


def test_the_same_settings_are_no_event() -> None:
    assert register({"openai": OPENAI}, OPENAI, AT) is None


def test_a_change_of_fields_registers_nobody() -> None:
    event = ProviderSchemaChanged(
        at=AT, provider="openai", added_fields=["x"], removed_fields=[], models=9
    )

    assert evolve({"openai": OPENAI}, event) == {"openai": OPENAI}


def test_an_unknown_provider_can_be_unregistered() -> None:
    assert evolve({}, ProviderUnregistered(at=AT, provider="openai", reason="command")) == {}


@examples(max_examples=25)
@given(registries, wishes)
def test_the_registry_becomes_what_the_file_wants(registry: Registry, wanted: Registry) -> None:
    events = reconcile(registry, wanted, AT)
    by_command = {name: one for name, one in registry.items() if one.origin == "command"}

    assert _fold(registry, events) == by_command | wanted
    assert reconcile(_fold(registry, events), wanted, AT) == []


@examples(max_examples=25)
@given(registries, settings(names))
def test_what_is_registered_is_what_the_log_says(registry: Registry, one: Settings) -> None:
    event = register(registry, one, AT)
    if event is None:
        assert registry[one.name] == one
        return
    read = decode(encode(event))

    assert isinstance(event, ProviderReconfigured if one.name in registry else ProviderRegistered)
    assert isinstance(read, ProviderRegistered | ProviderReconfigured)
    assert evolve(registry, read) == registry | {one.name: one}
