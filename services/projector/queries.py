"""The query service: the catalogue, asked over NATS, in threads that only read.

Every answer is of one state of the catalogue, the sequence of which it carries, and comes within
`SECONDS`, if only as a refusal.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from events.queries import Query
from events.requests import LARGEST, Error, ErrorCode, Refused
from events.subjects import FACTS, QUERY, STREAMS
from projections import Catalogue
from projections.catalogue import NotReadable
from projections.database import NoCatalogue, NotACatalogue
from projections.generations import number
from projections.generations import serving as generation
from projections.reader import TooSlow
from services.clock import Clock
from services.jetstream.api import ApiError
from services.jetstream.connect import Client
from services.jetstream.messages import info
from services.jetstream.micro import Identity, Reply, serving
from services.jetstream.read import NoAnswer, NoStream
from services.jetstream.state import living
from services.logs import say
from services.projector.paging import NoRoom, page
from services.projector.questions import QUESTIONS, NotFound, Surroundings

NAME = "modelog"
SECONDS = 4.0
"""For waiting, and again for SQLite: together less than the patience of most who ask, ten."""
THREADS = 2
AT_ONCE = 64
"""Questions that are answered or wait; more are refused."""
LOOK_SECONDS = 0.02
Given = ParamSpec("Given")
Found = TypeVar("Found")
_UNREACHABLE = "the catalogue cannot be read now; ask again"


class QueryRefused(Exception):
    """A question that is not answered; the code is one of the contract's."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code


class Queries:
    """Answers questions about the catalogue at a path; the newest generation, whichever it is."""

    def __init__(self, nc: Client, path: Path, clock: Clock) -> None:
        self._nc = nc
        self._path = path
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, "query")
        self._own = threading.local()
        self._open: list[Catalogue] = []
        self._waiting = 0
        self._decoders = {
            name: msgspec.json.Decoder(question.kind) for name, question in QUESTIONS.items()
        }

    def close(self) -> None:
        """End what is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for catalogue in self._open:
            catalogue.interrupt()

    async def answer(self, name: str, data: bytes) -> Reply:
        """Return the reply to the question *name*; raises nothing."""
        self._waiting += 1
        try:
            return Reply(await self._answer(name, data))
        except QueryRefused as refused:
            return _refusal(refused.code, str(refused))
        except asyncio.CancelledError:
            return _refusal("unavailable", "the projector is stopping; ask again")
        except Exception as error:  # noqa: BLE001 - who asks hears of it, and the log says more
            say("query failed", level=logging.ERROR, query=name, error=repr(error))
            return _refusal("internal", f"{type(error).__name__}; the log of projector says more")
        finally:
            self._waiting -= 1

    async def _answer(self, name: str, data: bytes) -> bytes:
        if self._waiting > AT_ONCE:
            raise QueryRefused("unavailable", "too many questions at once; ask again")
        if len(data) > LARGEST:
            raise QueryRefused("too_large", f"{len(data)} bytes; at most {LARGEST}")
        try:
            request = self._decoders[name].decode(data or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise QueryRefused("invalid", f"{name}: {error}") from error
        here = await self._surroundings(name)
        if request.min_seq is not None:
            await self._reached(request.min_seq)
        return await self._in_thread(_read, name, request, here)

    async def _reached(self, seq: int) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                while await self._in_thread(_seq) < seq:  # noqa: ASYNC110 - a file has no event
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError as error:
            told = f"min_seq: the catalogue is not at {seq} within {SECONDS:g} s"
            raise QueryRefused("timeout", told) from error

    async def _in_thread(
        self,
        work: Callable[Concatenate[Catalogue, Given], Found],
        *given: Given.args,
        **named: Given.kwargs,
    ) -> Found:
        def asked() -> Found:
            return work(self._catalogue(), *given, **named)

        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, asked)
        except TooSlow as error:
            raise QueryRefused("timeout", str(error)) from error
        except (NoCatalogue, NotACatalogue, NotReadable, sqlite3.OperationalError) as error:
            # gone, locked, or one of another version that a rebuild is about to replace
            say("query failed", level=logging.WARNING, error=str(error))
            raise QueryRefused("unavailable", _UNREACHABLE) from error

    def _catalogue(self) -> Catalogue:
        """Return the catalogue of this thread."""
        catalogue: Catalogue | None = getattr(self._own, "catalogue", None)
        if catalogue is None:
            catalogue = self._own.catalogue = Catalogue.open(self._path)
            self._open.append(catalogue)
        return catalogue

    async def _surroundings(self, name: str) -> Surroundings:
        now = self._clock.now()
        if name == "health":
            return Surroundings(now, monitors=await living(self._nc, "health-monitor"))
        if name not in {"schedules", "status"}:
            return Surroundings(now)
        last, installation = await self._ends()
        at = self._nc.connected_url
        url = None if at is None else f"{at.scheme}://{at.netloc.rpartition('@')[2]}"
        return Surroundings(now, installation, self._path.parent, url, last)

    async def _ends(self) -> tuple[dict[str, int | None], str | None]:
        """Return the last sequence of each stream, and whose log it is, as far as it is known."""
        last: dict[str, int | None] = {}
        installation: str | None = None
        for stream in STREAMS:
            try:
                found = await info(self._nc, stream, deadline=1.0)
            except (NoStream, NoAnswer, ApiError):
                last[stream] = None
                continue
            last[stream] = found.last_seq
            installation = found.installation if stream == FACTS else installation
        return last, installation

    async def figures(self) -> dict[str, Any]:
        """Return how far the catalogue is, of which generation and which log."""
        last, _ = await self._ends()
        try:
            found = await self._in_thread(_figures)
        except QueryRefused:
            found = {"checkpoint": {}, "epoch": {}, "generation": None}
        lag = {
            stream: max(end - found["checkpoint"].get(stream, 0), 0)
            for stream, end in last.items()
            if end is not None
        }
        return {**found, "lag": lag}


@asynccontextmanager
async def answering(nc: Client, path: Path, clock: Clock) -> AsyncIterator[None]:
    """Answer what is asked of the catalogue at *path* for the length of the block."""
    queries = Queries(nc, path, clock)
    identity = Identity(NAME, version("modelog"), "The catalogue of models", "projector")
    endpoints = {name: QUERY + name for name in QUESTIONS}
    try:
        async with serving(nc, identity, endpoints, queries.answer, queries.figures):
            yield
    finally:
        queries.close()


def _read(catalogue: Catalogue, name: str, request: Query, here: Surroundings) -> bytes:
    with catalogue.steady(SECONDS):
        try:
            return page(catalogue, name, request, here)
        except NoRoom as error:
            raise QueryRefused("too_large", str(error)) from error
        except NotFound as error:
            raise QueryRefused("not_found", str(error)) from error
        except (ValueError, OverflowError) as error:
            raise QueryRefused("invalid", f"{name}: {error}") from error


def _seq(catalogue: Catalogue) -> int:
    return catalogue.seq()


def _figures(catalogue: Catalogue) -> dict[str, Any]:
    found = catalogue.checkpoint()
    return {
        "checkpoint": {name: one.seq for name, one in found.items()},
        "epoch": {name: one.epoch for name, one in found.items()},
        "generation": number(generation(catalogue.path)),
    }


def _refusal(code: ErrorCode, message: str) -> Reply:
    payload = msgspec.json.encode(Refused(error=Error(code=code, message=message)))
    return Reply(payload, code, message)
