"""Backup and restore: what was in the log comes back, or nothing does."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from events.envelope import Stored
from events.subjects import AUDIT, FACTS, STREAMS
from services.directory import DataDirectory
from services.jetstream import archive, lines
from services.jetstream.api import NoStream, ask, stream_info
from services.jetstream.append import Log
from services.jetstream.archive import BadArchive, Exists
from services.jetstream.backup import BeyondLog
from services.jetstream.messages import info
from services.jetstream.restore import NotRestored, restore
from services.jetstream.setup import HalfRestored, ensure
from services.jetstream.sources import examined
from services.jetstream.strand import OutOfOrder, Strand
from services.jetstream.streams import audit as audit_request
from services.jetstream.streams import facts as facts_request
from services.projector.replay import replay
from tests.support.archives import (
    archived,
    audit_events,
    batches,
    content,
    held,
    lines_of,
    packed,
    put_back,
    saved,
    silent,
)
from tests.support.catalogues import rows
from tests.support.cli import modelog, on_terminal
from tests.support.logs import ACME, FACTS_TOLD, sealed, stored_log, tell
from tests.support.nats import Servers, connected, running, until
from tests.support.processes import spawned
from tests.support.shelf import FACTS as SHELF
from tests.support.shelf import OPERATIONS

pytestmark = pytest.mark.nats

ODD = b"\xff\x00not text"
"""A payload that is no UTF-8: a backup keeps what is there."""


async def lived(nc: Client, *, odd: bool = True) -> None:
    """Fill the log: with two providers, batches, single audit events, and an odd one."""
    await tell(nc)
    log = await Log.open(nc)
    for family in ("provider", "model"):
        for provider in ("openai", "router"):
            facts = [
                one
                for one in SHELF
                if one.provider == provider
                and type(one).__name__.startswith("Provider") == (family == "provider")
            ]
            expected = await log.last(family, provider)
            await log.append(
                sealed(facts, "run"), family=family, provider=provider, expected=expected
            )
    await log.record(sealed(OPERATIONS))
    if odd:
        await nc.request("audit.odd", ODD, headers={"Nats-Msg-Id": "odd"})


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Client]:
    """A connection to a second server, which is empty."""
    async with running(tmp_path / "other") as server, connected(server.url) as nc:
        yield nc


async def test_what_was_backed_up_is_restored(nc: Client, other: Client, tmp_path: Path) -> None:
    await lived(nc)
    before = await held(nc)
    report = await saved(nc, tmp_path / "log.gz")
    restored = await put_back(other, tmp_path / "log.gz")
    after = await held(other)

    assert content(after) == content(before)
    assert batches(after[FACTS]) == batches(before[FACTS])
    assert set(batches(after[AUDIT])) >= set(batches(before[AUDIT]))
    assert report.events == restored.events == sum(map(len, before.values()))
    was, is_ = await info(nc, FACTS), await info(other, FACTS)
    assert is_.installation == was.installation
    assert is_.epoch == restored.epoch != was.epoch
    assert (await info(other, AUDIT)).epoch == restored.epoch


async def test_a_restored_log_is_one_like_any_other(
    nc: Client, other: Client, tmp_path: Path
) -> None:
    await lived(nc)
    await saved(nc, tmp_path / "log.gz")
    heard: list[str] = []

    async def hear(msg: object) -> None:
        heard.append(msg.subject)  # type: ignore[attr-defined]  # a message

    await other.subscribe("modelog.>", cb=hear)
    await put_back(other, tmp_path / "log.gz")
    quiet = list(heard)
    made = [(await stream_info(one, FACTS))["config"] for one in (nc, other)]
    for config in made:
        config["metadata"] = dict.fromkeys(config["metadata"])
        config.pop("first_seq", None)
    report = await ensure(other, audit_max_age=None, monitor_url=None)
    await tell(other, [("provider", ACME[0][1])])
    await until(lambda: len(heard) == 3)

    assert quiet == []
    assert made[0] == made[1]
    assert set(report.streams.values()) == {"checked"}


async def test_a_restored_log_makes_the_same_catalogue(
    nc: Client, other: Client, tmp_path: Path
) -> None:
    await lived(nc, odd=False)
    await saved(nc, tmp_path / "log.gz")
    await put_back(other, tmp_path / "log.gz")
    for until_, name in ((1 << 40, "all"), (5, "then")):
        for client in (nc, other):
            path = tmp_path / f"{name}-{client is nc}.db"
            await replay(client, path, until_, silent)
        both = [rows(tmp_path / f"{name}-{one}.db") for one in (True, False)]
        for found in both:
            found.pop("checkpoint", None)

        assert both[0] == both[1]


async def test_a_backup_of_a_restored_log_is_the_same_again(
    nc: Client, other: Client, tmp_path: Path
) -> None:
    await lived(nc)
    await saved(nc, tmp_path / "log.gz")
    await put_back(other, tmp_path / "log.gz")
    await saved(other, tmp_path / "again.gz")
    ends = [lines.decode(lines_of(tmp_path / name)[-1]) for name in ("log.gz", "again.gz")]
    hashes = [one.hashes for one in ends if isinstance(one, lines.End)]

    assert hashes[0] == hashes[1]
    assert content(_read(tmp_path / "log.gz")) == content(_read(tmp_path / "again.gz"))


def _read(path: Path) -> dict[str, list[Stored]]:
    found: dict[str, list[Stored]] = {stream: [] for stream in STREAMS}
    for stream, stored in archive.events(path):
        found[stream].append(stored)
    return found


@pytest.fixture
async def three(nc: Client, tmp_path: Path) -> list[Path]:
    """A backup and two that go on from it; the log is then longer still by none."""
    paths = [tmp_path / name for name in ("full.gz", "then.gz", "last.gz")]
    since = 0
    for number, path in enumerate(paths):
        await tell(nc, ACME[number : number + (2 if number == len(paths) - 1 else 1)])
        report = await saved(nc, path, since)
        since = report.extents[FACTS].last
    return paths


async def test_backups_that_go_on_from_another_are_restored_in_order(
    nc: Client, other: Client, three: list[Path]
) -> None:
    report = await put_back(other, *three)

    assert content(await held(other)) == content(await held(nc))
    assert report.seqs == {FACTS: FACTS_TOLD, AUDIT: 8}


async def test_an_incremental_holds_the_new_facts_alone(three: list[Path]) -> None:
    assert [[one.seq for one in _read(path)[FACTS]] for path in three] == [
        [1],
        [2, 3, 4],
        [5, 6, 7],
    ]


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ([1], "then.gz: is not the first one: it begins behind sequence 1"),
        ([0, 2], "last.gz: does not continue"),
        ([0, 2, 1], "last.gz: does not continue"),
        ([2, 1, 0], "last.gz: is not the first one"),
    ],
)
async def test_a_backup_that_does_not_go_on_is_refused(
    order: list[int], told: str, three: list[Path]
) -> None:
    with pytest.raises(BadArchive, match=told):
        examined([three[place] for place in order], silent)


async def test_a_backup_given_twice_is_restored_once(
    nc: Client, other: Client, three: list[Path]
) -> None:
    await put_back(other, three[0], three[0], three[1], three[0], three[2])

    assert content(await held(other)) == content(await held(nc))


async def test_an_incremental_of_another_history_is_refused(
    nc: Client, other: Client, tmp_path: Path
) -> None:
    """A log that was restored, twice, and went on differently: one installation, two histories."""
    await tell(nc, ACME[:1])
    await saved(nc, tmp_path / "full.gz")
    await put_back(other, tmp_path / "full.gz")
    for client, name in ((nc, "ours"), (other, "theirs")):
        await tell(client, ACME[1:2])
        await saved(client, tmp_path / f"{name}.gz", since=1)
        await saved(client, tmp_path / f"{name}-all.gz")
        await tell(client, ACME[2:])
        await saved(client, tmp_path / f"{name}-last.gz", since=4)

    with pytest.raises(BadArchive, match=r"has another history than .* at sequence 4 of MODELOG"):
        examined([tmp_path / f"{name}.gz" for name in ("full", "ours", "theirs-last")], silent)
    with pytest.raises(BadArchive, match="has another history than"):
        examined([tmp_path / f"{name}.gz" for name in ("ours-all", "theirs-all")], silent)


async def test_a_backup_ends_where_the_log_did_when_it_began(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    more = asyncio.create_task(_append(nc))
    found: list[dict[str, list[Stored]]] = []
    for number in range(10):
        await saved(nc, tmp_path / f"{number}.gz")
        found.append(_read(tmp_path / f"{number}.gz"))
    more.cancel()
    await asyncio.wait([more])
    everything = content(await held(nc))

    for one in found:
        for stream in STREAMS:
            assert content(one)[stream] == everything[stream][: len(one[stream])]
        assert batches(one[FACTS])[-1] == one[FACTS][-1].seq
    assert len(found[-1][FACTS]) > len(found[0][FACTS])


async def _append(nc: Client) -> None:
    for number in itertools.count():
        facts = [one for _, told in ACME[1:] for one in told] * 20
        log = await Log.open(nc)
        expected = await log.last("model", "acme")
        await log.append(
            sealed(facts, f"r{number}"), family="model", provider="acme", expected=expected
        )
        await log.record(sealed(OPERATIONS))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a small log, made once."""
    folder = tmp_path_factory.mktemp("whole")

    async def make() -> None:
        stored = DataDirectory(folder / "d").nats_store
        async with running(stored) as server, connected(server.url) as nc:
            await lived(nc)
            await saved(nc, folder / "log.gz")

    asyncio.run(make())
    return folder / "log.gz"


