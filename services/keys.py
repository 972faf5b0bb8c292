"""Secrets by reference: read when they are needed, shown nowhere."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from services.config import environment

Reference = Mapping[str, Any]
"""Where a secret is: ``{"env": NAME}``, ``{"file": PATH}``, ``{"command": [...]}``."""

COMMAND_SECONDS = 10.0
HIDDEN = "***"
LARGEST = 1 << 20
"""Bytes of a file or a command's output that are read: no secret is as long."""
SHORTEST = 4
"""Characters of a secret worth hiding in a text: a shorter one would blot out half of it."""


class KeyUnavailable(Exception):
    """A secret cannot be read; the message says where it was looked for, never what it is."""


class Secret:
    """A text that shows itself to nobody but who asks for it by name."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself: for the header that it goes into, and nothing else."""
        return self._text

    def __str__(self) -> str:
        return HIDDEN

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __format__(self, _: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


async def resolve(reference: Reference) -> Secret | None:
    """Read the secret that *reference* points to, anew each time; None where there is none.

    White space around it is dropped; an empty variable or file counts as none. Raises
    KeyUnavailable for a file that cannot be read and for a command that fails or takes more than
    ten seconds.
    """
    match dict(reference):
        case {"env": str(name)}:
            text = environment().get(name, "")
        case {"file": str(path)}:
            text = _read(Path(path))
        case {"command": [*command]}:
            text = await _run([str(word) for word in command])
        case _:
            raise KeyUnavailable("a secret is { env = … }, { file = … } or { command = […] }")
    text = text.strip()
    return Secret(text) if text else None


def describe(reference: Reference) -> str:
    """Say in words where *reference* points."""
    match dict(reference):
        case {"env": name}:
            return f"the environment ({name})"
        case {"file": path}:
            return f"file {path}"
        case {"command": [program, *_]}:
            return f"command {program}"
        case _:
            return "nothing"


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """Return *text* with every secret in it hidden."""
    for secret in sorted(secrets, key=lambda one: -len(one.reveal())):
        if len(secret.reveal()) >= SHORTEST:
            text = text.replace(secret.reveal(), HIDDEN)
    return text


def _read(path: Path) -> str:
    try:
        with path.expanduser().open("rb") as file:
            read = file.read(LARGEST + 1)
        if len(read) > LARGEST:
            raise KeyUnavailable(f"file {path}: too long for a secret")
        return read.decode()
    except OSError as error:
        raise KeyUnavailable(f"file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KeyUnavailable(f"file {path}: not UTF-8") from error
    except (RuntimeError, ValueError) as error:  # nobody's home, a path that cannot be one
        raise KeyUnavailable(f"file {path}: no such path") from error


async def _run(command: list[str]) -> str:
    """Return what *command* prints; its standard error goes nowhere, for it may hold anything.

    It is a process group of its own, so that nothing which it started outlives its time.
    """
    if not command:
        raise KeyUnavailable("an empty command gives no secret")
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise KeyUnavailable(f"command {command[0]}: {error.strerror}") from error
    except ValueError as error:
        raise KeyUnavailable(f"command {command[0]}: no such program") from error
    done = False
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            printed = await _printed(process, command[0])
            await process.wait()
        done = True
    except TimeoutError as error:
        raise KeyUnavailable(f"command {command[0]}: not done in {COMMAND_SECONDS:g} s") from error
    finally:
        if not done:
            await _end(process)
    if process.returncode != 0:
        raise KeyUnavailable(f"command {command[0]}: exit code {process.returncode}")
    try:
        return printed.decode()
    except UnicodeDecodeError as error:
        raise KeyUnavailable(f"command {command[0]}: what it prints is not UTF-8") from error


async def _printed(process: asyncio.subprocess.Process, program: str) -> bytes:
    printed = b""
    while process.stdout is not None and (more := await process.stdout.read(LARGEST)):
        printed += more
        if len(printed) > LARGEST:
            raise KeyUnavailable(f"command {program}: prints too much for a secret")
    return printed


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill *process* and what it started; whoever left its group and holds its pipe is let go."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await process.wait()
