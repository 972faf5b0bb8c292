"""What no provider should send, to the real refresher: it names it, goes on, and stays small."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from pathlib import Path

import pytest

from projections import Catalogue
from services.directory import DataDirectory
from tests.support.cli import Answer, modelog
from tests.support.http import Act, drip, gzipped, raw, redirect, reply, serving, truncated
from tests.support.nats import until
from tests.support.system import up

pytestmark = [pytest.mark.process, pytest.mark.chaos, pytest.mark.timeout(120)]

MEGABYTES = 300


def _list(*rows: object) -> bytes:
    return json.dumps({"object": "list", "data": rows}).encode()


def _many_rows() -> bytes:
    rows = ",".join(f'{{"id":"m{number}"}}' for number in range(1_000_000))
    return f'{{"data":[{rows}]}}'.encode()


def _escapes() -> bytes:
    return _list(
        {"id": "evil", "owned_by": "\x1b]0;owned\x07\x1b[31mred", "name": "a\x1b[2Jb\x9bc"}
    )


def _acts() -> dict[str, Act]:
    nested = b'{"data":[{"id":"deep","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}]}"
    zeros = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = zeros.compress(b" " * 200_000_000) + zeros.flush()
    return {
        "large": reply(b'{"data":[{"id":"' + b"x" * 200_000_000 + b'"}]}'),
        "bomb": reply(bomb, headers={"content-encoding": "gzip"}),
        "rows": reply(_many_rows()),
        "nested": reply(nested),
        "brotli": reply(_list({"id": "a"}), headers={"content-encoding": "br"}),
        "twice": reply(gzip.compress(_list()), headers={"content-encoding": "gzip, gzip"}),
        "cut": truncated(_list({"id": "a"}), 999),
        "chunks": raw(
            b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{"data":[', close=True
        ),
        "bytes": reply(b'{"data":[{"id":"a","owned_by":"\xff\xfe"}]}'),
        "numbers": reply(b'{"data":[{"id":"a","context_length":NaN}]}'),
        "drip": drip(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n" + b" " * 9999, 0.3),
        "away": redirect("http://127.0.0.1:1/v1/models"),
        "noise": raw(b"\x00\x01\x02 not HTTP\r\n\r\n", close=True),
    }


REFUSED = {
    "large": "invalid_response",
    "bomb": "invalid_response",
    "rows": "invalid_response",
    "nested": "invalid_response",
    "brotli": "invalid_response",
    "twice": "invalid_response",
    "cut": "connect",
    "chunks": "connect",
    "bytes": "invalid_response",
    "numbers": "invalid_response",
    "drip": "timeout_total",
    "away": "config",
    "noise": "connect",
}


def _read_all_the_same() -> dict[str, Act]:
    return {
        "typed": reply(_list({"id": "one"}), headers={"content-type": "text/plain"}),
        "doubled": reply(b'{"data":[{"id":"first","id":"second"}]}'),
        "surrogate": reply(b'{"data":[{"id":"whole","owned_by":"half \\ud800"}]}'),
        "escapes": reply(_escapes()),
        "packed": gzipped(_list({"id": "small"})),
    }


def _ended(folder: Path) -> set[str]:
    """Return the providers whose first run has ended, as the catalogue has it."""
    path = DataDirectory(folder / ".modelog").catalogue
    if not path.exists():
        return set()
    with Catalogue.open(path) as catalogue:
        return {run.provider for run in catalogue.refreshes() if run.outcome != "started"}


def _peak(pid: int) -> int:
    """Return the most memory that a process has held, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _refresher(up_: int) -> int:
    """Return the process id of the refresher below `modelog up`."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == up_ and b"refresher" in words:
            return int(process.name)
    raise AssertionError("no refresher runs")


async def test_hostile_answers_are_named_and_cost_little(tmp_path: Path) -> None:
    acts = {**_acts(), **_read_all_the_same()}
    servers = [serving(act) for act in acts.values()]
    running = [await server.__aenter__() for server in servers]
    try:
        tables = [
            f'[[providers]]\nname = "{name}"\ndialect = "openai"\nbase_url = "{server.url}/v1"\n'
            for name, server in zip(acts, running, strict=True)
        ]
        text = '[refresh]\nattempts = 1\ntimeout = "3s"\n[enrichment]\nsources = []\n'
        (tmp_path / "modelog.toml").write_text(text + "".join(tables))
        async with up(tmp_path) as process:
            await until(lambda: _ended(tmp_path) >= acts.keys(), 90)
            pid = _refresher(process.pid)
            peak = _peak(pid)
            rows = (await asyncio.to_thread(_runs, tmp_path)).json
            models = (await asyncio.to_thread(_models, tmp_path)).json
            listed = await asyncio.to_thread(_listed, tmp_path)
    finally:
        for server in servers:
            await server.__aexit__(None, None, None)
    classes = {row["provider"]: row["error_class"] for row in rows}

    assert {name: classes[name] for name in REFUSED} == REFUSED
    assert [name for name in _read_all_the_same() if classes[name] is not None] == []
    assert {(model["provider"], model["id"]) for model in models} == {
        ("typed", "one"),
        ("doubled", "second"),
        ("surrogate", "whole"),
        ("escapes", "evil"),
        ("packed", "small"),
    }
    assert "\x1b" not in listed + json.dumps(models, ensure_ascii=False)
    assert "\x9b" not in listed + json.dumps(models, ensure_ascii=False)
    assert peak < MEGABYTES


def _runs(folder: Path) -> Answer:
    sql = "SELECT provider, error_class FROM refreshes WHERE outcome <> 'started'"
    return modelog("query", sql, "--json", cwd=folder)


def _models(folder: Path) -> Answer:
    return modelog("models", "list", "--json", cwd=folder)


def _listed(folder: Path) -> str:
    return modelog("models", "show", "evil", cwd=folder).out
