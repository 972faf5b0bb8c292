"""Streams and buckets: created once as the design says, afterwards only compared."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from events.subjects import AUDIT, FACTS, STREAMS
from services.jetstream.aging import outlived
from services.jetstream.api import ApiError, NoAnswer, ask
from services.jetstream.append import Log
from services.jetstream.drift import StreamDiffers, differences
from services.jetstream.server import Server, binary
from services.jetstream.setup import Report, SyncNotAlways, TooFewServers, ensure
from services.jetstream.streams import audit, bucket, facts
from tests.support.nats import cluster, connected, until

pytestmark = pytest.mark.nats

LEASES = "KV_modelog_lease"
STATE = "KV_modelog_state"
SNAPSHOTS = "OBJ_modelog_snapshots"
ALL = (*STREAMS, LEASES, STATE, SNAPSHOTS)
DAYS_400 = 400 * 86_400.0

ADDED_BY_THE_SERVER = {
    "allow_msg_ttl": False,
    "consumer_limits": {},
    "mirror_direct": False,
    "sealed": False,
}
GOLDEN: dict[str, dict[str, Any]] = {
    FACTS: {
        "name": "MODELOG",
        "subjects": ["log.>"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": 1,
        "discard": "new",
        "max_age": 0,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_bytes": -1,
        "max_consumers": -1,
        "max_msg_size": 262_144,
        "duplicate_window": 3_600_000_000_000,
        "compression": "s2",
        "deny_delete": True,
        "deny_purge": True,
        "allow_rollup_hdrs": False,
        "allow_direct": True,
        "allow_atomic": True,
        "republish": {"src": "log.>", "dest": "modelog.>"},
    },
    AUDIT: {
        "name": "MODELOG_AUDIT",
        "subjects": ["audit.>"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": 1,
        "discard": "old",
        "max_age": 34_560_000_000_000_000,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_bytes": -1,
        "max_consumers": -1,
        "max_msg_size": 65_536,
        "duplicate_window": 600_000_000_000,
        "compression": "s2",
        "deny_delete": True,
        "deny_purge": True,
        "allow_rollup_hdrs": False,
        "allow_direct": True,
        "allow_atomic": True,
        "republish": {"src": "audit.>", "dest": "modelog.audit.>"},
    },
}
BUCKET = {
    "retention": "limits",
    "storage": "file",
    "num_replicas": 1,
    "discard": "new",
    "max_age": 0,
    "max_msgs": -1,
    "max_msgs_per_subject": 1,
    "max_bytes": -1,
    "max_consumers": -1,
    "max_msg_size": -1,
    "duplicate_window": 120_000_000_000,
    "compression": "none",
    "deny_delete": True,
    "deny_purge": False,
    "allow_rollup_hdrs": True,
    "allow_direct": False,
    "allow_msg_ttl": True,
}


async def configured(nc: Client, stream: str) -> dict[str, Any]:
    config = (await ask(nc, f"STREAM.INFO.{stream}"))["config"]
    assert isinstance(config, dict)
    return config


async def init(nc: Client, **wishes: Any) -> Report:  # noqa: ANN401 - as `ensure` has them
    return await ensure(nc, **{"audit_max_age": DAYS_400, "monitor_url": None, **wishes})


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_stream_is_exactly_what_the_design_says(nc: Client, stream: str) -> None:
    report = await init(nc)
    config = await configured(nc, stream)
    metadata = config.pop("metadata")

    assert config == GOLDEN[stream] | ADDED_BY_THE_SERVER
    assert metadata["modelog.epoch"] == report.epoch
    assert metadata["modelog.schema"] == "1"
    assert metadata.get("modelog.installation") == (
        report.installation if stream == FACTS else None
    )


@pytest.mark.parametrize("name", ["modelog_lease", "modelog_state"])
async def test_a_bucket_keeps_one_value_a_key_each_with_its_own_life(nc: Client, name: str) -> None:
    await init(nc)
    config = await configured(nc, f"KV_{name}")
    config.pop("metadata")

    own = {"name": f"KV_{name}", "subjects": [f"$KV.{name}.>"]}
    assert config == BUCKET | own | ADDED_BY_THE_SERVER | {"allow_msg_ttl": True}


async def test_a_bucket_is_one_to_the_client_library(nc: Client) -> None:
    await init(nc)
    leases = await nc.jetstream().key_value("modelog_lease")
    revision = await leases.create("refresh.acme", b"me", msg_ttl=20)

    entry = await leases.get("refresh.acme")
    assert (entry.value, entry.revision) == (b"me", revision)


async def test_the_first_init_creates_everything(nats_server: Server, nc: Client) -> None:
    report = await init(nc, monitor_url=nats_server.monitor_url)

    assert report.streams == dict.fromkeys(ALL, "created")
    assert report.sync == "always"
    assert report.epoch != report.installation


async def test_every_later_init_changes_nothing(nc: Client) -> None:
    first = await init(nc)
    before = [await configured(nc, stream) for stream in ALL]
    second = await init(nc)
    applied = await init(nc, apply=True)

    assert second == applied == first._replace(streams=dict.fromkeys(ALL, "checked"))
    assert [await configured(nc, stream) for stream in ALL] == before


async def test_two_that_init_at_once_make_one_log(nats_server: Server) -> None:
    async with connected(nats_server.url) as one, connected(nats_server.url) as two:
        first, second = await asyncio.gather(init(one), init(two))

    assert (first.epoch, first.installation) == (second.epoch, second.installation)


async def test_without_a_monitor_syncing_is_unproven(nc: Client) -> None:
    assert (await init(nc)).sync == "unproven"
    assert (await init(nc, monitor_url="http://127.0.0.1:1")).sync == "unproven"


async def test_a_server_that_does_not_sync_is_refused(tmp_path: Path) -> None:
    settings = tmp_path / "lazy.conf"
    settings.write_text(
        'listen: "127.0.0.1:-1"\n'
        'http: "127.0.0.1:-1"\n'
        f'ports_file_dir: "{tmp_path}"\n'
        f'jetstream {{ store_dir: "{tmp_path}/store" }}\n'
    )
    process = await asyncio.create_subprocess_exec(
        binary(), "--config", settings, stderr=asyncio.subprocess.DEVNULL
    )
    file = tmp_path / f"nats-server_{process.pid}.ports"
    await until(lambda: file.exists() and file.read_text() != "")
    ports = json.loads(file.read_text())
    try:
        async with connected(ports["nats"][0]) as nc:
            with pytest.raises(SyncNotAlways, match="sync_interval: always"):
                await init(nc, monitor_url=ports["monitoring"][0])
            with pytest.raises(ApiError, match="not found"):
                await configured(nc, FACTS)
    finally:
        process.terminate()
        await process.wait()


DRIFT = [
    (FACTS, "duplicate_window", 120_000_000_000),
    (FACTS, "discard", "old"),
    (FACTS, "max_age", 86_400_000_000_000),
    (FACTS, "max_msg_size", 1_024),
    (FACTS, "compression", "none"),
    (FACTS, "republish", {"src": "log.>", "dest": "elsewhere.>"}),
    (FACTS, "republish", None),
    (FACTS, "subjects", ["log.>", "more.>"]),
    (FACTS, "allow_direct", False),
    (FACTS, "allow_atomic", False),
    (FACTS, "deny_purge", False),
    (FACTS, "max_msgs", 1_000),
    (FACTS, "max_msgs_per_subject", 1),
    (FACTS, "max_consumers", 3),
    (FACTS, "retention", "interest"),
    (FACTS, "storage", "memory"),
    (FACTS, "allow_rollup_hdrs", True),
    (FACTS, "allow_msg_ttl", True),
    (AUDIT, "max_age", 86_400_000_000_000),
    (AUDIT, "discard", "new"),
    (AUDIT, "duplicate_window", 120_000_000_000),
    (LEASES, "allow_direct", True),
    (LEASES, "max_msgs_per_subject", 5),
    (LEASES, "subject_delete_marker_ttl", 60_000_000_000),
    (STATE, "allow_msg_ttl", False),
]


@pytest.mark.parametrize(
    ("stream", "field", "value"),
    DRIFT,
    ids=[f"{stream}-{field}-{number}" for number, (stream, field, _) in enumerate(DRIFT)],
)
async def test_a_stream_that_differs_is_refused_by_field_and_left_alone(
    nc: Client, stream: str, field: str, value: object
) -> None:
    requests = {
        FACTS: facts("epoch", "installation"),
        AUDIT: audit("epoch", max_age=DAYS_400),
        LEASES: bucket("modelog_lease"),
        STATE: bucket("modelog_state"),
    }
    foreign = {**requests[stream], field: value}
    if field in {"deny_purge", "allow_rollup_hdrs"}:  # the server lets them exclude each other
        foreign["deny_purge"] = False
    await ask(nc, f"STREAM.CREATE.{stream}", foreign)
    before = await configured(nc, stream)

    with pytest.raises(StreamDiffers, match=f"stream {stream}: ") as caught:
        await init(nc)
    assert caught.value.field in {field, "deny_purge"}
    assert caught.value.field in str(caught.value)
    with pytest.raises(StreamDiffers):
        await ensure(nc, audit_max_age=DAYS_400 / 2, monitor_url=None)
    assert await configured(nc, stream) == before


async def test_a_stream_of_our_name_that_is_not_ours_is_refused(nc: Client) -> None:
    request = facts("epoch", "installation")
    await ask(nc, f"STREAM.CREATE.{FACTS}", request | {"metadata": {"modelog.schema": "1"}})

    with pytest.raises(StreamDiffers, match=r"metadata\.modelog\.epoch is unset"):
        await init(nc)


async def test_a_log_of_a_newer_schema_is_refused(nc: Client) -> None:
    request = facts("epoch", "installation")
    request["metadata"]["modelog.schema"] = "2"
    await ask(nc, f"STREAM.CREATE.{FACTS}", request)

    with pytest.raises(StreamDiffers, match=r'metadata\.modelog\.schema is "2", and must be "1"'):
        await init(nc)


async def test_a_foreign_stream_on_our_subjects_is_left_alone(nc: Client) -> None:
    await ask(nc, "STREAM.CREATE.THEIRS", {"name": "THEIRS", "subjects": ["log.theirs"]})
    before = await configured(nc, "THEIRS")

    with pytest.raises(ApiError, match=r"STREAM\.CREATE\.MODELOG: subjects overlap"):
        await init(nc)
    assert await configured(nc, "THEIRS") == before


async def test_a_limit_of_size_is_the_operators_choice(nc: Client) -> None:
    await init(nc)
    config = await configured(nc, FACTS)
    await ask(nc, f"STREAM.UPDATE.{FACTS}", config | {"max_bytes": 10_000_000})

    assert (await init(nc)).streams[FACTS] == "checked"
    assert (await configured(nc, FACTS))["max_bytes"] == 10_000_000


async def test_apply_changes_the_age_of_the_audit_stream(nc: Client) -> None:
    await init(nc)
    with pytest.raises(
        StreamDiffers,
        match="stream MODELOG_AUDIT: audit_max_age is 400d, and must be 1d; `modelog init --apply`",
    ):
        await init(nc, audit_max_age=86_400.0)
    report = await init(nc, audit_max_age=86_400.0, apply=True)

    assert report.streams[AUDIT] == "changed"
    assert (await configured(nc, AUDIT))["max_age"] == 86_400_000_000_000
    assert (await init(nc, audit_max_age=86_400.0)).streams[AUDIT] == "checked"


@pytest.mark.parametrize("forever", [None, 0])
async def test_the_audit_trail_may_be_kept_for_ever(nc: Client, forever: float | None) -> None:
    await init(nc, audit_max_age=forever)

    assert (await configured(nc, AUDIT))["max_age"] == 0


async def test_apply_changes_nothing_else(nc: Client) -> None:
    request = facts("epoch", "installation") | {"compression": "none"}
    await ask(nc, f"STREAM.CREATE.{FACTS}", request)

    with pytest.raises(StreamDiffers, match='compression is "none", and must be "s2"'):
        await init(nc, apply=True)
    assert (await configured(nc, FACTS))["compression"] == "none"


async def test_apply_keeps_what_is_stored(nc: Client) -> None:
    first = await init(nc)
    log = await Log.open(nc)
    second = await init(nc, audit_max_age=3_600.0, apply=True)

    assert (second.epoch, second.installation) == (first.epoch, first.installation)
    assert (log.epoch, log.installation) == (first.epoch, first.installation)


async def test_apply_changes_nothing_where_anything_else_differs(nc: Client) -> None:
    await init(nc)
    config = await configured(nc, STATE)
    await ask(nc, f"STREAM.UPDATE.{STATE}", config | {"max_msg_size": 1_024})
    before = [await configured(nc, stream) for stream in ALL]

    with pytest.raises(StreamDiffers, match=f"stream {STATE}: max_msg_size is 1024") as caught:
        await init(nc, audit_max_age=86_400.0, apply=True)
    assert [one.setting for one in caught.value.differences] == ["audit_max_age", "max_msg_size"]
    assert "(and 1 more); somebody changed it" in str(caught.value)
    assert [await configured(nc, stream) for stream in ALL] == before


async def test_a_server_alone_holds_one_replica(nc: Client) -> None:
    with pytest.raises(TooFewServers, match=r"3 replicas need .* lower `replicas` in \[nats\]"):
        await init(nc, replicas=3)
    with pytest.raises(ApiError, match="not found"):
        await configured(nc, FACTS)
    await init(nc)
    before = [await configured(nc, stream) for stream in ALL]
    with pytest.raises(TooFewServers, match="stream MODELOG: 3 replicas"):
        await init(nc, replicas=3, apply=True)

    assert [await configured(nc, stream) for stream in ALL] == before


@pytest.mark.chaos
@pytest.mark.timeout(120)
async def test_apply_changes_the_replicas_of_all_within_a_cluster(tmp_path: Path) -> None:
    async with cluster(tmp_path) as urls, connected(",".join(urls)) as nc:
        first = await _once_ready(nc)
        await _store(nc, "log.model.acme.updated.m", b"{}")
        with pytest.raises(StreamDiffers, match=r"replicas is 1, and must be 3 \(and 4 more\)"):
            await init(nc, replicas=3)
        assert [await _replicas(nc, stream) for stream in ALL] == [1] * 5

        more = await init(nc, replicas=3, apply=True)
        assert more.streams == dict.fromkeys(ALL, "changed")
        assert more.epoch == first.epoch
        assert {one.stream: (one.setting, one.actual, one.wanted) for one in more.changes} == (
            dict.fromkeys(ALL, ("replicas", 1, 3))
        )
        assert (await init(nc, replicas=3, apply=True)).changes == ()
        with pytest.raises(TooFewServers, match="5 replicas need as many servers"):
            await init(nc, replicas=5, apply=True)
        assert [await _replicas(nc, stream) for stream in ALL] == [3] * 5

        await init(nc, replicas=1, apply=True)
        assert [await _replicas(nc, stream) for stream in ALL] == [1] * 5
        assert (await ask(nc, f"STREAM.INFO.{FACTS}"))["state"]["messages"] == 1


async def _once_ready(nc: Client) -> Report:
    """Init as soon as the servers have found each other, for which nothing tells."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await init(nc)
            except (ApiError, NoAnswer, TooFewServers):
                await asyncio.sleep(0.1)


