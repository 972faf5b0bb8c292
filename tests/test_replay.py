"""A catalogue from the log, as it was at any moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nats.aio.client import Client

from events.envelope import Stored
from events.models import ModelAdded, ModelUpdated
from events.record import ModelRecord
from events.subjects import AUDIT, FACTS
from projections import Catalogue
from projections.database import open_writer
from projections.faults import CannotFold
from projections.fold import Folder
from services.directory import DataDirectory
from services.jetstream.append import Log
from services.jetstream.read import info, pages
from services.projector.replay import Report, replay
from tests.support.catalogues import rows
from tests.support.logs import FACTS_TOLD, sealed, tell

pytestmark = pytest.mark.nats

ALL = 1 << 40


async def replayed(nc: Client, target: Path, until: int = ALL) -> Report:
    return await replay(nc, target, until, lambda _done, _total: None)


async def folded(nc: Client, data: Path) -> Path:
    """Fold the whole log as the projector does that follows it, an event at a time."""
    link = DataDirectory(data).catalogue
    generation = open_writer(link)
    epochs = {stream: (await info(nc, stream)).epoch for stream in (FACTS, AUDIT)}
    folder = Folder(generation.db, epochs)
    for stream, filter_ in ((FACTS, "log.>"), (AUDIT, "audit.>")):
        async for page in pages(nc, stream, after=0, filter=filter_):
            for stored in page:
                assert isinstance(stored, Stored)
                folder.fold(stream, [stored])
    generation.finish()
    generation.close()
    return link


async def test_a_replay_is_the_live_catalogue(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    report = await replayed(nc, tmp_path / "replayed.db")
    live = await folded(nc, tmp_path / "live")

    assert rows(tmp_path / "replayed.db") == rows(live)
    assert report == Report(FACTS_TOLD + 8, {FACTS: FACTS_TOLD, AUDIT: 8})


@pytest.mark.parametrize("seq", range(FACTS_TOLD + 1))
async def test_a_replay_until_a_sequence_is_the_catalogue_as_of_it(
    seq: int, nc: Client, tmp_path: Path
) -> None:
    """Also in the middle of a batch."""
    await tell(nc)
    live = await folded(nc, tmp_path / "live")
    await replayed(nc, tmp_path / "then.db", seq)
    with Catalogue.open(live) as now, Catalogue.open(tmp_path / "then.db") as then:
        as_of = [(one.provider, one.id, one.availability) for one in now.search(as_of=seq)]
        as_was = [(one.provider, one.id, one.availability) for one in then.search()]
        records = [then.search(as_of=seq), now.search(as_of=seq)]

        assert as_was == as_of
        assert records[0] == records[1]
        assert then.seq() == seq


async def test_audit_is_replayed_as_far_as_it_was_by_then(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    seen = [(await replayed(nc, tmp_path / f"{seq}.db", seq)).seqs[AUDIT] for seq in (0, 1, 4, 7)]

    assert seen == [0, 1, 3, 8]


async def test_a_replay_says_how_far_it_is(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    told: list[tuple[int, int]] = []
    report = await replay(nc, tmp_path / "c.db", ALL, lambda *told_of: told.append(told_of))

    assert told[-1] == (report.events, report.events)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


async def test_an_empty_log_replays_into_an_empty_catalogue(nc: Client, tmp_path: Path) -> None:
    await tell(nc, [])
    report = await replayed(nc, tmp_path / "c.db")
    with Catalogue.open(tmp_path / "c.db") as catalogue:
        assert catalogue.search() == []
    assert report.events == 0


async def test_a_log_of_many_batches_replays_whole(nc: Client, tmp_path: Path) -> None:
    await tell(nc, [])
    log = await Log.open(nc)
    expected = 0
    for number in range(7):
        facts = [
            ModelAdded(
                at="2026-01-01T00:00:00.000Z",
                provider="acme",
                model=ModelRecord(id=f"{number}-{n}", name="n"),
            )
            for n in range(900)
        ]
        done = await log.append(sealed(facts), family="model", provider="acme", expected=expected)
        expected = done.expected
    await replayed(nc, tmp_path / "all.db")
    await replayed(nc, tmp_path / "some.db", 5000)
    with Catalogue.open(tmp_path / "all.db") as whole, Catalogue.open(tmp_path / "some.db") as some:
        assert whole.counts()["models"] == 6300
        assert some.counts()["models"] == 5000


async def test_a_replay_that_fails_leaves_what_was_there(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    target = tmp_path / "c.db"
    await replayed(nc, target)
    before = rows(target)
    log = await Log.open(nc)
    nobody = ModelRecord(id="nobody", name="nobody")
    wrong = [ModelUpdated(at="2026-05-01T00:00:00.000Z", provider="acme", model=nobody, changed=[])]
    expected = await log.last("model", "acme")
    await log.append(sealed(wrong), family="model", provider="acme", expected=expected)
    with pytest.raises(CannotFold, match="sequence 8"):
        await replayed(nc, target)

    assert rows(target) == before
    assert sorted(os.listdir(tmp_path)) == ["c.db", "nats"]  # noqa: PTH208 - names alone
