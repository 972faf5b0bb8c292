"""Fixtures that several files share; each is made where its module says what it is."""

from __future__ import annotations

from tests.support.nats import nats_server, nc, servers

__all__ = ["nats_server", "nc", "servers"]
