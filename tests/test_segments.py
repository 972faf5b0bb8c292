"""Segments: the log in files that never change, cut, continued, compared and restored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from events import chain
from events.envelope import Stored
from events.subjects import AUDIT, FACTS, STREAMS
from services.clock import Clock
from services.directory import DataDirectory
from services.jetstream.api import ask
from services.jetstream.append import HistoryChanged
from services.jetstream.archive import BadArchive
from services.jetstream.cutting import ForeignSegments, cutters
from services.jetstream.segments import (
    Manifest,
    chain_at,
    messages,
    messages_of,
    newest,
    read_segments,
)
from services.jetstream.setup import ensure
from services.jetstream.sources import examined
from services.jetstream.streams import audit as audit_request
from services.jetstream.streams import facts as facts_request
from services.projector.segmenting import segment, segmenting
from tests.support.archives import AT, archived, audit_events, content, held, put_back, silent
from tests.support.cli import modelog
from tests.support.clock import ManualClock
from tests.support.logs import ACME, FACTS_TOLD, tell
from tests.support.nats import Servers, connected, running, until
from tests.support.processes import spawned

pytestmark = pytest.mark.nats


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Client]:
    """A connection to a second server, which is empty."""
    async with running(tmp_path / "other") as server, connected(server.url) as nc:
        yield nc


async def cut_all(nc: Client, folder: Path, most: int = 1000) -> None:
    """Cut what there is, as a process does that starts and ends."""
    for cutter in await cutters(nc, folder):
        while await cutter.pending():
            await cutter.cut(AT, most)


def manifests(folder: Path, stream: str = FACTS) -> list[Manifest]:
    return list(read_segments(folder, streams=[stream]))


def spans(folder: Path, stream: str = FACTS) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in manifests(folder, stream)]


async def test_segments_go_on_from_one_another(nc: Client, tmp_path: Path) -> None:
    segs = tmp_path / "segs"
    for place in range(len(ACME)):
        await tell(nc, ACME[place : place + 1])
        await cut_all(nc, segs)
    log = (await held(nc))[FACTS]
    found = manifests(segs)

    assert spans(segs) == [(1, 1), (2, 4), (5, 6), (7, 7)]
    assert [stored for one in found for stored in messages(segs, one)] == log
    assert found[0].before == chain.start(FACTS).hex()
    assert [one.begins for one in found] == [True, False, False, False]
    assert chain_at(found, FACTS, 6) == _hash(log[:6])
    assert chain_at(found, FACTS, 5) is None
    assert newest(segs)[FACTS] == found[-1]


def _hash(log: list[Stored]) -> bytes:
    found = chain.start(FACTS)
    for one in log:
        found = chain.link(found, one)
    return found


async def test_a_segment_ends_where_a_batch_does(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    await cut_all(nc, tmp_path / "segs", most=2)

    assert spans(tmp_path / "segs") == [(1, 4), (5, 6), (7, 7)]
    assert spans(tmp_path / "segs", AUDIT) == [(1, 2), (3, 4), (5, 6), (7, 8)]


async def test_a_file_that_is_there_never_changes(nc: Client, tmp_path: Path) -> None:
    segs = tmp_path / "segs"
    await tell(nc, ACME[:2])
    await cut_all(nc, segs)
    before = _bytes(segs)
    await tell(nc, ACME[2:])
    await cut_all(nc, segs)
    after = _bytes(segs)

    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * len(before) == 8


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_log_is_restored_from_its_segments(
    nc: Client, other: Client, tmp_path: Path
) -> None:
    await tell(nc)
    await cut_all(nc, tmp_path / "segs", most=2)
    report = await put_back(other, tmp_path / "segs")

    assert content(await held(other)) == content(await held(nc))
    assert report.seqs == {FACTS: FACTS_TOLD, AUDIT: 8}


async def test_what_a_killed_process_left_is_no_segment(nc: Client, tmp_path: Path) -> None:
    segs = tmp_path / "segs"
    await tell(nc, ACME[:2])
    await cut_all(nc, segs)
    (segs / FACTS / "next.part").write_bytes(b"half")
    (segs / FACTS / ".x.json.1.part").write_bytes(b"half")
    (segs / FACTS / f"{manifests(segs)[-1].name}.json").unlink()
    await cut_all(nc, segs)

    assert spans(segs) == [(1, 4)]
    assert sorted(path.suffix for path in (segs / FACTS).iterdir()) == [".gz", ".json"]


async def test_the_segments_of_another_log_are_left_alone(
    nc: Client, other: Client, tmp_path: Path
) -> None:
    segs = tmp_path / "segs"
    await tell(nc)
    await cut_all(nc, segs)
    before = _bytes(segs)
    await put_back(other, segs)
    with pytest.raises(ForeignSegments, match=r"of another log .* name an empty directory"):
        await cutters(other, segs)

    assert _bytes(segs) == before


async def test_a_log_that_was_put_back_from_a_copy_is_noticed(
    servers: Servers, tmp_path: Path
) -> None:
    segs = tmp_path / "segs"
    async with connected(servers.url) as nc:
        await tell(nc, ACME[:2])
        await cut_all(nc, segs)
        last = manifests(segs)[-1]
        path = segs / FACTS / f"{last.name}.json"
        path.write_text(path.read_text().replace(last.last_id, "another"))
        with pytest.raises(HistoryChanged, match="another message at sequence 4"):
            await cutters(nc, segs)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("flip", "is not as it was written"),
        ("cut", "is not as it was written"),
        ("no messages", "is missing"),
        ("no manifest", "does not follow sequence 1 of MODELOG"),
        ("manifest", "is damaged"),
        ("moved", "is not at its place"),
        ("other", "is of another log"),
    ],
)
async def test_damaged_segments_are_refused(
    what: str, told: str, nc: Client, tmp_path: Path
) -> None:
    segs = tmp_path / "segs"
    for place in range(len(ACME)):
        await tell(nc, ACME[place : place + 1])
        await cut_all(nc, segs)
    await asyncio.to_thread(_damage, what, segs)
    with pytest.raises(BadArchive, match=told) as refused:
        examined([segs], silent)

    assert "put back another copy of the segments" in str(refused.value)


def _damage(what: str, segs: Path) -> None:
    second = manifests(segs)[1]
    path = messages_of(segs, second)
    manifest = path.with_name(f"{second.name}.json")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    match what:
        case "flip":
            path.write_bytes(raw)
        case "cut":
            path.write_bytes(raw[:-20])
        case "no messages":
            path.unlink()
        case "no manifest":
            manifest.unlink()
        case "manifest":
            manifest.write_text(manifest.read_text()[:40])
        case "moved":
            manifest.rename(manifest.with_name("0.json"))
        case _:
            manifest.write_text(manifest.read_text().replace(second.epoch, "e"))


def test_a_directory_without_segments_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match="holds no segments"):
        examined([tmp_path], silent)


async def test_audit_that_aged_before_it_was_cut_begins_a_chain_anew(
    nc: Client, other: Client, tmp_path: Path
) -> None:
    segs = tmp_path / "segs"
    await _aging(nc, 1)
    await tell(nc, ACME[:2])
    await cut_all(nc, segs)
    for stream in STREAMS:
        await ask(nc, f"STREAM.DELETE.{stream}")
    await _aging(nc, 20)
    await tell(nc, ACME)
    await asyncio.to_thread(_forget_facts, segs)
    await cut_all(nc, segs)
    await put_back(other, segs)

    assert spans(segs, AUDIT) == [(1, 4), (20, 27)]
    assert [one.seq for one in (await held(other))[AUDIT]] == list(range(20, 28))


async def _aging(nc: Client, first: int) -> None:
    await ask(nc, f"STREAM.CREATE.{FACTS}", facts_request("e", "i"))
    await ask(nc, f"STREAM.CREATE.{AUDIT}", audit_request("e") | {"first_seq": first})


def _forget_facts(segs: Path) -> None:
    for path in (segs / FACTS).iterdir():
        path.unlink()


async def test_segments_and_backups_go_together(nc: Client, tmp_path: Path) -> None:
    """What came behind the last segment may be in a backup."""
    segs, path = tmp_path / "segs", tmp_path / "log.gz"
    archived(path, audit=audit_events(1, 5), installation="i")
    await put_back(nc, path)
    await cut_all(nc, segs)
    archived(path, audit=audit_events(1, 9), installation="i")

    assert examined([segs, path], silent).strands[AUDIT].seq == 9


@pytest.mark.parametrize(("most", "found"), [(4, [(1, 4)]), (5, []), (1, [(1, 1), (2, 4)])])
async def test_a_segment_is_cut_when_there_is_enough(
    most: int, found: list[tuple[int, int]], nc: Client, tmp_path: Path
) -> None:
    segs, clock = tmp_path / "segs", ManualClock()
    await ensure(nc, audit_max_age=None, monitor_url=None)
    async with cutting(nc, segs, clock, most=most):
        await tell(nc, ACME[:1])
        await until(lambda: bool(spans(segs, AUDIT)) and bool(spans(segs)))  # the first at once
        first = spans(segs)
        await tell(nc, ACME[1:2])
        if not found:
            await asyncio.sleep(0.1)
        await until(lambda: len(spans(segs)) >= len(found))

    assert first[0][0] == 1
    assert all(last <= 4 for _, last in spans(segs))
    if most == 5:
        assert spans(segs) == [(1, 1)]


async def test_a_segment_is_cut_when_it_is_time(nc: Client, tmp_path: Path) -> None:
    segs, clock = tmp_path / "segs", ManualClock()
    await tell(nc, ACME[:1])
    async with cutting(nc, segs, clock):
        await until(lambda: spans(segs) == [(1, 1)])
        await tell(nc, ACME[1:])
        clock.advance(seconds=899)
        await asyncio.sleep(0.1)
        early = spans(segs)
        clock.advance(seconds=2)
        await until(lambda: spans(segs) == [(1, 1), (2, 7)])

    assert early == [(1, 1)]


async def test_a_directory_is_written_by_one_alone(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    with DataDirectory(tmp_path).lock(), pytest.raises(ForeignSegments, match="is written by"):
        await segment(nc, tmp_path, Clock())


async def test_what_stops_the_segments_stops_the_block(nc: Client, tmp_path: Path) -> None:
    await tell(nc)

    async def work() -> None:
        async with segmenting(nc, tmp_path, Clock()):
            await asyncio.Event().wait()

    with DataDirectory(tmp_path).lock(), pytest.raises(ForeignSegments):
        await asyncio.wait_for(work(), 10)


async def test_a_disk_that_fails_is_tried_again(nc: Client, tmp_path: Path) -> None:
    segs, clock = tmp_path / "segs", ManualClock()
    await tell(nc)
    segs.mkdir()
    (segs / FACTS).write_text("in the way")
    async with cutting(nc, segs, clock):
        await until(lambda: bool(spans(segs, AUDIT)))
        (segs / FACTS).unlink()
        await until(lambda: spans(segs) == [(1, 7)])


class cutting:  # noqa: N801 - a block
    """Segments are cut within the block."""

    def __init__(self, nc: Client, folder: Path, clock: Clock, most: int = 1000) -> None:
        self._work = segment(nc, folder, clock, most=most, look_seconds=0.02)

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._work)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.mark.process
async def test_the_projector_writes_segments(servers: Servers, tmp_path: Path) -> None:
    async with connected(servers.url) as nc:
        await tell(nc)
    env = {"MODELOG_NATS_URL": servers.url}
    run = ("run", "projector", "--segments", "segs")
    async with spawned(tmp_path, *run, env=env) as process:
        await process.line("segment", "stream=MODELOG ", "last=7")
        await process.line("ready")
        assert await process.stop() == 0
    refused = await asyncio.to_thread(
        modelog, "run", "refresher", "--segments", "segs", cwd=tmp_path, env=env
    )

    assert spans(tmp_path / "segs") == [(1, 7)]
    assert (refused.code, refused.err) == (2, "--segments: only the projector writes segments\n")
