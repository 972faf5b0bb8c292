"""The data directory: who holds it, and where its server is."""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

LOOK_SECONDS = 1.0
PROJECTOR_LOCK = "projector.lock"
"""Held by who writes the catalogue."""
LONGEST = 100
"""Characters of a holder's command that are told."""


class DirectoryHeld(Exception):
    """Another process works on the data directory."""

    def __init__(self, path: Path, holder: str) -> None:
        self.pid, _, command = holder.partition(" ")
        who = f"{self.pid or '(unknown)'}" + (f" ({command})" if command else "")
        super().__init__(
            f"{path} is in use by process {who}; stop it, or use another directory with --data"
        )


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
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = f"{error.strerror}; use another directory with --data"
            raise OSError(error.errno, why, str(self.path)) from error
        with (self.path / name).open("a+", encoding="utf-8", errors="replace") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise DirectoryHeld(self.path, file.read().strip()) from error
            file.truncate(0)
            file.write(f"{os.getpid()} {_command()}\n")
            file.flush()
            yield

    def holder(self, name: str = "lock") -> str | None:
        """Return who holds the directory, its process id first; None where nobody does."""
        try:
            with (self.path / name).open(encoding="utf-8", errors="replace") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return file.read().strip() or "(unknown)"
        except OSError:
            return None
        return None

    def live_url(self) -> str | None:
        """Return the URL of the server that runs over this directory, None where none answers."""
        try:
            url = self.url_file.read_text("utf-8").strip()
            address = urlsplit(url)
            port = 4222 if address.port is None else address.port
        except (FileNotFoundError, ValueError):
            return None
        if not address.hostname:
            return None
        try:
            with socket.create_connection((address.hostname, port), LOOK_SECONDS):
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


def _command() -> str:
    """Return what this process was started as, in one line."""
    program = Path(sys.argv[0]).name
    words = shlex.join(["modelog" if program == "__main__.py" else program, *sys.argv[1:]])
    return "".join(one if one.isprintable() else "?" for one in words)[:LONGEST]
