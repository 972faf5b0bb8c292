"""A provider that changes the shape of its rows is told of once; a changing list is not that."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from events.decide.drift import Shape, drifted
from events.providers import ProviderSchemaChanged
from events.subjects import FACTS
from tests.support.refreshing import acme, recorded, row, told
from tests.support.strategies import START

IDS = "abcdefghij"


def _shape(ids: str, **fields: int) -> Shape:
    return Shape({"id": len(ids), **fields}, frozenset(ids), len(ids))


def _drift(before: Shape | None, after: Shape) -> tuple[list[str], list[str], int] | None:
    found = drifted("acme", before, after, START)
    return None if found is None else (found.added_fields, found.removed_fields, found.models)


@pytest.mark.parametrize(
    ("before", "after", "drift"),
    [
        (_shape(IDS), _shape(IDS, new=10), (["new"], [], 10)),
        (_shape(IDS, old=10), _shape(IDS), ([], ["old"], 10)),
        (_shape(IDS, old=9), _shape(IDS, new=8, newer=8), (["new", "newer"], ["old"], 9)),
        (_shape(IDS, name=2), _shape(IDS, name=10), (["name"], [], 8)),
        (_shape(IDS), _shape(IDS, new=7), None),
        (_shape("abcd"), _shape("abcd", new=4), (["new"], [], 4)),
        (_shape("abc"), _shape("abc", new=3), None),
        (_shape(IDS), _shape("abcdefgh", new=8), (["new"], [], 8)),
        (_shape(IDS, old=10), _shape("abcdefgh"), ([], ["old"], 8)),
        (_shape("abcd"), _shape(IDS, new=6), None),
        (_shape(IDS, old=6), _shape("abcd"), None),
        (_shape("abcde", old=5), _shape("fghij", new=5), None),
        (_shape(IDS, old=10), _shape(IDS, old=10), None),
        (None, _shape(IDS), None),
    ],
    ids=[
        "all gain", "all lose", "nine lose, eight gain", "eight more", "seven gain", "four of four",
        "three of three", "those that stay gain", "those that stay lose", "six that came have it",
        "six that went had it", "a list of others", "nothing", "the first list",
    ],
)  # fmt: skip
def test_a_drift_is_most_rows_of_both_lists(
    before: Shape | None, after: Shape, drift: tuple[list[str], list[str], int] | None
) -> None:
    assert _drift(before, after) == drift


rows = st.dictionaries(st.sampled_from(IDS), st.frozensets(st.sampled_from("xyz")))


@given(rows, rows)
def test_a_field_that_is_told_was_gained_or_lost_by_most_rows(
    before: dict[str, frozenset[str]], after: dict[str, frozenset[str]]
) -> None:
    found = drifted("acme", _of(before), _of(after), START)
    both = before.keys() & after.keys()
    for field in found.added_fields if found else []:
        gained = sum(field in after[id_] and field not in before[id_] for id_ in both)
        assert gained >= 0.8 * len(both)
        assert gained > 3
    for field in found.removed_fields if found else []:
        lost = sum(field in before[id_] and field not in after[id_] for id_ in both)
        assert lost >= 0.8 * len(both)
        assert lost > 3


def _of(listed: dict[str, frozenset[str]]) -> Shape:
    fields = {name: sum(name in has for has in listed.values()) for name in "xyz"}
    return Shape(fields, frozenset(listed), len(listed))


@pytest.mark.nats
async def test_a_drift_is_appended_with_the_facts_of_its_run(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, list("abcde")) as (bench, site, clock):
        await bench.run()
        site.models = [row(id_, context_length=8) for id_ in "abcdef"]
        at = clock.advance(hours=1)
        outcome = await bench.run()
        again = await bench.run()
        site.models = [row(id_, context_length=8, unmapped=1) for id_ in "abcdef"]
        clock.advance(hours=1)
        unmapped = await bench.run()

        stored = [one for one in await recorded(nc, FACTS, "log.>") if one.correlation_id]
        of_run = [one.event for one in stored if one.correlation_id == outcome.run_id]

        assert told(of_run) == [*[f"updated {i}" for i in "abcde"], "added f", "schemachanged"]
        assert of_run[-1] == ProviderSchemaChanged(
            at=at,
            provider="acme",
            added_fields=["context_length"],
            removed_fields=[],
            models=5,
        )
        assert [one for one in stored if one.correlation_id == again.run_id] == []
        (alone,) = [one.event for one in stored if one.correlation_id == unmapped.run_id]
        assert cast("ProviderSchemaChanged", alone).added_fields == ["unmapped"]
        assert unmapped.updated == 0


@pytest.mark.nats
async def test_who_has_just_started_says_nothing_of_a_drift(nc: Client, tmp_path: Path) -> None:
    async with acme(nc, tmp_path, list("abcde")) as (bench, site, _):
        await bench.run()
        bench.restart()
        site.models = [row(id_, unmapped=8) for id_ in "abcde"]
        await bench.run()
        site.models = []
        await bench.run()
        site.models = [row(id_, unmapped=8) for id_ in "abcde"]
        await bench.run()

        assert await recorded(nc, FACTS, "log.provider.>") == []
