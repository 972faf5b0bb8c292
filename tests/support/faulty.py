"""What goes wrong outside of a simulated provider: its certificates, and the resolver of names."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import trustme

from services.demo.listener import HOST

PAST = datetime(2020, 1, 1, tzinfo=UTC)


class Certificates:
    """Contexts of servers, for ``site.tls`` and ``faults.certificate``, and one of a client.

    *trusting* is what a client trusts: *good*, and of the others none.
    """

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.trusting = ssl.create_default_context()
        self._authority.configure_trust(self.trusting)
        self.good = self.issued(HOST, "localhost")
        self.expired = self.issued(HOST, "localhost", until=PAST)
        self.wrong_host = self.issued("other.example")
        self.untrusted = _serving(trustme.CA().issue_cert(HOST, "localhost"))

    def issued(self, *names: str, until: datetime | None = None) -> ssl.SSLContext:
        """Return the context of a server with a trusted certificate for *names*, up to *until*."""
        return _serving(self._authority.issue_cert(*names, not_after=until))


def _serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@contextmanager
def resolving(names: Mapping[str, str | int]) -> Iterator[None]:
    """Let the running loop find *names* at an address, or fail with a number of the resolver's.

    Such numbers are ``socket.EAI_NONAME`` and its like. *names* may change meanwhile; names that
    are not among them are looked up as ever.
    """
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def getaddrinfo(host: Any, port: Any, **more: Any) -> Any:  # noqa: ANN401 - asyncio's own
        name = host.decode("ascii") if isinstance(host, bytes) else host
        found = names.get(name, name)
        if isinstance(found, int):
            raise socket.gaierror(found, "the resolver of this test says so")
        return await real(found, port, **more)

    vars(loop)["getaddrinfo"] = getaddrinfo
    try:
        yield
    finally:
        del vars(loop)["getaddrinfo"]