def refusal(path: Path) -> str:
    """Return why *path* is refused."""
    with pytest.raises(BadArchive) as refused:
        examined([path], silent)
    told = str(refused.value)
    assert str(path) in told
    assert "\n" not in told
    return told


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.06975666410150283, bit=2)  # a hash that is no hexadecimal number any more
@example(place=0.0, bit=0)
@example(place=0.001, bit=7)
def test_a_flipped_bit_is_found(place: float, bit: int, whole: Path, tmp_path: Path) -> None:
    raw = bytearray(whole.read_bytes())
    raw[int(place * len(raw))] ^= 1 << bit
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(raw)
    try:
        examined([damaged], silent)
    except BadArchive:
        return
    with gzip.open(damaged) as file:  # a bit of the padding, which means nothing
        assert file.readlines() == lines_of(whole)


@pytest.mark.parametrize("size", [0, 1, 10, 500, -9, -1])
def test_a_file_that_is_cut_off_is_refused(size: int, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(whole.read_bytes()[:size])

    refusal(tmp_path / "cut.gz")


def test_a_file_that_ends_at_any_line_is_refused(whole: Path, tmp_path: Path) -> None:
    found = lines_of(whole)
    for count in range(len(found)):
        refusal(packed(tmp_path / "cut.gz", found[:count]))


def test_two_lines_that_are_exchanged_are_found(whole: Path, tmp_path: Path) -> None:
    found = lines_of(whole)
    for one, two in itertools.combinations(range(len(found)), 2):
        if (one + two) % 3 == 0 or two == one + 1:  # a third of them, and all neighbours
            moved = list(found)
            moved[one], moved[two] = found[two], found[one]
            refusal(packed(tmp_path / "moved.gz", moved))


def test_a_line_that_is_missing_or_doubled_is_found(whole: Path, tmp_path: Path) -> None:
    found = lines_of(whole)
    for place in range(len(found)):
        refusal(packed(tmp_path / "missing.gz", found[:place] + found[place + 1 :]))
        refusal(packed(tmp_path / "doubled.gz", found[: place + 1] + found[place:]))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'"acme"', b'"acmf"', "do not add up"),
        (b'"Nats-Batch-Id"', b'"Nats-Batch-Ix"', "torn|no end|not as they were"),
        (b"gpt-4=2E1", b"gpt-4=2E2", "do not add up"),
        (b"recorded", b"recordex", "line 2 is damaged"),
        (b'"seq":3', b'"seq":4', "line 4 is out of order or damaged: sequence 4 of MODELOG"),
        (b"Expected-Stream", b"Expected-Strean", "lines are not as they were written"),
        (b'"stream":"MODELOG"', b'"stream":"MODELOH"', "line 1 does not name our streams"),
        (b'"version":1', b'"version":2', "format version 2.*upgrade"),
        (b'"modelog-log"', b'"modelog-lag"', "no backup of modelog"),
    ],
)
def test_a_change_within_is_found(
    old: bytes, new: bytes, told: str, whole: Path, tmp_path: Path
) -> None:
    text = b"".join(lines_of(whole)).replace(old, new, 1)
    changed = packed(tmp_path / "changed.gz", text.splitlines(keepends=True))

    with pytest.raises(BadArchive, match=told):
        examined([changed], silent)


