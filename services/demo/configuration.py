"""The demo's configuration: every simulated provider at a port of its own, and one key for all."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from services.demo.listener import HOST
from services.demo.recorded import Recording
from services.demo.shapes import SHAPES

NAME = "demo.toml"
KEY_NAME = "demo.key"
KEY = "demo-key-that-opens-nothing"

HEAD = """\
# Written by `modelog demo`, anew each time: the providers are simulated on this machine.

[refresh]
interval = "6h"

[health]
interval = "6h"
confirm_interval = "90m"

[enrichment]
sources = []
"""

PROVIDER = """
[[providers]]
name = "{name}"
dialect = "{dialect}"
base_url = "{base_url}"
api_key = {{ file = {key} }}
"""

SLOWER = {"ollama-cloud": "1d"}
"""Who is asked less often: Ollama's list takes a request for each model."""


def prepare(directory: Path, recording: Recording) -> Path:
    """Write the demo's configuration and key into *directory*, and return the former's path.

    The ports are free ones; the simulator takes them when it starts, and again when it has to
    start a second time.
    """
    directory.mkdir(parents=True, exist_ok=True)
    key = directory / KEY_NAME
    key.write_text(KEY + "\n", "utf-8")
    key.chmod(0o600)
    ports = _free_ports(list(recording.providers))
    path = directory / NAME
    path.write_text(text(recording, ports, key.resolve()), "utf-8")
    return path


def text(recording: Recording, ports: Mapping[str, int], key: Path) -> str:
    """Return the configuration as TOML."""
    quoted = json.dumps(str(key), ensure_ascii=False)  # a string of TOML, too
    tables = []
    for name, listed in recording.providers.items():
        base_url = f"http://{HOST}:{ports[name]}{SHAPES[listed.dialect].prefix}"
        table = PROVIDER.format(name=name, dialect=listed.dialect, base_url=base_url, key=quoted)
        if name in SLOWER:
            table += f'refresh = {{ interval = "{SLOWER[name]}" }}\n'
        tables.append(table)
    return HEAD + "".join(tables)


def _free_ports(names: list[str]) -> dict[str, int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for one in sockets:
            one.bind((HOST, 0))
        return {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
