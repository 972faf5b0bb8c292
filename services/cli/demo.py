"""The demo: months of recorded changes, served over real HTTP and played in two minutes."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from events import decode
from services import clock
from services import config as configuration
from services.cli.failures import Refusal
from services.cli.options import ConfigFile, DataDir
from services.cli.tail import Heard
from services.demo.configuration import NAME, prepare
from services.demo.feed import Feed
from services.demo.play import Scene, clock_text, finale, play, say, scene
from services.demo.recorded import Recording, load
from services.directory import DataDirectory
from services.jetstream.connect import close, connect
from services.supervisor import Child
from services.up import running

DATA = Path(".modelog-demo")
LOG = "demo.log"
STARTING = 1.5
"""Seconds that the processes take to start: the months begin when they are there."""
OWN = ("nats", "catalogue*.db*", "nats.url")
"""What a demo leaves behind, and the next one begins without."""


def demo(
    *,
    speed: Annotated[
        float, typer.Option("--speed", min=0.01, help="2 is twice as fast: one minute, not two.")
    ] = 1.0,
    config: ConfigFile = None,  # noqa: ARG001 - every command takes it; the demo has its own
    data: DataDir = None,
) -> None:
    """Play months of recorded changes; no network, no key.

    Real model lists, recorded, are served through the providers' own APIs on this machine, to the
    same processes that `modelog up` starts. The data directory is `.modelog-demo`; each demo begins
    it anew.
    """
    shown = data or DATA
    directory = DataDirectory(Path.cwd() / shown)
    with directory.lock("demo.lock"):
        recording = _fresh(directory)
        feed = asyncio.run(_played(directory, recording, speed))
    say(Console(), ["", *finale(feed, command=_command(), data=str(shown))])


def _command() -> str:
    """Return how `modelog` is called here."""
    if shutil.which("modelog"):
        return "modelog"
    return os.path.relpath(Path(sys.executable).parent / "modelog")


def _fresh(directory: DataDirectory) -> Recording:
    """Clear the directory of the last demo, and prepare it; refuse one that is none of a demo."""
    path = directory.path
    if not (path / NAME).exists() and (
        directory.nats_store.exists() or directory.catalogue.exists()
    ):
        raise Refusal(f"{path} belongs to `modelog up`; name another directory with --data")
    with directory.lock():
        for pattern in OWN:
            for old in path.glob(pattern):
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    recording = load()
    prepare(path, recording)
    return recording


async def _played(directory: DataDirectory, recording: Recording, speed: float) -> Feed:
    """Run everything over the demo's directory until all is played, and return what was heard."""
    file = directory.path / NAME
    config = configuration.load(file, data=directory.path, environ={}, cwd=Path.cwd())
    feed = Feed(recording.providers, recording.incidents)
    played = scene(recording)
    text = clock_text(played, speed=speed, origin=clock.system().unix() + STARTING)
    with (directory.path / LOG).open("w") as log:
        logging.basicConfig(stream=log, format="%(asctime)s %(message)s", level=logging.INFO)
        async with running(
            config,
            arguments=["--config", str(file), "--data", str(directory.path)],
            environment={clock.VARIABLE: text},
            before=[Child("simulator", [sys.executable, "-m", "services.demo", str(file)])],
            out=log.fileno(),
        ) as (url, _):
            await _shown(url, feed, played, text)
    return feed


async def _shown(url: str, feed: Feed, played: Scene, text: str) -> None:
    origin, speed, start = map(float, text.split(","))
    nc = await connect(url, role="reader")
    loop = asyncio.get_running_loop()
    try:

        async def hear(message: Heard) -> None:
            feed.take(message.subject, decode(message.data), loop.time())

        await nc.subscribe("modelog.>", cb=hear)
        shown = clock.Clock(origin=origin, speed=speed, start=start)
        await play(feed, played, shown, Console())
    finally:
        await close(nc)
