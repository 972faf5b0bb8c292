"""One notice by apprise, which is synchronous: in a thread of its own. The only importer of it.

What apprise logs may show an address, so it is heard by nobody but the delivery it belongs to.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import apprise

from services.keys import Secret, redact
from services.notifier.notice import NotDelivered, Notice

SECONDS = 60.0
"""How long one delivery may take; apprise's own bounds are shorter, but for some services."""
LONGEST = 200

_heard = logging.getLogger("apprise")
_heard.propagate = False
_heard.setLevel(logging.WARNING)


class _Ear(logging.Handler):
    """Keeps the last line that one thread logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.thread = 0
        self.line = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep *record* if it is of our thread."""
        if record.thread == self.thread:
            self.line = record.getMessage()


async def deliver(url: Secret, notice: Notice) -> None:
    """Send *notice* to the service at *url*; raises NotDelivered."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str | None] = loop.create_future()

    def tell(failure: str | None) -> None:
        if not done.done():
            done.set_result(failure)

    def work() -> None:
        failure = _send(url, notice)
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, failure)

    # no executor: its threads would keep a process alive whose delivery hangs
    threading.Thread(target=work, name="deliver", daemon=True).start()
    try:
        async with asyncio.timeout(SECONDS):
            failure = await done
    except TimeoutError as error:
        raise NotDelivered(f"not done in {SECONDS:g} s") from error
    if failure is not None:
        raise NotDelivered(failure)


def _send(url: Secret, notice: Notice) -> str | None:
    """Return why the notice did not go out, None where it did."""
    ear = _Ear()
    ear.thread = threading.get_ident()
    _heard.addHandler(ear)
    try:
        service: Any = apprise.Apprise()
        if not service.add(url.reveal()):
            return "apprise knows no such address"
        ear.line = ""
        if service.notify(title=notice.title, body=notice.body, notify_type=notice.tone):
            return None
    except Exception as error:  # noqa: BLE001 - a service of apprise's may raise whatever it likes
        return type(error).__name__
    finally:
        _heard.removeHandler(ear)
    return redact(ear.line, [url])[:LONGEST] or "the service did not take it"
