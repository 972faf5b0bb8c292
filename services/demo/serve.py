"""The simulator as a process: plays the recording at the moment that the shared clock shows."""

from __future__ import annotations

import asyncio
import signal
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from services import clock
from services.demo.configuration import KEY
from services.demo.faults import FAULTS
from services.demo.recorded import Recording, Timeline, load
from services.demo.simulator import Simulator

PAGE_SIZES = {"anthropic": 10, "gemini": 10}
"""Who sends more than one page, as the real ones do once their lists are long."""
TAGGED = frozenset({"groq", "openrouter", "openai"})
"""Who sends an ETag, and 304 for it."""


def populate(simulator: Simulator, recording: Recording, now: clock.Clock, config: Path) -> None:
    """Start a site for each provider of *config*, at the port that stands there."""
    timeline = Timeline(recording)
    for table in tomllib.loads(config.read_text("utf-8"))["providers"]:
        name, port = table["name"], urlsplit(table["base_url"]).port or 0
        site = simulator.provider(name, dialect=table["dialect"], key=KEY, port=port)
        site.models = lambda name=name: timeline.rows_at(name, now.now())
        site.page_size = PAGE_SIZES.get(name)
        site.etag = name in TAGGED
        site.packed = True
    for incident in recording.incidents:
        fault = FAULTS[incident.fault]()
        simulator.sites[incident.provider].faults.between(incident.start, incident.end, fault)


async def serve(config: Path) -> None:
    """Serve until SIGINT or SIGTERM. Raises OSError where a port of *config* is taken."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    now = clock.system()
    async with Simulator(now=now.now, remember=False) as simulator:
        populate(simulator, load(), now, config)
        await told.wait()
