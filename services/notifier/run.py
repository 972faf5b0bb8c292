"""The notifier's wiring: the configuration as it is now, a bell on the alerts, and the way out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from importlib import import_module

from services.calls.call import client
from services.config import Config, ConfigError
from services.jetstream.bell import hang
from services.logs import say
from services.notifier.destinations import Deliver, destinations
from services.notifier.notifier import Notifier
from services.process import Host, serve

ALERTS = "modelog.alert.>"


class NotInstalled(Exception):
    """The extra that the notifier needs is not there."""


async def run(config: Config, url: str, *, load: Callable[[], Config]) -> None:
    """Carry alerts to those that *config* names, until told to stop.

    SIGHUP reads the configuration again, by *load*. Raises NotInstalled without apprise, NoServer
    where nothing listens at *url*, and Another where another notifier does the same work.
    """
    deliver = _deliver()

    async def work(host: Host) -> None:
        current = config
        bell = await hang(host.nc, ALERTS)
        async with client() as http:
            ready = False
            while True:
                host.hung_up.clear()
                if not current.notify.anybody:
                    say("nobody to tell", level=logging.WARNING, section="[notify]")
                told = destinations(current.notify, client=http, clock=host.clock, deliver=deliver)
                notifier = Notifier(host, told, bell)
                await notifier.start()
                if not ready:
                    await host.ready()
                    ready = True
                await _until(host.hung_up, notifier)
                current = _reloaded(current, load)

    await serve("notifier", config, url, work)


def _deliver() -> Deliver:
    """Return what carries a notice: it is there with the extra only."""
    try:
        found: Deliver = import_module("services.notifier.deliver").deliver
    except ModuleNotFoundError as error:
        if error.name != "apprise":
            raise
        raise NotInstalled("the notifier needs apprise: pip install modelog[notify]") from error
    return found


async def _until(hung_up: asyncio.Event, notifier: Notifier) -> None:
    """Let *notifier* work until the process is to read its configuration again."""
    working = asyncio.create_task(notifier.run())
    waiting = asyncio.create_task(hung_up.wait())
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        waiting.cancel()
        working.cancel()
        await asyncio.wait([working])


def _reloaded(current: Config, load: Callable[[], Config]) -> Config:
    """Return the configuration as it is now; a broken one is told, and *current* stays."""
    try:
        found = load()
    except ConfigError as error:
        for line in error.errors:
            say("not reloaded", level=logging.ERROR, error=line)
        return current
    say("reloaded", targets=len(found.notify.targets), webhooks=len(found.notify.webhooks))
    return found
