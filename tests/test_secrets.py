from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from events.subjects import AUDIT, AUDIT_SUBJECTS, FACT_SUBJECTS, FACTS
from services.demo.simulator import Simulator
from services.directory import DataDirectory
from services.jetstream.read import pages
from tests.support.cli import environment, modelog
from tests.support.http import redirect, reply, serving
from tests.support.nats import connected, until
from tests.support.system import up

pytestmark = pytest.mark.process

CANARIES = {
    "env": "canary-in-the-environment-5f1e",
    "file": "canary-in-a-file-77aa",
    "command": "canary-from-a-command-02bd",
    "header": "canary-in-a-header-91c3",
    "echoed": "canary-that-comes-back-64f0",
    "moved": "canary-that-must-not-move-3e8d",
}


def _configuration(urls: dict[str, str], folder: Path) -> str:
    key = folder / "key"
    key.write_text(CANARIES["file"] + "\n")
    script = folder / "key.py"
    script.write_text(
        f"import sys\nprint({CANARIES['command']!r})\nprint('noise', file=sys.stderr)\n"
    )
    keys = {
        "env": '{ env = "CANARY" }',
        "file": f'{{ file = "{key}" }}',
        "command": f'{{ command = ["{sys.executable}", "{script}"] }}',
        "echoed": '{ env = "ECHOED" }',
        "moved": '{ env = "MOVED" }',
    }
    tables = [
        f'[[providers]]\nname = "{name}"\ndialect = "openai"\nbase_url = "{urls[name]}"\n'
        f"api_key = {reference}\n"
        for name, reference in keys.items()
    ]
    tables.append(
        f'[[providers]]\nname = "header"\ndialect = "openai"\nbase_url = "{urls["header"]}"\n'
        'headers = { x-secret = { env = "HEADER" } }\n'
    )
    return "[refresh]\nattempts = 1\n" + "".join(tables)


def _command_lines() -> bytes:
    found = b""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                found += (process / "cmdline").read_bytes()
            except OSError:
                continue
    return found


def _files(folder: Path) -> bytes:
    """Return every byte below *folder*, but for the two files that are meant to hold a key."""
    ours = {folder / "key", folder / "key.py"}
    return b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.is_file() and path not in ours
    )


async def _stored(url: str) -> bytes:
    """Return every byte of both streams: the files of the store are compressed."""
    found = b""
    async with connected(url) as nc:
        for stream, subjects in ((FACTS, FACT_SUBJECTS), (AUDIT, AUDIT_SUBJECTS)):
            async for page in pages(nc, stream, after=0, filter=subjects):
                for one in page:
                    found += one.subject.encode() + repr(dict(one.headers)).encode() + one.payload
    return found


@pytest.mark.timeout(90)
@pytest.mark.chaos
async def test_no_secret_is_written_anywhere(tmp_path: Path) -> None:
    """Planted keys are sent to their own provider, and are in no byte that modelog writes."""
    body = f'{{"error":{{"message":"bad key {CANARIES["echoed"]}"}}}}'.encode()
    other: list[bytes] = []
    async with (
        Simulator() as simulator,
        serving(reply(body, 401)) as echoing,
        serving(reply(b'{"data":[]}')) as elsewhere,
        serving(redirect(f"{elsewhere.url}/v1/models")) as moving,
    ):
        urls = {}
        for name in ("env", "file", "command", "header"):
            site = simulator.provider(name, dialect="openai", key=None)
            site.models = [f"model-of-{name}"]
            urls[name] = site.base_url
            if name != "header":
                site.key = CANARIES[name]
        urls["echoed"], urls["moved"] = f"{echoing.url}/v1", f"{moving.url}/v1"
        (tmp_path / "modelog.toml").write_text(_configuration(urls, tmp_path))
        env = {
            "CANARY": CANARIES["env"],
            "ECHOED": CANARIES["echoed"],
            "MOVED": CANARIES["moved"],
            "HEADER": CANARIES["header"],
        }
        async with up(tmp_path, **env):
            told = tmp_path / "out.txt"
            ended = (" refreshed ", " failed ")
            await until(lambda: sum(told.read_text().count(word) for word in ended) >= 6, 40)
            lines = _command_lines()
            stored = await _stored(DataDirectory(tmp_path / ".modelog").live_url() or "")
            said = [
                (await asyncio.to_thread(modelog, *words, cwd=tmp_path, env=env))
                for words in (
                    ("status", "--config"),
                    ("status", "--json"),
                    ("providers", "list", "--json"),
                    *(("providers", "show", name, "--json") for name in CANARIES),
                    ("providers", "refresh", "--all", "--json"),
                    ("models", "list", "--json"),
                    ("watch", "--since", "0", "--no-follow", "--json"),
                )
            ]
        received = {
            name: [request.headers for request in simulator.sites[name].requests]
            for name in ("env", "file", "command", "header")
        }
        other = [str(one.headers).encode() for one in elsewhere.asked]

    answers = b"".join((answer.out + answer.err).encode() for answer in said)
    files = _files(tmp_path)
    assert all(
        any(CANARIES[name] in str(headers) for headers in received[name]) for name in received
    ), "each key has arrived at its own provider"
    assert b'"echoed"' in stored, "the refused key's outcome is in the log"
    for where, written in (
        ("a command line", lines),
        ("the streams", stored),
        ("an answer", answers),
        ("a file", files),
        ("a request to another host", b"".join(other)),
    ):
        leaked = [name for name, key in CANARIES.items() if key.encode() in written]
        assert leaked == [], f"in {where}"


def test_a_literal_secret_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text(
        f'[[providers]]\nname = "openai"\napi_key = "{CANARIES["env"]}"\n'
    )
    answer = modelog("up", cwd=tmp_path)

    assert answer.code == 2
    assert "literal" in answer.err
    assert CANARIES["env"] not in answer.out + answer.err


def test_a_bug_shows_no_local_variables(tmp_path: Path) -> None:
    """Typer's pretty tracebacks would print them; ours are the interpreter's own."""
    program = (
        "import services.cli as cli\n"
        "from services.cli import failures\n"
        "def broken():\n"
        f"    key = {CANARIES['env'][:10]!r} + {CANARIES['env'][10:]!r}\n"
        "    return 1 / 0\n"
        "failures.guarded(broken)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert "ZeroDivisionError" in done.stderr
    assert CANARIES["env"] not in done.stderr
