from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services import keys
from services.keys import KeyUnavailable, Reference, Secret, describe, redact, resolve
from tests.support.nats import until

KEY = "sk-not-to-be-seen"


def _program(text: str) -> Reference:
    return {"command": [sys.executable, "-I", "-c", text]}


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(KEY)

    assert KEY not in f"{secret} {secret!r} {secret!s} {[secret]} {secret:>40}"
    assert secret.reveal() == KEY


def test_secrets_of_one_text_are_one() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("another")
    assert Secret(KEY) != KEY
    assert hash(Secret(KEY)) == hash(Secret(KEY))


async def test_a_variable_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", f" {KEY}\n")
    first = await resolve({"env": "A_KEY"})
    monkeypatch.setenv("A_KEY", "another")
    second = await resolve({"env": "A_KEY"})
    monkeypatch.setenv("A_KEY", "")
    third = await resolve({"env": "A_KEY"})

    assert (first, second, third) == (Secret(KEY), Secret("another"), None)


async def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    first = await resolve({"file": str(file)})
    file.write_text("\n")

    assert first == Secret(KEY)
    assert await resolve({"file": str(file)}) is None


async def test_a_command_s_output_is_the_secret() -> None:
    assert await resolve(_program(f"print('{KEY}')")) == Secret(KEY)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ({"file": "/nowhere/key"}, "file /nowhere/key: No such file"),
        ({"command": ["/nowhere/program"]}, "command /nowhere/program: No such file"),
        (_program(f"import sys; print('{KEY}', file=sys.stderr); sys.exit(3)"), "exit code 3"),
        (_program("import sys; sys.stdout.buffer.write(bytes([255]))"), "is not UTF-8"),
        ({"file": "~nobody-of-that-name/key"}, "no such path"),
        ({"command": []}, "an empty command"),
        ({"command": ["a\0b"]}, "no such program"),
        ({"elsewhere": "x"}, "a secret is { env"),
        ({"file": "/dev/zero"}, "too long"),
        (_program("while True: print('x' * 9999)"), "prints too much"),
    ],
    ids=[
        "no file",
        "no program",
        "a failing program",
        "a program of odd bytes",
        "no home",
        "no command",
        "no name",
        "no reference",
        "an endless file",
        "an endless program",
    ],
)
async def test_what_cannot_be_read_is_named_and_not_shown(reference: Reference, says: str) -> None:
    with pytest.raises(KeyUnavailable, match=says.replace("{", r"\{")) as caught:
        await resolve(reference)

    assert KEY not in str(caught.value)


async def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(KeyUnavailable, match="not UTF-8"):
        await resolve({"file": str(file)})


async def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COMMAND_SECONDS", 0.3)
    with pytest.raises(KeyUnavailable, match=r"not done in 0\.3 s"):
        await resolve(_program("import time; time.sleep(30)"))


async def test_what_a_command_started_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A shell that is killed alone leaves its child, which holds the pipe open."""
    monkeypatch.setattr(keys, "COMMAND_SECONDS", 0.5)
    file = tmp_path / "pid"
    with pytest.raises(KeyUnavailable, match="not done"):
        async with asyncio.timeout(10):
            await resolve({"command": ["sh", "-c", f"sleep 60 & echo $! > {file}; wait"]})
    child = int(file.read_text())
    await until(lambda: not _runs(child), 10)


def _runs(pid: int) -> bool:
    """Tell whether a process is there and no zombie, whoever should have reaped it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_command_that_is_given_up_ends() -> None:
    task = asyncio.create_task(resolve({"command": ["sleep", "60"]}))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await task


def test_a_reference_is_described_without_what_it_refers_to() -> None:
    assert describe({"env": "A_KEY"}) == "the environment (A_KEY)"
    assert describe({"file": "/run/secrets/a"}) == "file /run/secrets/a"
    assert describe({"command": ["pass", "show", KEY]}) == "command pass"
    assert describe({}) == "nothing"


@given(st.text(), st.text(min_size=4).filter(lambda key: key not in "***"), st.text())
def test_no_text_keeps_a_secret(before: str, key: str, after: str) -> None:
    assert key not in redact(before + key + after, [Secret(key)]).replace("***", "\0")


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert redact("abcd-efgh abcd", [Secret("abcd"), Secret("abcd-efgh")]) == "*** ***"
