"""The notifier as a process: what receivers on loopback get of the alerts in a real log."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from events.alerts import AlertEvent, AlertOpened, AlertResolved, AlertUpdated, Severity
from events.envelope import seal
from services.clock import new_id, system
from services.jetstream.append import Log
from services.jetstream.server import Server
from services.jetstream.setup import ensure
from services.notifier.notifier import Position
from services.notifier.store import POSITION, Another, Store
from tests.support.cli import modelog
from tests.support.http import Act, Asked, hang, reply, serving
from tests.support.processes import Process, spawned

pytestmark = [pytest.mark.nats, pytest.mark.process, pytest.mark.chaos]

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = system().now()


def about(alert_id: str, severity: Severity = "high") -> dict[str, Any]:
    return {
        "at": NOW,
        "provider": "acme",
        "alert_id": alert_id,
        "fingerprint": f"acme||status_change|{alert_id}",
        "kind": "status_change",
        "severity": severity,
        "message": f"{alert_id} is down",
        "since": NOW,
    }


def opened(alert_id: str, severity: Severity = "high") -> AlertOpened:
    return AlertOpened(**about(alert_id, severity))


def resolved(alert_id: str) -> AlertResolved:
    return AlertResolved(**about(alert_id), reason="recovered", duration_ms=120_000)


async def happened(nc: Client, *events: AlertEvent) -> list[str]:
    """Append *events* as the health monitor does; return their ids."""
    log = await Log.open(nc)
    sealed = [seal(one, id=new_id(), source="/modelog/health-monitor/test") for one in events]
    expected = await log.last("alert", "acme")
    await log.append(sealed, family="alert", provider="acme", expected=expected)
    return [one.headers["Nats-Msg-Id"] for one in sealed]


@pytest.fixture
async def log(nc: Client) -> Client:
    await ensure(nc, audit_max_age=None, monitor_url=None)
    return nc


@asynccontextmanager
async def notifying(
    folder: Path, server: Server, section: str, *, group: str = "200ms"
) -> AsyncIterator[Process]:
    """The notifier with a section `[notify]`, ready."""
    (folder / "modelog.toml").write_text(f'[notify]\ngroup = "{group}"\n{section}')
    env = {"MODELOG_NATS_URL": server.url, "HOOK_SECRET": SECRET}
    async with spawned(folder, "run", "notifier", env=env) as process:
        await process.line("ready process=notifier")
        yield process


def webhook(url: str) -> str:
    return (
        f'[[notify.webhooks]]\nname = "hook"\nurl = "{url}"\nsecret = {{ env = "HOOK_SECRET" }}\n'
    )


def people(url: str) -> str:
    address = url.replace("http://", "json://")
    return f'[[notify.targets]]\nname = "people"\nurl = "{address}"\nseverity = "low"\n'


async def asked(requests: Sequence[Asked], count: int, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while len(requests) < count:  # noqa: ASYNC110 - no event exists to wait for
            await asyncio.sleep(0.02)


def verified(request: Asked) -> dict[str, Any]:
    """Check the signature as the scheme's text says, and return the body."""
    id_, stamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    content = b".".join((id_.encode(), stamp.encode(), request.body))
    mac = base64.b64encode(hmac.digest(KEY, content, hashlib.sha256)).decode()

    assert request.headers["webhook-signature"] == f"v1,{mac}"
    assert abs(int(stamp) - system().unix()) < 60
    body: dict[str, Any] = json.loads(request.body)
    return body


async def test_a_webhook_is_signed_tried_again_and_told_of_the_resolve_after_the_opening(
    tmp_path: Path, nats_server: Server, log: Client
) -> None:
    faults: list[Act] = [reply("no", 500), reply("", 204)]
    async with (
        serving(faults) as receiver,
        notifying(tmp_path, nats_server, webhook(receiver.url)) as notifier,
    ):
        ids = await happened(log, opened("a"), resolved("a"))
        await notifier.line("not told", "HTTP 500")
        await asked(receiver.asked, 3)

        assert [one.headers["webhook-id"] for one in receiver.asked] == [ids[0], *ids]
        bodies = [verified(one) for one in receiver.asked]
        assert [one["type"] for one in bodies] == ["alert.opened", "alert.opened", "alert.resolved"]
        assert bodies[0] == bodies[1]
        assert bodies[2]["data"]["duration_ms"] == 120_000
        assert bodies[2]["timestamp"] == NOW


async def test_people_get_one_notice_of_all_that_came_together(
    tmp_path: Path, nats_server: Server, log: Client
) -> None:
    faults: list[Act] = [reply("no", 503), reply("{}")]
    async with (
        serving(faults) as receiver,
        notifying(tmp_path, nats_server, people(receiver.url)) as notifier,
    ):
        await happened(log, opened("a"), opened("b"), resolved("b"), opened("c", "low"))
        await notifier.line("not told", "people")
        await asked(receiver.asked, 2)
        told = json.loads(receiver.asked[1].body)

        assert told["title"] == "modelog: 3 alerts"
        assert told["message"].splitlines() == [
            f"HIGH acme: a is down (since {NOW})",
            "resolved acme: b is down (recovered, after 2m)",
            f"LOW acme: c is down (since {NOW})",
        ]
        assert told["type"] == "failure"