def test_the_hash_every_few_messages_names_the_place(tmp_path: Path) -> None:
    path = archived(tmp_path / "log.gz", audit=audit_events(1, 35))
    text = b"".join(lines_of(path)).replace(b'"payload":"{}"', b'"payload":"[]"', 13)
    text = text.replace(b'"payload":"[]"', b'"payload":"{}"', 12)

    told = refusal(packed(tmp_path / "changed.gz", text.splitlines(keepends=True)))

    assert "line 23: the hash at MODELOG_AUDIT 20 differs" in told


@pytest.mark.parametrize(
    "raw",
    [b"", b"text", gzip.compress(b"text\n", mtime=0), gzip.compress(b"{}\n", mtime=0)],
    ids=["empty", "text", "packed text", "packed JSON"],
)
def test_another_file_is_no_backup(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(raw)

    assert "nothing was restored" in refusal(tmp_path / "file")


def test_a_backup_of_another_installation_is_refused(whole: Path, tmp_path: Path) -> None:
    foreign = archived(tmp_path / "foreign.gz", installation="another")

    with pytest.raises(BadArchive, match="is of another installation"):
        examined([whole, foreign], silent)


async def test_what_has_aged_is_not_missed(nc: Client, tmp_path: Path) -> None:
    """The audit stream of the restored log begins where the newest of the backups could."""
    full = archived(tmp_path / "full.gz", audit=audit_events(5, 12), after=4)
    later = archived(tmp_path / "later.gz", audit=audit_events(21, 30), after=20)
    await put_back(nc, full, later)
    found = await held(nc)

    assert [one.seq for one in found[AUDIT]] == list(range(21, 31))
    assert (await info(nc, AUDIT)).first_seq == 21


async def test_audit_that_had_not_aged_is_missed(tmp_path: Path) -> None:
    full = archived(tmp_path / "full.gz", audit=audit_events(1, 12))
    later = archived(tmp_path / "later.gz", audit=audit_events(21, 30), after=20, anchor="00")

    with pytest.raises(BadArchive, match=r"does not continue .* MODELOG_AUDIT ends at 12"):
        examined([full, later], silent)


async def test_an_aged_audit_stream_keeps_its_sequences(
    nc: Client, other: Client, tmp_path: Path
) -> None:
    await ask(nc, f"STREAM.CREATE.{FACTS}", facts_request("e", "i"))
    await ask(nc, f"STREAM.CREATE.{AUDIT}", audit_request("e") | {"first_seq": 100})
    await tell(nc)
    await saved(nc, tmp_path / "log.gz")
    await put_back(other, tmp_path / "log.gz")

    assert (await held(other))[AUDIT][0].seq == 100
    assert content(await held(other)) == content(await held(nc))


async def test_a_log_without_events_is_restored_too(
    nc: Client, other: Client, tmp_path: Path
) -> None:
    await ensure(nc, audit_max_age=None, monitor_url=None)
    await saved(nc, tmp_path / "log.gz")
    await ensure(other, audit_max_age=None, monitor_url=None)
    report = await put_back(other, tmp_path / "log.gz")

    assert report.events == 0
    assert (await info(other, FACTS)).installation == (await info(nc, FACTS)).installation


async def test_an_id_that_came_again_after_years_is_restored(nc: Client, tmp_path: Path) -> None:
    path = archived(tmp_path / "log.gz", audit=audit_events(1, 12, ids=5))
    await put_back(nc, path)

    assert content({AUDIT: (await held(nc))[AUDIT]}) == content({AUDIT: _read(path)[AUDIT]})


async def test_a_batch_whose_beginning_has_aged_is_restored(nc: Client, tmp_path: Path) -> None:
    rest = [
        one._replace(headers={**one.headers, "Nats-Batch-Id": "b", "Nats-Batch-Sequence": place})
        for one, place in zip(audit_events(8, 10), ("3", "4", "5"), strict=True)
    ]
    rest[-1].headers["Nats-Batch-Commit"] = "1"  # type: ignore[index]  # a dict
    await put_back(nc, archived(tmp_path / "log.gz", audit=rest, after=7))

    assert [one.headers["Nats-Batch-Sequence"] for one in (await held(nc))[AUDIT]] == [
        "1",
        "2",
        "3",
    ]


async def test_a_log_that_is_not_empty_is_left_alone(
    nc: Client, other: Client, tmp_path: Path
) -> None:
    for client in (nc, other):
        await tell(client, ACME[:1])
    await saved(nc, tmp_path / "log.gz")
    before = await held(other)
    with pytest.raises(NotRestored, match="the log at here is not empty; restore into an empty"):
        await put_back(other, tmp_path / "log.gz")

    assert content(await held(other)) == content(before)


async def test_somebody_else_who_writes_stops_a_restore(nc: Client, tmp_path: Path) -> None:
    path = archived(tmp_path / "log.gz", audit=audit_events(1, 3000))
    plan = examined([path], silent)
    original = plan.sources[0].events
    meddled = asyncio.Event()

    def slow() -> Iterator[tuple[str, Stored]]:
        for place, one in enumerate(original()):
            if place == 1500:
                meddled.set()
            yield one

    source = plan.sources[0]._replace(events=slow)

    async def meddle() -> None:
        await meddled.wait()
        await nc.publish("audit.meddled", b"")

    task = asyncio.create_task(meddle())
    with pytest.raises(NotRestored, match="somebody else wrote to MODELOG_AUDIT"):
        await restore(nc, plan._replace(sources=[source]), where="here", advance=silent)
    await task


def test_a_torn_batch_is_not_backed_up() -> None:
    strand = Strand(AUDIT)
    torn = [
        one._replace(headers={**one.headers, "Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1"})
        for one in audit_events(1, 1)
    ]
    strand.take(torn[0])

    with pytest.raises(OutOfOrder, match="a batch of MODELOG_AUDIT has no end before sequence 2"):
        strand.take(audit_events(2, 2)[0])


async def test_a_file_is_overwritten_only_when_asked(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    (tmp_path / "log.gz").write_text("precious")
    with pytest.raises(Exists, match="--force"):
        await saved(nc, tmp_path / "log.gz")
    with pytest.raises(BeyondLog, match="the log ends at sequence 7"):
        await saved(nc, tmp_path / "none.gz", since=8)

    assert _files(tmp_path) == ["log.gz", "nats"]


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_backup_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> None:
        with archive.written(tmp_path / "log.gz") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert list(tmp_path.iterdir()) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payload=st.binary(max_size=40) | st.text(max_size=20).map(str.encode),
    recorded_ns=st.integers(0, 1 << 62),
    headers=st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8)),
)
def test_a_message_comes_back_from_its_line_as_it_was(
    payload: bytes, recorded_ns: int, headers: dict[str, str]
) -> None:
    stored = Stored(7, "log.x", recorded_ns, headers, payload)
    raw = lines.encode(lines.event(FACTS, stored))

    assert raw.count(b"\n") == 1
    assert lines.message(raw, FACTS) == stored


