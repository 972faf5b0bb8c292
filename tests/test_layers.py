"""Which folder may import what: the one table, and the test that keeps it.

The longest path wins. A word allows a module and all below it, `services` the modules that the
processes share, and every row the standard library; I/O, clock and chance where a row names them.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROCESSES = {"refresher", "health_monitor", "projector", "notifier", "demo", "cli", "doctor"}

MAY_IMPORT = {
    "events": "msgspec events",
    "projections": "io os pathlib shutil sqlite3 tempfile sqlite_utils msgspec events projections",
    "projections/catalogue.py": "time os pathlib sqlite3 sqlite_utils msgspec events projections",
    "projections/reader.py": "time os pathlib sqlite3 sqlite_utils msgspec events projections",
    "services": "faststream fast_depends msgspec tenacity events services",
    "services/calls": "httpx msgspec tenacity events services",
    "services/jetstream": "nats nkeys msgspec tenacity events services",
    "services/providers": "msgspec events services",
    "services/refresher": "msgspec tenacity events services services.refresher",
    "services/health_monitor": "aiolimiter msgspec tenacity events services"
    " services.health_monitor",
    "services/projector": "msgspec tenacity events projections services services.projector",
    "services/notifier": "apprise msgspec tenacity events services services.notifier",
    "services/doctor": "msgspec events projections services services.doctor",
    "services/demo": "msgspec events projections services services.demo",
    "services/demo/play.py": "rich typer msgspec events projections services services.demo",
    "services/cli": "click rich typer msgspec events projections services"
    " services.refresher services.health_monitor services.projector services.notifier"
    " services.demo services.doctor services.cli",
}

# Below services/ only where a row says so: time, chance, threads, disk and network.
NEEDS_A_WORD = (
    "asyncio concurrent ctypes fcntl http io logging multiprocessing os pathlib random secrets"
    " select selectors shutil signal smtplib socket sqlite3 ssl subprocess tempfile threading time"
    " urllib.request uuid"
)

MODULES = sorted(
    file.relative_to(ROOT).as_posix()
    for package in ("events", "projections", "services")
    for file in (ROOT / package).rglob("*.py")
)


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every module that *tree* imports; `from a import b` may mean a module `a.b`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(str(module), names, 0):
                for alias in names:
                    inner = ROOT.joinpath(*module.split("."), alias.name)
                    below = inner.is_dir() or inner.with_suffix(".py").is_file()
                    yield f"{module}.{alias.name}" if below else module
            case ast.ImportFrom():
                yield "(a relative import)"
            case _:
                pass


def allowed(module: str, path: str) -> bool:
    """Tell whether the file at *path* may import *module*."""
    row = max((key for key in MAY_IMPORT if f"{path}/".startswith(f"{key}/")), key=len)
    words = set(MAY_IMPORT[row].split())
    top, _, rest = module.partition(".")
    if top == "services" and rest.partition(".")[0] in PROCESSES:
        return ".".join(module.split(".")[:2]) in words
    if top in sys.stdlib_module_names:
        pure = not {top, module} & set(NEEDS_A_WORD.split())
        return pure or top in words or row.startswith("services")
    return top in words


@pytest.mark.parametrize("path", MODULES)
def test_a_module_imports_only_what_its_folder_may(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    forbidden = sorted({module for module in imported(tree) if not allowed(module, path)})

    assert forbidden == []


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("events/models.py", "import asyncio"),
        ("events/models.py", "from time import monotonic"),
        ("events/models.py", "from projections import Catalogue"),
        ("events/models.py", "from . import base"),
        ("projections/fold.py", "import time"),
        ("projections/fold.py", "import httpx"),
        ("projections/fold.py", "from services import clock"),
        ("services/config.py", "from services.cli import main"),
        ("services/config.py", "import services.demo.play"),
        ("services/config.py", "import nats"),
        ("services/calls/call.py", "import nats.aio.client"),
        ("services/jetstream/read.py", "import httpx"),
        ("services/jetstream/read.py", "import projections"),
        ("services/refresher/run.py", "import httpx"),
        ("services/refresher/run.py", "from services.projector.follow import follow"),
        ("services/health_monitor/run.py", "import typer"),
        ("services/projector/run.py", "import apprise"),
        ("services/demo/simulator.py", "import rich.console"),
    ],
)
def test_the_table_forbids(path: str, statement: str) -> None:
    assert [module for module in imported(ast.parse(statement)) if allowed(module, path)] == []


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("events/models.py", "import datetime, msgspec, events.base"),
        ("projections/fold.py", "import sqlite3\nfrom events import ModelRemoved"),
        ("projections/catalogue.py", "import time"),
        ("services/calls/call.py", "import asyncio, httpx\nfrom services.clock import now"),
        ("services/jetstream/read.py", "import nats"),
        ("services/refresher/run.py", "from services.refresher.gate import gate"),
        ("services/cli/health.py", "import typer\nfrom services.demo.play import play"),
        ("services/demo/play.py", "from rich.progress import Progress"),
    ],
)
def test_the_table_allows(path: str, statement: str) -> None:
    assert [module for module in imported(ast.parse(statement)) if not allowed(module, path)] == []
