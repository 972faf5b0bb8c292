"""A real server that keeps the permissions which `init --permissions` writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

from nats.aio.client import Client

from services.jetstream.permissions import write_permissions
from tests.support.nats import Configured, configured, connected

FILE = "modelog.conf"


class Permitted:
    """The server, the file of permissions, and the keys that go with it."""

    def __init__(self, server: Configured, file: Path, keys: dict[str, Path]) -> None:
        self.server = server
        self.url = server.url
        self.file = file
        self.keys = keys

    def key(self, role: str) -> str:
        return self.keys[role].read_text().strip()

    def section(self) -> str:
        """Write the section of a configuration that uses a key for each role."""
        folder = next(iter(self.keys.values())).parent
        return f'[nats]\nurl = "{self.url}"\ncredentials = {{ file = "{folder}/{{role}}.nk" }}\n'

    def connected(self, role: str) -> AbstractAsyncContextManager[Client]:
        return connected(self.url, role, self.key(role))

    def violations(self) -> list[str]:
        """Return what the server has denied so far."""
        return [line for line in self.server.log.read_text().splitlines() if "Violation" in line]

    def let_restore_in(self) -> None:
        """Take the comment of the role `restore` away, as the file says, and reload."""
        uncommented(self.file)
        self.server.reload()


def uncommented(file: Path) -> None:
    """Make the role `restore` a user."""
    lines = file.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.strip() == "# # restore")
    end = next(n for n, line in enumerate(lines) if n > start and line.strip() == "# } }")
    for number in range(start, end + 1):
        lines[number] = lines[number].replace("# ", "", 1)
    file.write_text("\n".join(lines))


@contextmanager
def permitting(folder: Path, *, restore: bool = False) -> Iterator[Permitted]:
    """A server over *folder* with the file and its keys; with *restore* that role is a user."""
    keys = write_permissions(folder / FILE)
    if restore:
        uncommented(folder / FILE)
    with configured(folder, f'include "{FILE}"') as server:
        yield Permitted(server, folder / FILE, keys)
