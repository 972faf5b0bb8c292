from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.directory import DataDirectory, DirectoryHeld

HOLD = """
import sys, time
from pathlib import Path
from services.directory import DataDirectory
with DataDirectory(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def _holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.process
def test_a_directory_has_one_holder_who_is_named(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    with (
        _holder(directory.path) as process,
        pytest.raises(DirectoryHeld, match=rf"in use by process {process.pid} \(-c ") as caught,
        directory.lock(),
    ):
        pytest.fail("held twice")

    assert caught.value.pid == str(process.pid)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match="use another directory with --data") as caught:
        DataDirectory(file / "data").lock().__enter__()

    assert caught.value.filename == str(file / "data")


@pytest.mark.process
def test_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    with _holder(directory.path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with directory.lock():
            held = (tmp_path / "lock").read_text()

    assert held.split(" ")[0] == str(os.getpid())
    assert held.count("\n") == 1


@pytest.mark.process
def test_a_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    with directory.lock():
        child = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(60)"])
    try:
        with directory.lock():
            pass
    finally:
        child.kill()
        child.wait(10)


def test_different_locks_do_not_meet(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    with directory.lock(), directory.lock("other.lock"):
        pass


def test_the_url_is_of_a_server_that_answers(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    assert directory.live_url() is None

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"nats://127.0.0.1:{server.getsockname()[1]}"
        directory.publish_url(url)
        assert directory.live_url() == url

    assert directory.live_url() is None
    directory.withdraw_url()
    directory.withdraw_url()
    assert not directory.url_file.exists()


@pytest.mark.parametrize(
    "text", ["", "nonsense", "nats://", "nats://:4222", "nats://127.0.0.1:0", "nats://[::1"]
)
def test_a_url_file_that_names_no_server_is_none(text: str, tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.url_file.write_text(text)

    assert directory.live_url() is None


def test_everything_has_its_place(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)

    assert directory.nats_store == tmp_path / "nats"
    assert directory.catalogue == tmp_path / "catalogue.db"
    assert directory.url_file == tmp_path / "nats.url"
