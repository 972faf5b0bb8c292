"""Providers as real HTTP servers on loopback, each with a port of its own.

    async with Simulator() as simulator:
        site = simulator.provider("openai", dialect="openai", key="k")
        site.models = ["gpt-5", {"id": "gpt-5-mini", "object": "model", "created": 1754524800}]
        simulator.script("openai", [faults.refuse()] * 3 + [faults.ok, faults.status(503)])
        ...ask site.base_url, then look at site.requests

A test changes `models` between two fetches; the demo gives a function of the modelled time. What
can go wrong, and how a script says when, stands in `services/demo/faults.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from events.base import Instant
from services.demo.exchange import Answer, Asked, Handshake, read, send
from services.demo.listener import HOST, Listener
from services.demo.more_shapes import MORE
from services.demo.rows import ROWS, Row
from services.demo.script import Faults, Steps
from services.demo.shapes import SHAPES, Listing, refusal

Rows = Sequence[str | Row]
"""Rows in the dialect's own words; a plain id stands for the least that a row says."""

EPOCH = "2026-01-01T00:00:00.000Z"


class Site:
    """One provider.

    What a test may set at any moment: *models* (rows, or a function that gives them), *key* (None:
    open to all), *page_size* (the most rows a page has, whatever is asked for), *etag* (send one,
    and answer 304), *packed* (gzip for who takes it), *body* (raw bytes instead of the list),
    *tls* (speak it on new connections), *faults*. What it may look at: *requests*, in order of
    arrival, *answered*, how many got a list, *connections*, how many came.
    """

    def __init__(  # noqa: PLR0913 - what a site is
        self,
        name: str,
        dialect: str,
        *,
        now: Callable[[], Instant],
        remember: bool,
        host: str = HOST,
        port: int = 0,
    ) -> None:
        self.name = name
        self.dialect = dialect
        self.key: str | None = None
        self.models: Rows | Callable[[], Sequence[Row]] = []
        self.page_size: int | None = None
        self.etag = False
        self.packed = False
        self.body: bytes | None = None
        self.tls: ssl.SSLContext | None = None
        self.faults = Faults()
        self.requests: list[Asked] = []
        self.answered = 0
        self.connections = 0
        self.host = host
        self._shape = SHAPES[dialect] if dialect in SHAPES else MORE[dialect]
        self._now = now
        self._remember = remember
        self._listener = Listener(self._serve, port, host=host, greet=self._greet)
        self._listener.open()

    @property
    def origin(self) -> str:
        """Scheme, host and port; *host* may be set to another name of the same address."""
        return f"{'http' if self.tls is None else 'https'}://{self.host}:{self._listener.port}"

    @property
    def base_url(self) -> str:
        """What the configuration calls `base_url`: the list URL up to the dialect's tail."""
        return self.origin + self._shape.prefix

    def refuse(self) -> None:
        """Refuse connections, and end those that are open, until `accept`."""
        self._listener.refuse()

    def accept(self) -> None:
        """Take connections again, on the same port."""
        self._listener.open()

    async def close(self) -> None:
        """Give up the port."""
        await self._listener.close()

    def rows(self) -> list[Row]:
        """Return the rows of the list as it is now."""
        models = self.models() if callable(self.models) else self.models
        return [self._row(model) if isinstance(model, str) else model for model in models]

    def _row(self, id: str) -> Row:
        """Return the least that a row of this dialect says."""
        if (minimal := ROWS.get(self.dialect)) is not None:
            return minimal({"id": id}, self.name)
        return {self._shape.named: id}

    def _greet(self) -> Handshake:
        self.connections += 1
        greeting = self.faults.greet(self._now()) or Handshake()
        return greeting if greeting.tls else greeting._replace(tls=self.tls)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        going = True
        while going and (asked := await read(reader)) is not None:
            if self._remember:
                self.requests.append(asked)
            fault = self.faults.pick(asked, self._now())
            # what goes wrong goes wrong with a whole list: 304 would leave nothing to be cut
            answer = self._answer(asked, validate=fault is None)
            last = self.faults.waits(self._now())
            answer = fault(asked, answer) if fault else answer
            going = await send(answer, asked, reader, writer, last=last)

    def _answer(self, asked: Asked, *, validate: bool) -> Answer:
        shape = self._shape
        path = asked.path.removeprefix(shape.prefix)
        detail = shape.details.get(path)
        if path != shape.path and detail is None:
            return refusal(404, "not_found_error", f"no {asked.path} here")
        if asked.method != (shape.method if detail else "GET"):
            return refusal(405, "method_not_allowed", f"no {asked.method} for {asked.path}")
        if self.key is not None and shape.presented(asked) != self.key:
            return refusal(401, "authentication_error", "invalid API key")
        if detail is not None:
            return detail(asked, self._listing())._replace(packed=self.packed)
        if self.body is not None:
            return Answer(200, self.body, {"content-type": "application/json"})
        self.answered += 1
        return self._validated(asked, shape.listed(asked, self._listing()), validate=validate)

    def _listing(self) -> Listing:
        stamp = int(datetime.fromisoformat(self._now()).timestamp())
        return Listing(self.rows(), self.page_size, stamp)

    def _validated(self, asked: Asked, answer: Answer, *, validate: bool) -> Answer:
        if not self.etag or answer.status != 200:  # noqa: PLR2004 - the one that has a list
            return answer._replace(packed=self.packed)
        tag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
        if validate and asked.headers.get("if-none-match") == tag:
            return Answer(304, b"", {"etag": tag})
        return answer._replace(headers={**answer.headers, "etag": tag}, packed=self.packed)


class Simulator:
    """Some sites with one life; an async context manager that closes them all.

    *now* is the modelled time, for windows of faults and for Mistral's `created`; a fixed moment
    where it is not given. *remember* keeps each site's requests: not for a process that runs long.
    """

    def __init__(self, *, now: Callable[[], Instant] | None = None, remember: bool = True) -> None:
        self.sites: dict[str, Site] = {}
        self._now = now or (lambda: EPOCH)
        self._remember = remember

    def provider(  # noqa: PLR0913 - what a site is
        self,
        name: str,
        *,
        dialect: str = "openai",
        key: str | None = None,
        host: str = HOST,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> Site:
        """Start a site, reachable when this returns; needs a running event loop.

        *host* is an address of this machine: on Linux all of 127.0.0.0/8 are, for whoever needs
        several hosts. *port* 0 is a free one. Raises KeyError for a dialect that is not simulated,
        ValueError for a name and OSError for a port that is taken.
        """
        if name in self.sites:
            raise ValueError(f"there is a site {name!r} already")
        site = Site(name, dialect, now=self._now, remember=self._remember, host=host, port=port)
        site.key, site.tls = key, tls
        self.sites[name] = site
        return site

    def set_models(self, provider: str, rows: Rows) -> None:
        """Change what a site lists."""
        self.sites[provider].models = rows

    def script(self, provider: str, steps: Steps) -> None:
        """Say what goes wrong at a site from now on, in place of what was said before."""
        self.sites[provider].faults.script(steps)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(site.close() for site in self.sites.values()))