async def test_what_happens_while_it_is_down_is_told_after_a_start_and_only_once(
    tmp_path: Path, nats_server: Server, log: Client
) -> None:
    await happened(log, opened("old"), opened("over"), resolved("over"))
    async with serving(reply("", 204)) as receiver:
        section = webhook(receiver.url)
        async with notifying(tmp_path, nats_server, section) as notifier:
            await notifier.line("told destination=hook")
            assert await notifier.stop() == 0
        await happened(log, opened("new"), resolved("new"), resolved("old"))
        async with notifying(tmp_path, nats_server, section) as notifier:
            await asked(receiver.asked, 4)
            await notifier.line("told destination=hook", count=3)
            assert await notifier.stop() == 0
        async with notifying(tmp_path, nats_server, section) as notifier:
            await happened(log, opened("last"))
            await asked(receiver.asked, 5)

        told = [(one["type"], one["data"]["alert_id"]) for one in map(verified, receiver.asked)]
        assert told == [
            ("alert.opened", "old"),
            ("alert.opened", "new"),
            ("alert.resolved", "new"),
            ("alert.resolved", "old"),
            ("alert.opened", "last"),
        ]


async def test_what_waits_outlives_a_kill(tmp_path: Path, nats_server: Server, log: Client) -> None:
    ended: list[Act] = [hang, reply("", 204)]
    async with serving(ended) as receiver:
        section = webhook(receiver.url)
        async with notifying(tmp_path, nats_server, section) as notifier:
            (id_,) = await happened(log, opened("a"))
            await asked(receiver.asked, 1)
            await notifier.kill()
        async with notifying(tmp_path, nats_server, section) as notifier:
            await notifier.line("told destination=hook")

        assert [one.headers["webhook-id"] for one in receiver.asked] == [id_, id_]


async def test_a_receiver_that_is_not_there_is_told_when_it_comes(
    tmp_path: Path, nats_server: Server, log: Client, unused_port: Callable[[], int]
) -> None:
    port = unused_port()
    section = webhook(f"http://127.0.0.1:{port}")
    async with notifying(tmp_path, nats_server, section) as notifier:
        await happened(log, opened("a"))
        await notifier.line("not told", "again_in")
        arrived = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
            writer.close()
            arrived.set()

        async with await asyncio.start_server(answer, "127.0.0.1", port):
            await asyncio.wait_for(arrived.wait(), 20)
            await notifier.line("told destination=hook")


async def test_a_silence_ends_and_what_is_still_open_goes_out(
    tmp_path: Path, nats_server: Server, log: Client
) -> None:
    silence = AlertUpdated(**about("a"), change="silenced", until="2999-01-01T00:00:00.000Z")
    ends = AlertUpdated(**about("a"), change="silenced")
    async with (
        serving(reply("", 204)) as receiver,
        notifying(tmp_path, nats_server, webhook(receiver.url)),
    ):
        await happened(log, opened("a"), silence)
        await happened(log, opened("b"))
        await asked(receiver.asked, 1)
        await happened(log, ends)
        await asked(receiver.asked, 2)

        told = [(one["type"], one["data"]["alert_id"]) for one in map(verified, receiver.asked)]
        assert told == [("alert.opened", "b"), ("alert.opened", "a")]


async def test_another_destination_is_told_after_a_hang_up(
    tmp_path: Path, nats_server: Server, log: Client
) -> None:
    async with (
        serving(reply("{}")) as receiver,
        notifying(tmp_path, nats_server, "") as notifier,
    ):
        assert "nobody to tell" in notifier.text
        await happened(log, opened("a"))
        section = f'[notify]\ngroup = "0"\n{people(receiver.url)}'
        (tmp_path / "modelog.toml").write_text(section)
        notifier.send(signal.SIGHUP)
        await asked(receiver.asked, 1)

        assert b"a is down" in receiver.asked[0].body


async def test_a_second_notifier_ends_one_of_the_two(
    tmp_path: Path, nats_server: Server, log: Client
) -> None:
    async with (
        serving(reply("", 204)) as receiver,
        notifying(tmp_path, nats_server, webhook(receiver.url)) as first,
        notifying(tmp_path, nats_server, webhook(receiver.url)) as second,
    ):
        await happened(log, opened("a"))
        ends = [asyncio.create_task(one.ended(20)) for one in (first, second)]
        done, rest = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for one in rest:
            one.cancel()

        assert next(one.result() for one in done) == 1
        assert "another notifier works on this log" in first.text + second.text


async def test_two_that_write_the_same_in_step_are_two(log: Client) -> None:
    first, second = Store(log), Store(log)
    for one in (first, second):
        await one.load(POSITION, Position)
    await first.save(POSITION, Position(7))
    with pytest.raises(Another):
        await second.save(POSITION, Position(7))
    await first.save(POSITION, Position(8))

    assert await Store(log).load(POSITION, Position) == Position(8)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "apprise.py").write_text('raise ModuleNotFoundError("no", name="apprise")\n')
    root = Path(__file__).parent.parent
    env = {
        "PYTHONPATH": f"{tmp_path}:{root}",
        "MODELOG_NATS_URL": "nats://127.0.0.1:9",
    }
    said = modelog("run", "notifier", cwd=tmp_path, env=env)

    assert said.code == 1
    assert said.err.splitlines() == ["the notifier needs apprise: pip install modelog[notify]"]


async def test_up_starts_it_where_anybody_is_to_be_told(tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text(f"[notify]\n{people('http://127.0.0.1:9')}")
    async with spawned(tmp_path, "up") as everything:
        await everything.line("ready process=notifier", seconds=30)

        assert await everything.stop() == 0


@pytest.fixture
def unused_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            return port

    return find
