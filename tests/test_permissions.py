"""The permissions that `init --permissions` writes: valid, kept by a real server, and not more."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from events.subjects import AUDIT, FACTS
from services.jetstream.api import ask, exchange, stream_info
from services.jetstream.connect import NotAllowed, close, connect
from services.jetstream.identity import public_key
from services.jetstream.permissions import write_permissions
from services.jetstream.server import binary
from services.jetstream.setup import ensure
from tests.support.cli import modelog
from tests.support.permitted import FILE, Permitted, permitting

pytestmark = pytest.mark.nats

FOUR = ["refresher", "health-monitor", "projector", "notifier"]
ROLES = [*FOUR, "reader", "operator", "admin", "restore"]

ASKING = "refresher health-monitor projector notifier reader operator admin restore"
READING = "refresher health-monitor projector reader operator admin restore"
INSIDE = "admin restore"

MAY_PUBLISH = {
    "log.provider.acme.registered": "refresher restore",
    "log.model.acme.added.m": "refresher restore",
    "log.capability.acme.gained.vision.m": "refresher restore",
    "log.health.acme.status_changed": "health-monitor restore",
    "log.alert.acme.opened": "health-monitor restore",
    "log.other.acme.happened": "restore",
    "audit.refresh.acme.started": "refresher restore",
    "audit.discovery.all.started": "refresher restore",
    "audit.check.acme.completed": "health-monitor restore",
    "audit.service.refresher.started": "refresher restore",
    "audit.service.health-monitor.started": "health-monitor restore",
    "audit.service.projector.started": "projector restore",
    "audit.service.notifier.started": "notifier restore",
    "audit.command.refresh.accepted": "refresher restore",
    "audit.command.provider-register.accepted": "refresher restore",
    "audit.command.check.accepted": "health-monitor restore",
    "audit.command.alert-silence.accepted": "health-monitor restore",
    "audit.command.rebuild.accepted": "projector restore",
    "modelog.model.acme.added.m": "",
    "modelog.audit.check.acme.completed": "",
    "$JS.API.INFO": "reader operator admin restore",
    "$JS.API.STREAM.NAMES": INSIDE,
    "$JS.API.STREAM.INFO.MODELOG": ASKING,
    "$JS.API.STREAM.INFO.MODELOG_AUDIT": ASKING,
    "$JS.API.STREAM.INFO.KV_modelog_state": ASKING,
    "$JS.API.STREAM.MSG.GET.MODELOG": ASKING,
    "$JS.API.STREAM.MSG.GET.KV_modelog_lease": "refresher health-monitor admin restore",
    "$JS.API.DIRECT.GET.MODELOG": ASKING,
    "$JS.API.DIRECT.GET.MODELOG_AUDIT": READING,
    "$JS.API.DIRECT.GET.MODELOG.log.model.acme.added.m": "reader operator admin restore",
    "$JS.API.STREAM.CREATE.OTHER": INSIDE,
    "$JS.API.STREAM.UPDATE.MODELOG": INSIDE,
    "$JS.API.STREAM.DELETE.MODELOG": INSIDE,
    "$JS.API.STREAM.PURGE.MODELOG": INSIDE,
    "$JS.API.STREAM.PURGE.KV_modelog_lease": INSIDE,
    "$JS.API.STREAM.PURGE.OBJ_modelog_snapshots": "projector admin restore",
    "$JS.API.STREAM.MSG.DELETE.MODELOG": INSIDE,
    "$JS.API.STREAM.SNAPSHOT.MODELOG": INSIDE,
    "$JS.API.STREAM.RESTORE.MODELOG": INSIDE,
    "$JS.API.CONSUMER.CREATE.MODELOG": INSIDE,
    "$JS.API.CONSUMER.CREATE.MODELOG.one.log.>": "projector admin restore",
    "$JS.API.CONSUMER.CREATE.KV_modelog_lease.one.>": INSIDE,
    "$JS.API.CONSUMER.MSG.NEXT.MODELOG_AUDIT.one": "projector admin restore",
    "$KV.modelog_lease.refresh.acme": "refresher admin",
    "$KV.modelog_lease.check.acme": "health-monitor admin",
    "$KV.modelog_lease.call.acme": "refresher health-monitor admin",
    "$KV.modelog_state.heartbeat.refresher.one": "refresher admin",
    "$KV.modelog_state.heartbeat.health-monitor.one": "health-monitor admin",
    "$KV.modelog_state.not_before.acme.key": "refresher health-monitor admin",
    "$KV.modelog_state.notifier.position": "notifier admin",
    "$O.modelog_snapshots.C.one": "projector",
    "rpc.modelog.command.refresh": "operator",
    "rpc.modelog.command.provider.register": "operator",
    "rpc.modelog.command.check": "operator",
    "rpc.modelog.command.alert.silence": "operator",
    "rpc.modelog.command.rebuild": "operator",
    "rpc.modelog.query.models": "reader operator",
    "$SRV.PING": "reader operator",
    "$SYS.REQ.SERVER.PING": "",
    "_INBOX_refresher.one": "",
    "_INBOX.one": "",
    "anything": "",
}

MAY_SUBSCRIBE = {
    ">": "",
    "log.>": "",
    "audit.>": "",
    "$JS.API.>": "",
    "$KV.>": "",
    "_INBOX.>": "",
    "modelog.>": "reader operator admin",
    "modelog.model.acme.>": "health-monitor reader operator admin",
    "modelog.provider.>": "refresher health-monitor reader operator admin",
    "modelog.health.>": "refresher health-monitor reader operator admin",
    "modelog.alert.>": "notifier reader operator admin",
    "modelog.audit.check.>": "refresher health-monitor reader operator admin",
    "modelog.audit.refresh.>": "health-monitor reader operator admin",
    "modelog.audit.service.>": "reader operator admin",
    "rpc.modelog.>": "",
    "rpc.modelog.command.refresh": "refresher",
    "rpc.modelog.command.provider.update": "refresher",
    "rpc.modelog.command.check": "health-monitor",
    "rpc.modelog.command.alert.acknowledge": "health-monitor",
    "rpc.modelog.command.rebuild": "projector",
    "rpc.modelog.query.models": "projector",
    "$SRV.PING": "projector",
    "$JS.EVENT.ADVISORY.>": "admin",
    "_INBOX_refresher.>": "refresher",
    "_INBOX_health-monitor.>": "health-monitor",
    "_INBOX_projector.>": "projector",
    "_INBOX_notifier.>": "notifier",
    "_INBOX_reader.>": "reader operator",
    "_INBOX_operator.>": "operator",
    "_INBOX_admin.>": "admin",
    "_INBOX_restore.>": "restore",
}


@pytest.fixture(scope="module")
def permitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Permitted]:
    """One server for the module: nothing but these tests reads what they write."""
    with permitting(tmp_path_factory.mktemp("permitted"), restore=True) as found:
        asyncio.run(_made(found))
        yield found


async def _made(permitted: Permitted) -> None:
    async with permitted.connected("admin") as nc:
        await ensure(nc, audit_max_age=None, monitor_url=None)


async def denied(permitted: Permitted, role: str, subjects: list[str], what: str) -> set[str]:
    """Publish or subscribe to each of *subjects*, and return those that the server denied."""
    told: list[str] = []
    nc = await connect(
        permitted.url,
        role=role,
        credentials=permitted.key(role),
        on_error=lambda error: told.append(str(error)),
    )
    try:
        for subject in subjects:
            if what == "publish":
                await nc.publish(subject, b"x")  # no request of JetStream's: it changes nothing
            else:
                await nc.subscribe(subject)
        await nc.flush()
        await nc.flush()  # what the first one brought is told by now
    finally:
        await close(nc)
    found = {
        subject
        for subject in subjects
        if any(f'"{subject.lower()}"' in one.lower() for one in told)
    }
    assert len(found) == len(told)
    return found


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_publishes_what_its_row_allows_and_nothing_else(
    permitted: Permitted, role: str
) -> None:
    refused = await denied(permitted, role, list(MAY_PUBLISH), "publish")

    assert refused == {one for one, roles in MAY_PUBLISH.items() if role not in roles.split()}


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_subscribes_to_what_its_row_allows_and_nothing_else(
    permitted: Permitted, role: str
) -> None:
    refused = await denied(permitted, role, list(MAY_SUBSCRIBE), "subscribe")

    assert refused == {one for one, roles in MAY_SUBSCRIBE.items() if role not in roles.split()}


def test_every_role_has_the_rights_that_are_tested_here(permitted: Permitted) -> None:
    assert set(permitted.keys) == set(ROLES)


async def test_a_stranger_and_a_key_of_another_server_are_refused(
    permitted: Permitted, tmp_path: Path
) -> None:
    other = write_permissions(tmp_path / FILE)["reader"].read_text().strip()
    for credentials in (None, other):
        with pytest.raises(NotAllowed, match=r"refuses the role reader .*Authorization Violation"):
            await connect(permitted.url, role="reader", credentials=credentials, deadline=0.5)


async def answers(nc: Client, subject: str, payload: bytes = b"") -> list[bytes]:
    """Return every answer that comes before one to a second question."""
    inbox = await nc.subscribe(nc.new_inbox())
    await nc.publish(subject, payload, reply=inbox.subject)
    found = [(await inbox.next_msg(timeout=5)).data]
    await ask(nc, f"STREAM.INFO.{FACTS}")
    while inbox.pending_msgs:
        found.append((await inbox.next_msg(timeout=1)).data)
    return found


@pytest.mark.parametrize("role", ["refresher", "reader"])
async def test_a_question_to_jetstream_has_one_answer(permitted: Permitted, role: str) -> None:
    async with permitted.connected(role) as nc:
        for stream in (FACTS, AUDIT, "KV_modelog_state"):
            (answer,) = await answers(nc, f"$JS.API.STREAM.INFO.{stream}")

            assert f'"name":"{stream}"'.encode() in answer


@pytest.mark.parametrize("role", [one for one in ROLES if one not in INSIDE.split()])
async def test_no_role_has_an_answer_sent_to_where_it_may_not_write(
    permitted: Permitted, role: str
) -> None:
    """The server checks the subject of a question, and not that of its answer."""
    async with (
        permitted.connected("admin") as admin,
        permitted.connected(role) as nc,
    ):
        before = {one: (await stream_info(admin, one))["state"] for one in (FACTS, AUDIT)}
        for target in (
            "log.model.acme.removed.m",
            "audit.refresh.acme.failed",
            "$JS.API.STREAM.DELETE.MODELOG",
            "$JS.API.STREAM.PURGE.KV_modelog_lease",
        ):
            empty = b'{"seq": 1000000000}'  # answered by no more than a status
            await nc.publish("$JS.API.DIRECT.GET.MODELOG", empty, reply=target)
            await nc.publish("$JS.API.STREAM.INFO.MODELOG", b"", reply=target)
        await ask(nc, f"STREAM.INFO.{FACTS}")

        assert {one: (await stream_info(admin, one))["state"] for one in (FACTS, AUDIT)} == before


async def test_a_command_that_nobody_answers_is_told_at_once(permitted: Permitted) -> None:
    async with permitted.connected("operator") as nc:
        async with asyncio.timeout(3):
            assert await exchange(nc, "rpc.modelog.command.refresh", b"{}", timeout=10) is None


async def test_requests_cross_accounts_and_only_their_answers_come_back(
    permitted: Permitted,
) -> None:
    async with (
        permitted.connected("projector") as projector,
        permitted.connected("reader") as reader,
    ):
        inbox = await projector.subscribe("rpc.modelog.query.models")
        await projector.flush()
        asked = asyncio.create_task(reader.request("rpc.modelog.query.models", b"{}", timeout=5))
        request = await inbox.next_msg(timeout=5)
        await request.respond(b"first")

        assert (await asked).data == b"first"


# The file


def test_the_server_takes_the_file_and_it_holds_no_secret(tmp_path: Path) -> None:
    keys = write_permissions(tmp_path / FILE)
    told = subprocess.run(
        [binary(), "-t", "-c", tmp_path / FILE],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    text = (tmp_path / FILE).read_text()

    assert (told.returncode, "is valid" in told.stderr) == (0, True)
    assert "password" not in text
    for role, path in keys.items():
        seed = path.read_text().strip()
        assert seed.startswith("SU")
        assert seed not in text
        assert text.count(public_key(seed)) == 1, role
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "modelog-keys").stat().st_mode & 0o777 == 0o700


def test_restore_is_no_user_until_somebody_lets_it_in(tmp_path: Path) -> None:
    seed = write_permissions(tmp_path / FILE)["restore"].read_text().strip()
    (line,) = [one for one in (tmp_path / FILE).read_text().splitlines() if public_key(seed) in one]

    assert line.strip().startswith("#")


def test_init_writes_it_without_a_server_and_says_how_to_use_it(tmp_path: Path) -> None:
    answer = modelog("init", "--permissions", FILE, cwd=tmp_path)

    assert answer.code == 0
    assert f'include "{FILE}"' in answer.err
    assert f'credentials = {{ file = "{tmp_path}/modelog-keys/{{role}}.nk" }}' in answer.err
    assert sorted(path.stem for path in (tmp_path / "modelog-keys").iterdir()) == sorted(ROLES)
    assert not (tmp_path / ".modelog").exists()
    seeds = [path.read_text().strip() for path in (tmp_path / "modelog-keys").iterdir()]
    assert [seed for seed in seeds if seed in answer.out + answer.err] == []


def test_a_file_that_is_there_is_left_alone_and_its_keys_go_with_the_next_one(
    tmp_path: Path,
) -> None:
    first = modelog("init", "--permissions", FILE, "--json", cwd=tmp_path).json
    text = (tmp_path / FILE).read_text()
    again = modelog("init", "--permissions", FILE, cwd=tmp_path)

    assert again.code == 1
    assert f"{FILE} exists; move it away" in again.err
    assert (tmp_path / FILE).read_text() == text
    (tmp_path / FILE).unlink()
    assert modelog("init", "--permissions", FILE, "--json", cwd=tmp_path).json == first
    assert (tmp_path / FILE).read_text() == text


def test_a_damaged_key_and_a_folder_that_is_not_there_are_told(tmp_path: Path) -> None:
    nowhere = modelog("init", "--permissions", "no/such/file.conf", cwd=tmp_path)
    (tmp_path / "modelog-keys").mkdir()
    (tmp_path / "modelog-keys" / "reader.nk").write_text("SUSECRET\n")
    damaged = modelog("init", "--permissions", FILE, cwd=tmp_path)

    assert (nowhere.code, "no/such" in nowhere.err) == (1, True)
    assert "No such file or directory" in nowhere.err
    assert damaged.code == 1
    assert "reader.nk holds no key of a user; delete it" in damaged.err
    assert "SUSECRET" not in damaged.err
    assert not (tmp_path / FILE).exists()
