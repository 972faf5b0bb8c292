"""A transport that plays traces to the real call path: what the network would have answered."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import httpx

from benchmarks.health_traces import NOISE, Episode, Line
from services.clock import Clock

MODELS = 40
ROWS = [
    {"id": f"model-{number}", "object": "model", "created": 1_754_524_800, "owned_by": "us"}
    for number in range(MODELS)
]
LIST = json.dumps({"object": "list", "data": ROWS}).encode()
HALF = json.dumps({"object": "list", "data": ROWS[: MODELS // 2]}).encode()
EMPTY = json.dumps({"object": "list", "data": []}).encode()
PAGE = b"<!doctype html><title>Welcome</title><p>We will be back soon."
LATENCY = 0.15
RAMP = 9.0
"""Seconds that a slow answer takes at the worst."""
COIN = 60.0
"""Seconds for which a flapping provider is either up or down."""
BURST = 0.8


class _Body(httpx.AsyncByteStream):
    """An answer's body, which may hang or drip."""

    def __init__(self, data: bytes, kind: str, read: float) -> None:
        self._data = data
        self._kind = kind
        self._read = read

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._kind == "hang":
            await asyncio.sleep(self._read)
            raise httpx.ReadTimeout("hangs")
        if self._kind == "drip":
            for place in range(len(self._data)):
                yield self._data[place : place + 1]
                await asyncio.sleep(1)
        else:
            yield self._data


class Provider:
    """One provider: what happens to it, its noise, and how often it was asked."""

    def __init__(self, happens: Line, noise: float, random: Random, coin: int) -> None:
        self.calls = 0
        self.happens = happens
        self.noise = noise
        self.random = random
        self.coin = coin

    def kind(self, now: float) -> tuple[str, Episode | None]:
        """Return how a call at *now* goes, and because of what."""
        episode = self.happens.at(now)
        if self.noise and self.random.random() < self.noise:
            return self.random.choice(NOISE), None
        if episode is None:
            return "ok", None
        if episode.kind == "coin":
            down = Random(self.coin + int(now / COIN)).getrandbits(1)  # noqa: S311 - a seeded trace
            return ("500" if down else "ok"), None
        if episode.kind == "burst" and self.random.random() >= BURST:
            return "ok", None
        return ("reset" if episode.kind == "burst" else episode.kind), episode


class Played(httpx.AsyncBaseTransport):
    """The way to all *providers*, by host; *time* is the moment since the trace began."""

    def __init__(
        self, providers: dict[str, Provider], clock: Clock, time: Callable[[], float]
    ) -> None:
        self.providers = providers
        self._clock = clock
        self._time = time

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the trace has it."""
        provider = self.providers[request.url.host]
        provider.calls += 1
        now = self._time()
        kind, episode = provider.kind(now)
        bounds = request.extensions["timeout"]
        await self._fails(kind, provider.random, bounds["connect"])
        latency = LATENCY * provider.random.lognormvariate(0, 0.4)
        if kind == "slow" and episode is not None:
            latency = RAMP * (now - episode.start) / episode.lasts
        if kind == "silent":
            await asyncio.sleep(bounds["read"])
            raise httpx.ReadTimeout("says nothing")
        await asyncio.sleep(latency)
        if kind == "reset":
            raise httpx.ReadError("reset") from ConnectionResetError(errno.ECONNRESET, "reset")
        status, headers, data = answer(kind, self._clock.utcnow())
        return httpx.Response(status, headers=headers, stream=_Body(data, kind, bounds["read"]))

    async def _fails(self, kind: str, random: Random, connect: float) -> None:
        match kind:
            case "refuse":
                await asyncio.sleep(random.uniform(0.005, 0.05))
                raise httpx.ConnectError("refused") from ConnectionRefusedError(
                    errno.ECONNREFUSED, "refused"
                )
            case "blackhole":
                await asyncio.sleep(connect)
                raise httpx.ConnectTimeout("no answer")
            case "dns":
                await asyncio.sleep(random.uniform(0.005, 0.5))
                code = random.choice((socket.EAI_NONAME, socket.EAI_AGAIN))
                raise httpx.ConnectError("no name") from socket.gaierror(code, "no name")
            case "tls":
                await asyncio.sleep(random.uniform(0.02, 0.1))
                raise httpx.ConnectError("expired") from _expired()
            case "bug":
                raise RuntimeError("a fault of our own")
            case _:
                return


def _expired() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate has expired")
    error.verify_code, error.verify_message = 10, "certificate has expired"
    return error


def answer(kind: str, now: datetime) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of an answer of *kind*."""
    kind, _, form = kind.partition(":")
    match kind:
        case "html":
            return 200, {"content-type": "text/html"}, PAGE
        case "broken":
            return 200, {"content-type": "application/json"}, LIST[: len(LIST) // 2]
        case "half":
            return 200, {"content-type": "application/json"}, HALF
        case "empty":
            return 200, {"content-type": "application/json"}, EMPTY
        case "quota":
            return 429, {}, _error("insufficient_quota")
        case "429" | "503":
            return int(kind), retry_after(form, now), _error("rate_limit_exceeded")
        case "rotated":
            return 401, {}, _error("")
        case "401" | "402" | "403" | "404" | "410" | "500" | "502" | "520":
            return int(kind), {}, _error("")
        case _:
            return 200, {"content-type": "application/json"}, LIST


def _error(code: str) -> bytes:
    said = {"message": "no", "type": "error"}
    return json.dumps({"error": {**said, "code": code} if code else said}).encode()


def retry_after(form: str, now: datetime) -> dict[str, str]:
    """Return the headers that ask for a wait, in a *form* of them; digits are seconds."""
    until = now.astimezone(UTC) + timedelta(seconds=90)
    match form:
        case "seconds":
            return {"retry-after": "45"}
        case "float":
            return {"retry-after": "12.5"}
        case "milliseconds":
            return {"retry-after-ms": "20000"}
        case "date":
            return {"retry-after": format_datetime(until, usegmt=True)}
        case "asctime":
            return {"retry-after": until.strftime("%a %b %d %H:%M:%S %Y")}
        case "theirs":  # by a clock that is a day fast: their own date tells
            fast = timedelta(days=1)
            return {
                "date": format_datetime(now.astimezone(UTC) + fast, usegmt=True),
                "retry-after": format_datetime(until + fast, usegmt=True),
            }
        case "absurd":
            return {"retry-after": "99999999"}
        case "negative":
            return {"retry-after": "-30"}
        case "garbage":
            return {"retry-after": "soon"}
        case "" | "none":
            return {}
        case _:
            return {"retry-after": form}
