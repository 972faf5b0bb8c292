"""Which process on which machine this is, so that a process that died is known to be gone.

A lease outlives its holder until it expires. Where the holder ran on this very machine, nobody has
to wait for that: the kernel knows. Where it cannot be asked, every process counts as alive.
"""

from __future__ import annotations

import os
from functools import cache
from hashlib import blake2b
from pathlib import Path

PROC = Path("/proc")
_START = 19
"""Where a process's start stands behind its name in /proc/<pid>/stat, in ticks since the boot."""


@cache
def identity() -> str:
    """Return this process's identity, ``<machine>/<pid>/<start>``; empty where there is no /proc.

    The machine is one boot of one kernel, as seen from one namespace of process ids.
    """
    machine, start = _machine(), _start(os.getpid())
    return f"{machine}/{os.getpid()}/{start}" if machine and start else ""


def gone(process: str) -> bool:
    """Tell whether the process of that identity ran on this machine and runs no more."""
    machine, slash, rest = process.partition("/")
    pid, _, start = rest.partition("/")
    if not slash or machine != _machine() or not pid.isdigit():
        return False
    return _start(int(pid)) != start


@cache
def _machine() -> str:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        space = str((PROC / "self/ns/pid").readlink())
    except (OSError, UnicodeError):
        return ""
    return blake2b(f"{boot}|{space}".encode(), digest_size=8).hexdigest()


def _start(pid: int) -> str:
    """Return when a process started, empty where it does not run (or has ended, unburied)."""
    try:
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {b"Z", b"X"} else fields[_START].decode()
