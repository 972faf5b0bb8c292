"""One holder at a time for each key of the bucket `modelog_lease`, fenced by its revision.

A lease saves work and keeps two processes from doing the same at once; it is safe only together
with the expectation of every append. Its time is counted from before it was asked for, on a local
clock that never steps back, so that a holder knows that it holds no more before anybody else can.

Source: event-log.md, section 7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from nats.errors import Error

from services import clock as clocks
from services.jetstream.api import ANSWER_SECONDS, DEADLINE_SECONDS, ApiError, NoAnswer
from services.jetstream.buckets import Changed, Entry, Unanswered, look, purge, write
from services.jetstream.connect import Client
from services.jetstream.streams import LEASES
from services.machine import gone, identity

TTL = 20
"""Seconds after which a lease that is not renewed expires."""
QUARTER = 4
"""A lease is renewed every quarter of that, and its holder stops a quarter before."""
PAUSE = (0.05, 0.25)
RELEASE_SECONDS = 1.0

TOKEN = "Modelog-Lease"  # noqa: S105 - the name of a header: which acquisition wrote this
PROCESS = "Modelog-Process"

Now = Callable[[], float]


class Lease:
    """A key that this process holds, renewed by a task of its own until it is released or lost.

    *sole*: nobody else has held the key since this process held it last. `over` is set when it is
    held no more, for whichever reason; a lease that is over stays over.
    """

    def __init__(  # noqa: PLR0913 - made by Leases alone
        self,
        leases: Leases,
        key: str,
        headers: Mapping[str, str],
        revision: int,
        began: float,
        *,
        sole: bool,
    ) -> None:
        self.key = key
        self.revision = revision
        self.sole = sole
        self.over = asyncio.Event()
        self._leases = leases
        self._headers = headers
        self._until = leases.until(began)
        self._task = asyncio.create_task(self._keep())

    @property
    def holds(self) -> bool:
        """Whether this process may act on it now."""
        return not self.over.is_set() and self._leases.now() < self._until

    async def _keep(self) -> None:
        renewed = True
        while renewed:
            left = self._until - self._leases.now()
            wait = self._leases.ttl / QUARTER * clocks.uniform(0.8, 1.2)
            await asyncio.sleep(max(0.0, min(wait, left)))
            renewed = await self._renew()
        self.over.set()
        self._leases.forget(self)

    async def _renew(self) -> bool:
        """Renew it; False where somebody else has it, or it could not be renewed in time."""
        nc, now = self._leases.nc, self._leases.now
        unsure: float | None = None
        while (left := self._until - now()) > 0:
            began = now()
            try:
                self.revision = await self._leases.write(
                    self.key, self._headers, self.revision, left
                )
                self._until = self._leases.until(began)
            except Unanswered:
                unsure = began if unsure is None else unsure
            except Changed:
                try:
                    entry = await look(nc, LEASES, self.key, deadline=left)
                except (NoAnswer, ApiError):
                    continue
                if not _written_by(entry, self._headers):
                    return False
                if entry.revision != self.revision:  # an earlier attempt has arrived
                    self.revision = entry.revision
                    self._until = self._leases.until(began if unsure is None else unsure)
                    return True
            except (ApiError, Error):
                return False
            else:
                return True
            await asyncio.sleep(clocks.uniform(*PAUSE))
        return False

    async def release(self) -> None:
        """Let others have it at once; where the server is away it expires by itself."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if self.over.is_set():
            return
        self.over.set()
        with suppress(Changed, Unanswered, ApiError, Error):
            left = await purge(
                self._leases.nc,
                LEASES,
                self.key,
                expected=self.revision,
                seconds=RELEASE_SECONDS,
            )
            self._leases.left(self.key, left)
        self._leases.forget(self)


class Leases:
    """The leases of one process, whose instance is *holder*; lives as long as its connection."""

    def __init__(
        self,
        nc: Client,
        holder: str,
        *,
        process: str | None = None,
        ttl: int = TTL,
        now: Now = clocks.elapsed,
    ) -> None:
        self.nc = nc
        self.holder = holder
        self.ttl = ttl
        self.now = now
        self._process = identity() if process is None else process
        self._held: dict[str, Lease | None] = {}
        self._left: dict[str, int] = {}

    def until(self, began: float) -> float:
        """Return until when a lease holds that was asked for at *began*."""
        return began + self.ttl - self.ttl / QUARTER

    async def acquire(
        self,
        key: str,
        *,
        note: Mapping[str, str] = {},
        deadline: float = DEADLINE_SECONDS,
    ) -> Lease | None:
        """Return the lease of *key*, None where another holds it, or this process already.

        *note* are headers by which others see what it is held for. A holder that died on this
        machine holds no more. Raises NoAnswer where JetStream is away for *deadline* seconds, and
        ApiError where it refuses.
        """
        if key in self._held:
            return None
        self._held[key] = None
        try:
            lease = self._held[key] = await self._acquire(key, note, self.now() + deadline)
        finally:
            if self._held[key] is None:
                del self._held[key]
        return lease

    async def _acquire(self, key: str, note: Mapping[str, str], end: float) -> Lease | None:
        headers = {**note, TOKEN: clocks.new_id(), PROCESS: self._process}
        ours = self._left.pop(key, None)
        expected = ours
        unsure: float | None = None
        while (left := end - self.now()) > 0:
            began = self.now()
            try:
                revision = await self.write(key, headers, expected, left)
            except Unanswered:
                unsure = began if unsure is None else unsure
            except Changed:
                entry = await look(self.nc, LEASES, key, deadline=left)
                if _written_by(entry, headers):
                    began = began if unsure is None else unsure
                    return Lease(self, key, headers, entry.revision, began, sole=ours == expected)
                if not self._free(entry):
                    return None
                if entry.revision != expected:
                    expected = entry.revision
                    continue
            else:
                return Lease(self, key, headers, revision, began, sole=ours == expected)
            await asyncio.sleep(clocks.uniform(*PAUSE))
        raise NoAnswer(f"no answer from JetStream to {key} of {LEASES}")

    async def write(
        self, key: str, headers: Mapping[str, str], expected: int | None, left: float
    ) -> int:
        """Write *key* for one TTL where its revision is *expected*; None: not known, so it is not.

        Waits no longer than *left* seconds for the answer; otherwise as the `write` of a bucket.
        """
        if expected is None:
            raise Changed(key)
        return await write(
            self.nc,
            LEASES,
            key,
            self.holder.encode(),
            expected=expected,
            ttl=self.ttl,
            headers=headers,
            seconds=min(left, ANSWER_SECONDS),
        )

    def _free(self, entry: Entry) -> bool:
        """Tell whether nobody holds it: neither a process that lives, nor we ourselves."""
        if entry.value is None or entry.value == self.holder.encode():
            return True
        return gone(entry.headers.get(PROCESS, ""))

    def left(self, key: str, revision: int) -> None:
        """Remember what this process left when it released *key*."""
        self._left[key] = revision

    def forget(self, lease: Lease) -> None:
        """Hold *lease* no more."""
        if self._held.get(lease.key) is lease:
            del self._held[lease.key]

    async def who(self, key: str) -> Entry:
        """Return what *key* holds: without a value where nobody has it.

        Raises NoStream, NoAnswer and ApiError.
        """
        entry = await look(self.nc, LEASES, key)
        return entry._replace(value=None) if gone(entry.headers.get(PROCESS, "")) else entry


def _written_by(entry: Entry, headers: Mapping[str, str]) -> bool:
    return entry.value is not None and entry.headers.get(TOKEN) == headers[TOKEN]