async def _replicas(nc: Client, stream: str) -> int:
    return int((await configured(nc, stream))["num_replicas"])


async def _store(nc: Client, subject: str, payload: bytes) -> None:
    reply = json.loads((await nc.request(subject, payload, timeout=10)).data)
    assert "error" not in reply


async def test_what_a_shorter_age_drops_is_counted_before(nc: Client) -> None:
    await init(nc)
    assert await outlived(nc, 0) == 0
    for number in range(2):
        await _store(nc, f"audit.service.one.started.{number}", b"{}")
    early = time.monotonic()
    await until(lambda: time.monotonic() > early + 0.8)
    await _store(nc, "audit.service.one.started.2", b"{}")

    assert await outlived(nc, 3_600) == 0
    assert await outlived(nc, time.monotonic() - early - 0.4) == 2
    assert await outlived(nc, 0) == 3


def test_more_replicas_are_a_difference_that_apply_may_mend() -> None:
    wanted = facts("e", "i", replicas=3)

    assert list(differences(wanted, facts("e", "i"))) == [("num_replicas", 3, 1)]


@pytest.mark.parametrize(
    "field", ["sealed", "mirror", "sources", "persist_mode", "allow_msg_schedules", "no_ack"]
)
def test_what_would_endanger_the_log_is_a_difference(field: str) -> None:
    wanted = facts("e", "i")

    assert list(differences(wanted, wanted | {field: True})) == [(field, None, True)]
    assert list(differences(wanted, wanted | {field: None})) == []
