"""Verify beside segments: what the log no longer is, by segment and sequence."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from nats.aio.client import Client

from events.subjects import AUDIT, FACTS, STREAMS
from services.jetstream.api import ask, stream_info
from services.jetstream.cutting import cutters
from services.jetstream.segments import Manifest, messages_of, read_segments
from services.jetstream.server import Server
from services.projector.verify import Report, verify
from tests.support.archives import AT
from tests.support.cli import modelog
from tests.support.logs import FACTS_TOLD, tell

pytestmark = pytest.mark.nats


async def cut(nc: Client, folder: Path) -> list[Manifest]:
    for cutter in await cutters(nc, folder):
        while await cutter.pending():
            await cutter.cut(AT, 3)
    return list(read_segments(folder))


async def verified(nc: Client, folder: Path, segments: Path) -> Report:
    (folder / "data").mkdir(exist_ok=True)
    link = folder / "data" / "catalogue.db"
    return await verify(nc, link, link.parent, lambda _done, _total: None, segments)


def found(report: Report) -> list[tuple[str | None, int | None, str | None]]:
    return [
        (one.stream, one.seq, None if one.key is None else str(one.key["segment"]))
        for one in report.findings
        if one.kind == "segment"
    ]


async def test_segments_that_the_log_still_is(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    manifests = await cut(nc, tmp_path / "segs")
    report = await verified(nc, tmp_path, tmp_path / "segs")

    assert (report.findings, report.segments) == ([], len(manifests))


async def forged(nc: Client, seq: int) -> None:
    """Put the log back with another payload at *seq*: same sequences, same ids."""
    config = (await stream_info(nc, FACTS))["config"]
    held = [await nc.jetstream().get_msg(FACTS, one) for one in range(1, FACTS_TOLD + 1)]
    await ask(nc, f"STREAM.DELETE.{FACTS}")
    plain = {key: value for key, value in config.items() if key != "republish"}
    await ask(nc, f"STREAM.CREATE.{FACTS}", plain | {"subjects": config["subjects"]})
    for one in held:
        payload = (one.data or b"").replace(b"acme", b"acne") if one.seq == seq else one.data
        headers = {
            key: value
            for key, value in (one.headers or {}).items()
            if not key.lower().startswith("nats-batch") and "Expected" not in key
        }
        await nc.jetstream().publish(one.subject or "", payload or b"", headers=headers)


async def test_a_forged_message_is_named_with_its_segment(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    manifests = await cut(nc, tmp_path / "segs")
    seq = FACTS_TOLD - 1
    await forged(nc, seq)
    report = await verified(nc, tmp_path, tmp_path / "segs")
    (there,) = [one for one in manifests if one.stream == FACTS and one.first <= seq <= one.last]

    assert found(report) == [(FACTS, seq, there.name)]
    assert "modelog restore" in report.findings[-1].remedy


async def test_a_log_that_lost_its_end_is_told(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    await cut(nc, tmp_path / "segs")
    config = (await stream_info(nc, FACTS))["config"]
    await ask(nc, f"STREAM.DELETE.{FACTS}")
    await ask(nc, f"STREAM.CREATE.{FACTS}", config)
    report = await verified(nc, tmp_path, tmp_path / "segs")

    assert [(stream, seq) for stream, seq, _ in found(report)] == [(FACTS, 1)]


async def test_a_sequence_that_is_gone_is_told(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    await cut(nc, tmp_path / "segs")
    config = (await stream_info(nc, AUDIT))["config"]
    await ask(nc, f"STREAM.DELETE.{AUDIT}")
    await ask(nc, f"STREAM.CREATE.{AUDIT}", config | {"deny_delete": False})
    for number in range(8):
        await nc.jetstream().publish(f"audit.x.{number}", b"{}")
    await ask(nc, f"STREAM.MSG.DELETE.{AUDIT}", {"seq": 3})
    report = await verified(nc, tmp_path, tmp_path / "segs")

    assert {stream for stream, _, _ in found(report)} == {AUDIT}
    assert found(report)[0][1] == 1


async def test_audit_that_has_aged_is_not_missed(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    manifests = await cut(nc, tmp_path / "segs")
    config = (await stream_info(nc, AUDIT))["config"]
    await ask(nc, f"STREAM.UPDATE.{AUDIT}", config | {"max_msgs": 2})
    report = await verified(nc, tmp_path, tmp_path / "segs")
    whole = [one for one in manifests if one.stream == FACTS or one.first >= 7]

    assert (found(report), report.segments) == ([], len(whole))


async def test_the_segments_of_another_log_are_told(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    await cut(nc, tmp_path / "segs")
    for stream in STREAMS:
        config = (await stream_info(nc, stream))["config"]
        metadata = config["metadata"] | {"modelog.epoch": "another"}
        await ask(nc, f"STREAM.UPDATE.{stream}", config | {"metadata": metadata})
    report = await verified(nc, tmp_path, tmp_path / "segs")

    assert [stream for stream, _, _ in found(report)] == list(STREAMS)
    assert all("another log" in one.message for one in report.findings)


async def test_damaged_segments_are_named(nc: Client, tmp_path: Path) -> None:
    await tell(nc)
    first, second, *_ = await cut(nc, tmp_path / "segs")
    path = messages_of(tmp_path / "segs", first)
    path.write_bytes(gzip.compress(b"other"))
    messages_of(tmp_path / "segs", second).unlink()
    damaged = await verified(nc, tmp_path, tmp_path / "segs")
    path.with_name(f"{first.name}.json").write_text("{")
    broken = await verified(nc, tmp_path, tmp_path / "segs")
    nothing = await verified(nc, tmp_path, tmp_path / "nowhere")

    assert [first.name in one.message for one in damaged.findings] == [True, False]
    assert second.name in damaged.findings[1].message
    assert len(broken.findings) == len(nothing.findings) == 1
    assert "holds no segment" in nothing.findings[0].message


@pytest.mark.process
async def test_the_command_compares_segments(
    nats_server: Server, nc: Client, tmp_path: Path
) -> None:
    await tell(nc)
    await cut(nc, tmp_path / "segs")
    env = {"MODELOG_NATS_URL": nats_server.url}
    same = modelog("verify", "--segments", "segs", cwd=tmp_path, env=env)
    (tmp_path / "none").mkdir()
    other = modelog("verify", "--segments", "none", "--json", cwd=tmp_path, env=env)

    assert (same.code, "segments have the same" in same.out) == (0, True)
    assert (other.code, other.json["ok"]) == (1, False)
