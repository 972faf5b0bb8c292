"""A body as it arrives: inflated by us, and never more of it than was asked for.

httpx's own decoders inflate a whole chunk without any limit, so they are not used.
"""

from __future__ import annotations

import zlib

GZIP = 31
"""zlib's word for: a gzip header and trailer are required."""

MOST_MEMBERS = 1024
"""A gzip stream may be many in a row; each costs a copy of the rest, so their number is bounded."""


class BadBody(Exception):
    """A body that is too large, badly encoded, cut off or no JSON."""


class Body:
    """Collects the raw chunks of one answer, of *encoding*, up to *limit* bytes.

    The limit holds for the bytes on the wire and for the inflated ones.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self._gzip = encoding.strip().lower() not in {"", "identity"}
        self._encoding = encoding.strip().lower()
        self._limit = limit
        self._raw = 0
        self._members = 0
        self._inflater: zlib._Decompress | None = None
        self._parts = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next raw *chunk*; raise BadBody where it is too much or does not inflate."""
        if self._gzip and self._encoding != "gzip":
            raise BadBody(f"content encoding {self._encoding[:40]!r} was not asked for")
        self._raw += len(chunk)
        if self._raw > self._limit:
            raise BadBody(f"the body is larger than {self._limit} bytes")
        if not self._gzip:
            self._parts += chunk
            return
        while chunk:
            chunk = self._inflate(chunk)

    def _inflate(self, chunk: bytes) -> bytes:
        """Inflate *chunk* up to the end of its gzip member, and return what follows that."""
        if self._inflater is None:
            self._members += 1
            if self._members > MOST_MEMBERS:
                raise BadBody(f"the body has more than {MOST_MEMBERS} gzip members")
            self._inflater = zlib.decompressobj(GZIP)
        left = self._limit - len(self._parts)
        try:  # one byte more than is left tells too much from just enough; 0 would mean no limit
            self._parts += self._inflater.decompress(chunk, left + 1)
        except zlib.error as error:
            raise BadBody(f"the body is no gzip: {error}") from error
        if len(self._parts) > self._limit:
            raise BadBody(f"the body is larger than {self._limit} bytes when inflated")
        if not self._inflater.eof:
            return b""
        rest = self._inflater.unused_data
        self._inflater = None
        return rest

    def so_far(self) -> bytes:
        """Return what has arrived and could be read."""
        return bytes(self._parts)

    def end(self) -> bytes:
        """Return the whole body; raise BadBody where its gzip stream stops before its end."""
        if self._inflater is not None:
            raise BadBody("the gzip stream stops before its end")
        return bytes(self._parts)
