"""The bundled server: starts on a free port, syncs always, stops cleanly; and how we connect."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from nats.errors import SlowConsumerError

from services.jetstream.connect import NoServer, close, connect
from services.jetstream.server import Server, ServerFailed, binary, configuration
from tests.support.nats import Servers, connected, killed, restarted, running, until

pytestmark = pytest.mark.nats


def fetched(url: str, path: str) -> dict[str, object]:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=5)
    connection.request("GET", path)
    body = json.loads(connection.getresponse().read())
    connection.close()
    assert isinstance(body, dict)
    return body


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_binary_is_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    assert os.access(binary(), os.X_OK)


def test_a_store_with_odd_characters_is_quoted(tmp_path: Path) -> None:
    text = configuration(tmp_path / 'ein "grünes" Haus', port=-1)

    assert 'ein \\"grünes\\" Haus"' in text


async def test_every_write_is_synced(nats_server: Server) -> None:
    body = await asyncio.to_thread(fetched, nats_server.monitor_url, "/jsz?config=1")

    config = body["config"]
    assert isinstance(config, dict)
    assert config["sync_always"] is True


async def test_it_listens_on_loopback_alone(nats_server: Server) -> None:
    assert nats_server.url.startswith("nats://127.0.0.1:")
    assert nats_server.monitor_url.startswith("http://127.0.0.1:")


async def test_a_wished_port_is_taken_where_it_is_free(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path, port=port) as server:
        assert server.port == port


async def test_a_taken_port_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        async with running(tmp_path, port=holder.getsockname()[1]) as server:
            assert server.port != holder.getsockname()[1]


async def test_it_stops_cleanly_and_twice_is_once(tmp_path: Path) -> None:
    server = await Server.start(tmp_path)

    assert await server.stop() == 0
    assert await server.stop() == 0
    assert not (tmp_path / f"nats-server_{server.process.pid}.ports").exists()


async def test_a_server_that_does_not_listen_to_sigterm_is_killed(tmp_path: Path) -> None:
    server = await Server.start(tmp_path)
    server.process.send_signal(signal.SIGSTOP)

    assert await server.stop(deadline=0.2) == -signal.SIGKILL


async def test_it_starts_again_after_a_kill_on_the_same_port(tmp_path: Path) -> None:
    server = await Server.start(tmp_path)
    await killed(server)

    again = await restarted(server)

    assert again.port == server.port
    await again.stop()


async def test_it_joins_the_given_process_group(tmp_path: Path) -> None:
    server = await Server.start(tmp_path, process_group=0)

    assert os.getpgid(server.process.pid) == server.process.pid
    await server.stop()


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "jetstream").write_text("a file where the store wants a folder")

    with pytest.raises(ServerFailed, match="storage directory is not a directory"):
        await Server.start(tmp_path)


async def test_the_store_is_limited_where_a_limit_is_given(tmp_path: Path) -> None:
    server = await Server.start(tmp_path, max_file_store=1_000_000)

    body = await asyncio.to_thread(fetched, server.monitor_url, "/jsz?config=1")
    config = body["config"]
    assert isinstance(config, dict)
    assert config["max_storage"] == 1_000_000
    await server.stop()


async def test_nobody_listening_is_told_at_once() -> None:
    port = free_port()

    with pytest.raises(NoServer, match=rf"no NATS server at nats://127.0.0.1:{port}.*modelog up"):
        await connect(f"nats://127.0.0.1:{port}", role="test", deadline=0.3)


async def test_somebody_else_listening_is_no_server() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp.example ESMTP\r\n")
        await reader.read()
        writer.close()

    other = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    with pytest.raises(NoServer):
        await connect(f"nats://127.0.0.1:{port}", role="test", deadline=0.5)
    other.close()


async def test_no_password_is_told() -> None:
    with pytest.raises(NoServer) as caught:
        await connect(f"nats://me:hunter2@127.0.0.1:{free_port()}", role="test", deadline=0.1)

    assert "hunter2" not in str(caught.value)


async def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(NoServer, match="out of range"):
        await connect("nats://127.0.0.1:99999", role="test", deadline=0.1)


async def test_a_second_address_is_tried(nats_server: Server) -> None:
    async with connected(f"nats://127.0.0.1:{free_port()},{nats_server.url}") as nc:
        assert nc.is_connected


async def test_a_connection_outlives_its_server(servers: Servers) -> None:
    async with connected(servers.url) as nc:
        await servers.restart()
        await until(lambda: nc.stats["reconnects"] == 1)
        await nc.flush()

        assert nc.is_connected


async def test_inboxes_carry_the_role(nats_server: Server) -> None:
    async with connected(nats_server.url, role="projector") as nc:
        assert nc.new_inbox().startswith("_INBOX_projector.")


async def test_being_closed_is_told(nats_server: Server) -> None:
    told: list[str] = []
    nc = await connect(nats_server.url, role="test", on_closed=lambda: told.append("closed"))
    await nc.close()

    assert told == ["closed"]


async def test_dropped_messages_are_told(nats_server: Server) -> None:
    told: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def tell(error: Exception) -> None:
        if not told.done():
            told.set_result(error)

    nc = await connect(nats_server.url, role="test", on_error=tell)
    await nc.subscribe("flood", pending_msgs_limit=1)
    for _ in range(3):
        await nc.publish("flood", b"")

    assert isinstance(await asyncio.wait_for(told, 5), SlowConsumerError)
    await nc.close()


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[str]:
    """A server that asks who is there, and lets nobody write to the log; yields its address."""
    settings = folder / "guarded.conf"
    settings.write_text(
        f'listen: "127.0.0.1:-1"\nports_file_dir: "{folder}"\n'
        "authorization {\n"
        '  default_permissions { publish: { deny: ["log.>"] } }\n'
        "  users: [ { user: u, password: p } ]\n"
        "}\n"
    )
    process = await asyncio.create_subprocess_exec(
        binary(), "--config", settings, stderr=asyncio.subprocess.DEVNULL
    )
    ports = folder / f"nats-server_{process.pid}.ports"
    try:
        await until(lambda: ports.exists() and ports.read_text() != "")
        yield json.loads(ports.read_text())["nats"][0].removeprefix("nats://")
    finally:
        process.terminate()
        await process.wait()


async def test_a_denied_publish_is_told(tmp_path: Path) -> None:
    told: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
    async with guarded(tmp_path) as address:
        nc = await connect(f"nats://u:p@{address}", role="test", on_error=told.set_result)
        await nc.publish("log.model.x.added.y", b"")

        assert "permissions violation" in str(await asyncio.wait_for(told, 5)).lower()
        await close(nc)


async def test_a_wrong_password_is_told_as_that(tmp_path: Path) -> None:
    async with guarded(tmp_path) as address:
        with pytest.raises(NoServer, match=r"(?i)authorization violation"):
            await connect(f"nats://u:wrong@{address}", role="test", deadline=1)


async def test_two_that_start_at_once_do_not_take_each_others_port(tmp_path: Path) -> None:
    port = free_port()
    servers = await asyncio.gather(
        *(Server.start(tmp_path / name, port=port) for name in ("a", "b", "c"))
    )
    ports = [server.port for server in servers]
    for server in servers:
        await server.stop()

    assert len(set(ports)) == 3
    assert port in ports


async def test_a_cancellation_while_closing_is_not_swallowed(tmp_path: Path) -> None:
    """nats-py does, where it is just connecting again."""
    server = await Server.start(tmp_path / "nats")
    nc = await connect(server.url, role="test")
    await server.stop()
    await until(lambda: nc.is_reconnecting)
    closing = asyncio.create_task(close(nc))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
