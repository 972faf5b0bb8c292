"""Snapshots: a projector elsewhere begins with the newest that fits, and replays the tail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client

from events.subjects import AUDIT, FACTS
from projections import generations
from projections.checkpoint import Checkpoint
from projections.database import open_writer
from projections.fold import PROJECTION
from services import clock as clocks
from services.directory import DataDirectory
from services.jetstream.api import ask, stream_info
from services.jetstream.messages import info
from services.jetstream.server import Server
from services.jetstream.snapshots import BadSnapshot, Snapshot, fetch, prune, snapshots, store
from services.projector.replay import replay
from services.projector.snapshotting import restored, snapshot, snapshotting
from tests.support.catalogues import facts_alone, rows
from tests.support.logs import ACME, FACTS_TOLD, tell
from tests.support.nats import connected, running
from tests.support.processes import spawned
from tests.support.refreshing import configuration, eventually

pytestmark = pytest.mark.nats

BUCKET = "modelog_snapshots"
STREAM = f"OBJ_{BUCKET}"
CLOCK = clocks.system()
AT = "2026-04-01T00:00:00.000Z"


async def fresh(nc: Client, target: Path) -> Path:
    target.parent.mkdir(exist_ok=True)
    await replay(nc, target, 1 << 40, lambda _done, _total: None)
    return target


async def served(nc: Client, folder: Path) -> Path:
    """A catalogue at the end of the log, behind its link."""
    link = DataDirectory(folder).catalogue
    path = await fresh(nc, folder / "catalogue.1.db")
    link.symlink_to(path.name)
    return link


async def parts(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def whole(nc: Client, one: Snapshot) -> bytes:
    return b"".join([chunk async for chunk in fetch(nc, one)])


async def subjects(nc: Client) -> list[str]:
    answer = await ask(nc, f"STREAM.INFO.{STREAM}", {"subjects_filter": ">"})
    return sorted(answer["state"].get("subjects") or {})


# The object store


async def test_what_is_stored_is_fetched(nc: Client) -> None:
    await tell(nc, [])
    made = await store(nc, parts(b"a" * 1000, b"b" * 10), {"k": "v"}, AT)
    (found,) = await snapshots(nc)

    assert found == made
    assert (found.size, found.chunks, found.metadata) == (1010, 2, {"k": "v"})
    assert await whole(nc, found) == b"a" * 1000 + b"b" * 10


async def test_any_other_client_reads_it(nc: Client) -> None:
    await tell(nc, [])
    made = await store(nc, parts(b"a" * 100_000, b"b" * 100_000), {}, AT)
    bucket = await nc.jetstream().object_store(BUCKET)
    result = await bucket.get(made.name)

    assert result.data == b"a" * 100_000 + b"b" * 100_000


async def test_the_newest_two_are_kept(nc: Client) -> None:
    await tell(nc, [])
    made = [await store(nc, parts(bytes([n])), {}, AT) for n in range(4)]

    assert await snapshots(nc) == [made[3], made[2]]
    assert len(await subjects(nc)) == 4
    assert await whole(nc, made[3]) == b"\x03"


async def test_a_writer_that_fails_leaves_nothing(nc: Client) -> None:
    await tell(nc, [])

    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        await store(nc, failing(), {}, AT)

    assert await subjects(nc) == []


async def test_chunks_that_nobody_names_are_removed_when_they_are_old(nc: Client) -> None:
    await tell(nc, [])
    await nc.request(f"$O.{BUCKET}.C.left", b"x")
    await store(nc, parts(b"a"), {}, AT)
    await prune(nc)

    assert f"$O.{BUCKET}.C.left" in await subjects(nc)  # it may be on its way


@pytest.mark.parametrize("harm", ["lost", "more", "altered"])
async def test_an_object_that_is_not_whole_is_refused(harm: str, nc: Client) -> None:
    await tell(nc, [])
    made = await store(nc, parts(b"a" * 10, b"b"), {}, AT)
    chunks = f"$O.{BUCKET}.C.{made.nuid}"
    if harm == "lost":
        await ask(nc, f"STREAM.PURGE.{STREAM}", {"filter": chunks, "keep": 1})
    elif harm == "more":
        await nc.request(chunks, b"c")
    else:
        await ask(nc, f"STREAM.PURGE.{STREAM}", {"filter": chunks})
        for part in (b"a" * 10, b"c"):
            await nc.request(chunks, part)
    with pytest.raises(BadSnapshot):
        await whole(nc, made)


async def test_where_there_is_no_bucket_there_is_no_snapshot(nc: Client) -> None:
    assert await snapshots(nc) == []


async def test_what_is_no_snapshot_is_passed_over(nc: Client) -> None:
    await tell(nc, [])
    await nc.request(f"$O.{BUCKET}.M.eA==", b'{"deleted": true}')

    assert await snapshots(nc) == []


# A projector elsewhere


async def test_a_snapshot_and_the_tail_are_a_full_replay(nc: Client, tmp_path: Path) -> None:
    await tell(nc, ACME[:2])
    here = await served(nc, tmp_path / "here")
    await snapshot(nc, here, CLOCK)
    link = DataDirectory(tmp_path / "there").catalogue
    taken = await restored(nc, link)
    assert taken is not None
    assert not link.exists()
    taken.serve()
    taken.close()

    assert str(link.readlink()) == "catalogue.1.db"
    assert rows(link) == rows(here)
    assert [path.name for path in generations.others(link, None)] == ["catalogue.1.db"]


@pytest.mark.process
async def test_a_new_projector_begins_with_it(
    nats_server: Server, nc: Client, tmp_path: Path
) -> None:
    await tell(nc, ACME[:2])
    await snapshot(nc, await served(nc, tmp_path / "here"), CLOCK)
    await tell(nc, [])
    (tmp_path / "modelog.toml").write_text(configuration())
    log = await _more(nc)
    env = {"MODELOG_NATS_URL": nats_server.url}
    async with spawned(tmp_path, "run", "projector", env=env) as process:
        line = await process.line("snapshot", "MODELOG=4")
        await process.line(" ready ")
        assert await process.stop() == 0
    full = await fresh(nc, tmp_path / "full.db")

    assert "snapshot passed over" not in line
    assert log == FACTS_TOLD
    assert facts_alone(rows(tmp_path / ".modelog" / "catalogue.db")) == facts_alone(rows(full))


async def _more(nc: Client) -> int:
    """Tell the rest of the log; return how far it is."""
    await tell(nc, ACME[2:])
    return (await info(nc, FACTS)).last_seq


async def test_a_catalogue_that_is_there_is_left_alone(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = await served(nc, tmp_path / "here")
    await snapshot(nc, link, CLOCK)

    assert await restored(nc, link) is None
    foreign = tmp_path / "foreign" / "catalogue.db"
    foreign.parent.mkdir()
    foreign.symlink_to("elsewhere")
    assert await restored(nc, foreign) is None


async def _passed_over(nc: Client, folder: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Why the only snapshot there is was not taken."""
    link = DataDirectory(folder / "there").catalogue
    assert await restored(nc, link) is None
    assert not link.exists()
    assert not link.parent.exists() or list(link.parent.iterdir()) == []
    return caplog.text


