"""The files of a catalogue: numbered generations, and the one link that leads to who serves."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_GENERATION = re.compile(r"catalogue\.(\d+)\.db\Z")
JOURNAL = "-wal"


def serving(link: Path) -> Path | None:
    """Return the generation that *link* leads to, there or not; None where it is no such link."""
    try:
        name = str(link.readlink())
    except OSError:
        return None
    return link.parent / name if _GENERATION.fullmatch(name) else None


def number(generation: Path | None) -> int:
    """Return the number of a generation, 0 for none."""
    found = _GENERATION.fullmatch(generation.name) if generation else None
    return int(found[1]) if found else 0


def numbered(link: Path, number: int) -> Path:
    """Return the path of a generation behind *link*."""
    return link.parent / f"catalogue.{number}.db"


def others(link: Path, kept: Path | None) -> list[Path]:
    """Return every generation beside *link* but *kept*."""
    return [
        path
        for path in sorted(link.parent.iterdir())
        if _GENERATION.fullmatch(path.name) and path != kept
    ]


def switch(link: Path, name: str) -> None:
    """Let *link* lead to the generation *name*, at once for whoever opens it next."""
    fresh = link.with_name(f".{link.name}.new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(name)
    fresh.replace(link)
    on_disk(link.parent)


def on_disk(path: Path) -> None:
    """Wait until a file, or what a folder says of its files, is on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def relink(link: Path, generation: Path) -> bool:
    """Let *link*, which was deleted, lead to *generation* again; False where anything is there."""
    gone = not os.path.lexists(link)
    if gone:
        switch(link, generation.name)
    return gone


def delete(path: Path) -> None:
    """Delete a generation, and what SQLite keeps beside it; a reader that has it open keeps it."""
    for suffix in ("", JOURNAL, "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def sweep(link: Path, kept: Path | None) -> list[str]:
    """Delete every generation but *kept*: unfinished and retired ones; return their names."""
    swept = others(link, kept)
    for path in swept:
        delete(path)
    return [path.name for path in swept]


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file behind *path* from every other one; None without one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def size(path: Path) -> int:
    """Return the bytes of a file, 0 without one."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
