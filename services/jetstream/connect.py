"""Connect to NATS: fail at once where nobody listens, afterwards never give up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.errors import Error, SlowConsumerError

from services.jetstream.identity import identity

__all__ = ["Client", "NoServer", "NotAllowed", "close", "connect"]

PORT = 4222
CONNECT_SECONDS = 5.0
ATTEMPT_SECONDS = 1.0
RECONNECT_WAIT_SECONDS = 0.25
PING_SECONDS = 5
FLUSH_SECONDS = 5.0
SAY_SECONDS = 60.0
_POLL_SECONDS = 0.02
_DENIED = "permissions violation"
_UNKNOWN = "authorization violation"

log = logging.getLogger(__name__)


class NoServer(Exception):
    """No NATS server can be reached at an address."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"no NATS server at {_without_password(url)} ({reason}); "
            "start one with `modelog up`, or set MODELOG_NATS_URL"
        )
        self.url = url


class NotAllowed(NoServer):
    """A NATS server answers, and does not take a role's credentials."""

    def __init__(self, url: str, role: str, reason: str) -> None:
        address = _without_password(url)
        Exception.__init__(
            self,
            f"the NATS server at {address} refuses the role {role} ({reason}); "
            "correct `credentials` in [nats], or its users there",
        )
        self.url = url


async def connect(  # noqa: PLR0913 - one argument a choice
    url: str,
    *,
    role: str,
    credentials: str | None = None,
    on_closed: Callable[[], None] | None = None,
    on_error: Callable[[Exception], None] | None = None,
    deadline: float = CONNECT_SECONDS,
) -> Client:
    """Return a connection to one of the servers of *url*, several separated by commas.

    *role* names the connection and its inboxes (``_INBOX_<role>``), so that permissions can tell
    one role's answers from another's. *credentials* is the text of a `.creds` file, its path, or
    the seed of an NKey. Once connected it reconnects for ever, and says so once a minute.
    *on_closed* is called when it is closed for good; *on_error* for what no caller would notice
    else: messages dropped because they were taken too slowly, and a publish or subscription that
    the server does not allow. Both ought to end the process. Raises NoServer where there is no
    connection within *deadline* seconds, NotAllowed where that is for the credentials, and
    BadCredentials where they are none.

    Source of the settings: nats-py gives up after two minutes by default, and notices a dead peer
    after four.
    """
    who = identity(credentials)
    servers = [part.strip() for part in url.split(",")]
    teller = _Teller(on_error)
    nc = Client()

    async def closed() -> None:
        if on_closed is not None:
            on_closed()

    try:
        async with asyncio.timeout(deadline):
            await _listening(servers, teller)
    except TimeoutError as error:
        raise NoServer(url, teller.last or "no answer") from error
    try:
        with _cancellable():
            async with asyncio.timeout(deadline):
                await nc.connect(
                    servers,
                    name=f"modelog-{role}",
                    inbox_prefix=f"_INBOX_{role}",
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT_WAIT_SECONDS,  # type: ignore[arg-type]  # a float works
                    ping_interval=PING_SECONDS,
                    flush_timeout=FLUSH_SECONDS,
                    error_cb=teller.error,
                    disconnected_cb=teller.disconnected,
                    reconnected_cb=teller.reconnected,
                    closed_cb=closed,
                    **who,
                )
    except asyncio.CancelledError:
        on_closed = None
        await close(nc)
        raise
    except (TimeoutError, Error) as error:
        on_closed = None
        await close(nc)
        if _UNKNOWN in teller.last.lower():
            raise NotAllowed(url, role, teller.last) from error
        raise NoServer(url, teller.last or str(error) or "no answer") from error
    return nc


async def close(nc: Client) -> None:
    """Close *nc*; that its server is away already is no fault."""
    with _cancellable(), suppress(Error, OSError):
        await nc.close()


@contextmanager
def _cancellable() -> Iterator[None]:
    """Raise the cancellation that nats-py swallows where it closes, and where it is connected."""
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


class _Teller:
    """What a connection says of itself: in the log, and to the process where it must end."""

    def __init__(self, on_error: Callable[[Exception], None] | None) -> None:
        self.last = ""
        self._on_error = on_error
        self._quiet_until = 0.0

    async def error(self, error: Exception) -> None:
        quiet = "no answer" if isinstance(error, TimeoutError) else type(error).__name__
        said = (str(error) or quiet).removeprefix("nats: ")
        if _UNKNOWN not in self.last.lower():  # the reset that follows a refusal says less
            self.last = said
        if isinstance(error, SlowConsumerError) or _DENIED in said.lower():
            log.error("nats: %s", said)
            if self._on_error is not None:
                self._on_error(error)
            return
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + SAY_SECONDS
            log.warning("nats: %s; trying again", said)

    async def disconnected(self) -> None:
        log.info("nats: disconnected")

    async def reconnected(self) -> None:
        self.last = ""
        self._quiet_until = 0.0
        log.info("nats: connected again")


async def _listening(servers: list[str], teller: _Teller) -> None:
    """Return once one of *servers* takes a TCP connection: nats-py waits longer after a refusal."""
    while True:
        for server in servers:
            address = urlsplit(server if "://" in server else f"nats://{server}")
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    _, writer = await asyncio.open_connection(
                        address.hostname, address.port or PORT
                    )
            except (OSError, ValueError) as error:
                teller.last = getattr(error, "strerror", None) or str(error) or "no answer"
                continue
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            return
        await asyncio.sleep(_POLL_SECONDS)


def _without_password(url: str) -> str:
    return ",".join(part.rpartition("@")[2] if "@" in part else part for part in url.split(","))