@pytest.mark.parametrize("harm", ["lost", "altered", "no gzip"])
async def test_a_damaged_one_is_passed_over(
    harm: str, nc: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await tell(nc)
    made = await snapshot(nc, await served(nc, tmp_path / "here"), CLOCK)
    if harm == "no gzip":
        await store(nc, parts(b"x" * 100), made.metadata, AT)
        await prune(nc, 1)
    else:
        chunks = f"$O.{BUCKET}.C.{made.nuid}"
        data = await whole(nc, made)
        await ask(nc, f"STREAM.PURGE.{STREAM}", {"filter": chunks})
        if harm == "altered":
            await nc.request(chunks, data[:-1] + bytes([data[-1] ^ 1]))

    told = await _passed_over(nc, tmp_path, caplog)
    assert {"lost": "lacks", "altered": "incorrect", "no gzip": "header"}[harm] in told


async def test_one_of_another_projection_is_passed_over(
    nc: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await tell(nc)
    made = await snapshot(nc, await served(nc, tmp_path / "here"), CLOCK)
    data = await whole(nc, made)
    await store(nc, parts(data), {**made.metadata, "projection": "99"}, AT)
    await prune(nc, 1)

    assert f"of projection 99, not {PROJECTION}" in await _passed_over(nc, tmp_path, caplog)


@pytest.mark.parametrize("change", ["epoch", "id", "seq", "none"])
async def test_one_that_the_log_does_not_go_on_from_is_passed_over(
    change: str, nc: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await tell(nc)
    made = await snapshot(nc, await served(nc, tmp_path / "here"), CLOCK)
    at = msgspec.json.decode(made.metadata["checkpoints"], type=dict[str, Checkpoint])
    at[FACTS] = {
        "epoch": at[FACTS]._replace(epoch="another"),
        "id": at[FACTS]._replace(event_id="another"),
        "seq": at[FACTS]._replace(seq=99),
        "none": at[FACTS],
    }[change]
    told = msgspec.json.encode(at).decode() if change != "none" else "{}"
    await store(nc, parts(await whole(nc, made)), {**made.metadata, "checkpoints": told}, AT)
    await prune(nc, 1)

    said = await _passed_over(nc, tmp_path, caplog)
    words = {"epoch": "is another one", "id": "another message", "seq": "ends at", "none": FACTS}
    assert words[change] in said


async def test_one_whose_file_is_another_is_passed_over(
    nc: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await tell(nc, ACME[:2])
    older = await snapshot(nc, await served(nc, tmp_path / "here"), CLOCK)
    await tell(nc, ACME[2:])
    newer = await snapshot(nc, await served(nc, tmp_path / "later"), CLOCK)
    await store(nc, parts(await whole(nc, older)), newer.metadata, AT)
    await prune(nc, 1)

    assert "not those that it was stored with" in await _passed_over(nc, tmp_path, caplog)


async def test_the_one_before_is_taken_where_the_newest_does_not_fit(
    nc: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await tell(nc)
    good = await snapshot(nc, await served(nc, tmp_path / "here"), CLOCK)
    await store(nc, parts(b"x"), {"projection": "99"}, AT)
    taken = await restored(nc, DataDirectory(tmp_path / "there").catalogue)

    assert taken is not None
    taken.close()
    assert f"name={good.name}" in caplog.text


async def test_another_log_has_no_use_for_it(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    made = await snapshot(nc, await served(nc, tmp_path / "here"), CLOCK)
    data = await whole(nc, made)
    async with running(tmp_path / "another") as server, connected(server.url) as other:
        await tell(other)
        await store(other, parts(data), made.metadata, AT)
        assert await restored(other, DataDirectory(tmp_path / "there").catalogue) is None


# When they are made


async def stored(nc: Client, count: int) -> list[Snapshot]:
    async def there() -> bool:
        return len(await snapshots(nc)) >= count

    await eventually(there)
    return await snapshots(nc)


async def test_one_is_made_after_so_many_events(nc: Client, tmp_path: Path) -> None:
    await tell(nc, ACME[:2])
    link = await served(nc, tmp_path / "here")
    async with snapshotting(nc, link, CLOCK, every=5, look_seconds=0.01):
        first = await stored(nc, 1)
        await tell(nc, ACME[2:])
        await fresh(nc, tmp_path / "here" / "catalogue.1.db")
        both = await stored(nc, 2)
        await asyncio.sleep(0.1)  # and none more, with nothing new
        last = await snapshots(nc)

    assert both[1:] == first
    assert last == both
    seqs = msgspec.json.decode(both[0].metadata["checkpoints"], type=dict[str, Checkpoint])
    assert (seqs[FACTS].seq, seqs[AUDIT].seq) == (FACTS_TOLD, 8)


async def test_one_is_made_after_so_long_and_after_a_rebuild(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = await served(nc, tmp_path / "here")
    async with snapshotting(nc, link, CLOCK, every_seconds=0.0, look_seconds=0.01):
        await stored(nc, 1)
    async with snapshotting(nc, link, CLOCK, every=10, look_seconds=0.01):
        await fresh(nc, tmp_path / "here" / "catalogue.2.db")
        link.unlink()
        link.symlink_to("catalogue.2.db")
        assert len(await stored(nc, 2)) == 2


async def test_one_that_fails_is_said(
    nc: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await tell(nc)
    link = await served(nc, tmp_path / "here")
    config = (await stream_info(nc, STREAM))["config"]
    await ask(nc, f"STREAM.UPDATE.{STREAM}", {**config, "max_bytes": 100})

    async def said() -> bool:
        return "maximum bytes exceeded" in caplog.text

    async with snapshotting(nc, link, CLOCK, every=1, look_seconds=0.01):
        await eventually(said)

    assert caplog.text.count("no snapshot") == 1
    assert await subjects(nc) == []


async def test_a_catalogue_that_is_not_finished_is_not_stored(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    link = DataDirectory(tmp_path / "here").catalogue
    generation = open_writer(link)
    async with snapshotting(nc, link, CLOCK, every=0, look_seconds=0.01):
        await asyncio.sleep(0.1)
        assert await snapshots(nc) == []
    generation.close()