@pytest.mark.process
def test_the_command_line_backs_up_and_restores(tmp_path: Path) -> None:
    stored_log(tmp_path / ".modelog")
    full = modelog("backup", "full.gz", cwd=tmp_path)
    part = modelog("backup", "part.gz", "--since", 4, cwd=tmp_path)
    again = modelog("backup", "full.gz", cwd=tmp_path)
    beyond = modelog("backup", "none.gz", "--since", 99, cwd=tmp_path)
    restored = modelog("restore", "full.gz", "part.gz", "--data", "new", cwd=tmp_path)
    twice = modelog("restore", "full.gz", "--data", "new", cwd=tmp_path)
    replayed = modelog("replay", "--to", "was.db", "--data", "new", cwd=tmp_path)

    assert (full.code, full.err) == (0, "")
    assert full.out.startswith("full.gz: 15 events in ")
    assert full.out.endswith(", facts 1 to 7, audit 1 to 8; the next one: --since 7\n")
    assert "facts 5 to 7" in part.out
    assert (again.code, again.out) == (1, "")
    assert "full.gz exists" in again.err
    assert (beyond.code, "ends at sequence 7" in beyond.err) == (3, True)
    assert (restored.code, restored.err) == (0, "")
    assert "15 events in" in restored.out
    assert "facts up to 7, audit up to 8" in restored.out
    assert (twice.code, twice.out) == (1, "")
    assert "new/nats is not empty; restore into an empty directory with --data" in twice.err
    assert replayed.code == 0


