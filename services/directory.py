"""The data directory: who holds it, and where its server is."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

LOOK_SECONDS = 1.0


class DirectoryHeld(Exception):
    """Another process works on the data directory."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(
            f"{path} is in use by process {pid or '(unknown)'}; "
            f"stop it, or use another directory with --data"
        )
        self.pid = pid


class DataDirectory:
    """Where the store, the catalogue and the server's address of one installation lie."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def nats_store(self) -> Path:
        """The folder of the embedded server."""
        return self.path / "nats"

    @property
    def catalogue(self) -> Path:
        """The stable path of the catalogue."""
        return self.path / "catalogue.db"

    @property
    def url_file(self) -> Path:
        """The file that holds the embedded server's URL while it runs."""
        return self.path / "nats.url"

    @contextmanager
    def lock(self, name: str = "lock") -> Iterator[None]:
        """Hold the directory within the block; raises DirectoryHeld where another process does.

        The lock is the kernel's: a dead holder holds nothing, whatever it left in the file.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / name).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise DirectoryHeld(self.path, file.read().strip()) from error
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def live_url(self) -> str | None:
        """Return the URL of the server that runs over this directory, None where none answers."""
        try:
            url = self.url_file.read_text().strip()
        except FileNotFoundError:
            return None
        try:
            address = urlsplit(url)
            with socket.create_connection((address.hostname, address.port or 4222), LOOK_SECONDS):
                return url
        except (OSError, ValueError):
            return None

    def publish_url(self, url: str) -> None:
        """Let others find the server at *url*."""
        fresh = self.url_file.with_suffix(".new")
        fresh.write_text(f"{url}\n")
        fresh.replace(self.url_file)

    def withdraw_url(self) -> None:
        """Tell others that the server is gone."""
        self.url_file.unlink(missing_ok=True)
