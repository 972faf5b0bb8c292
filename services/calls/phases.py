"""What the transport tells about one call: how long each phase took, and whom it spoke with."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from events.base import Instant, instant_of

BEGINS = {
    "connect_tcp.started": "connect",  # the name's look-up included
    "start_tls.started": "tls",
    "send_request_headers.started": "first_byte",
    "receive_response_body.started": "body",
}
ENDS = {
    "connect_tcp.complete": "connect",
    "start_tls.complete": "tls",
    "receive_response_headers.complete": "first_byte",
    "receive_response_body.complete": "body",
}


class Phases:
    """The trace of one call, as httpx takes it: the request extension ``trace``.

    Redirects add up. A phase that never ended lasts until it is asked for.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._took: dict[str, float] = {}
        self._running: tuple[str, float] | None = None
        self._peer: tuple[str, int] | None = None
        self.unreached: tuple[str, int] | None = None
        """Host and port of the last connection that was tried in vain: a proxy's, perhaps."""

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        """Take one event of the transport."""
        event = name.partition(".")[2]
        if event == "connect_tcp.started":
            self._peer = (info["host"], info["port"])
        elif event == "connect_tcp.failed":
            self.unreached = self._peer
        if (phase := BEGINS.get(event)) is not None:
            self._running = (phase, self._time())
        elif self._running is not None and ENDS.get(event) == self._running[0]:
            self._stop()

    def milliseconds(self) -> dict[str, int]:
        """Return how long each phase took, by ``connect``, ``tls``, ``first_byte``, ``body``."""
        self._stop()
        return {phase: round(seconds * 1000) for phase, seconds in self._took.items()}

    def _stop(self) -> None:
        if self._running is not None:
            phase, since = self._running
            self._took[phase] = self._took.get(phase, 0.0) + self._time() - since
            self._running = None


def certificate_end(response: httpx.Response) -> Instant | None:
    """Return when the certificate of the server that sent *response* ends; None without TLS."""
    stream = response.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    end = (tls.getpeercert() or {}).get("notAfter") if isinstance(tls, ssl.SSLObject) else None
    if not isinstance(end, str):
        return None
    return instant_of(datetime.fromtimestamp(ssl.cert_time_to_seconds(end), UTC))