@pytest.mark.process
def test_a_damaged_file_leaves_no_trace(whole: Path, tmp_path: Path) -> None:
    raw = bytearray(whole.read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "log.gz").write_bytes(raw)
    answer = modelog("restore", "log.gz", cwd=tmp_path)
    absent = modelog("restore", "none.gz", cwd=tmp_path)

    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert answer.err.startswith("log.gz: ")
    assert "take another copy of it" in answer.err
    assert (absent.code, absent.err) == (1, "none.gz: No such file or directory\n")
    assert [path.name for path in tmp_path.iterdir()] == ["log.gz"]


@pytest.mark.process
def test_progress_is_shown_on_a_terminal(whole: Path, tmp_path: Path) -> None:
    screen = on_terminal("restore", str(whole), cwd=tmp_path)

    assert screen.code == 0
    assert "the catalogue follows with `modelog up`" in " ".join(screen.lines)


@pytest.mark.process
async def test_a_restore_that_was_killed_is_told_from_a_whole_log(
    servers: Servers, tmp_path: Path
) -> None:
    archived(tmp_path / "log.gz", audit=audit_events(1, 20_000))
    env = {"MODELOG_NATS_URL": servers.url}
    async with (
        spawned(tmp_path, "restore", "log.gz", env=env) as process,
        connected(servers.url) as nc,
    ):
        await _begun(nc)
        await process.kill()
        reached = (await info(nc, AUDIT)).last_seq
        with pytest.raises(HalfRestored, match="a restore did not come to its end"):
            await ensure(nc, audit_max_age=None, monitor_url=None)
    again = await asyncio.to_thread(modelog, "restore", "log.gz", cwd=tmp_path, env=env)

    assert 0 < reached < 20_000
    assert again.code == 1
    assert "is not empty: a restore into it did not come to its end" in again.err
    assert "delete that log, or restore into an empty directory with --data" in again.err


async def _begun(nc: Client) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(NoStream):
                if (await info(nc, AUDIT)).last_seq:
                    return
            await asyncio.sleep(0.01)
