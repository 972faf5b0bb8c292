"""Fixtures that several files share; each is made where its module says what it is."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.support.nats import nats_server, nc, servers
from tests.support.projected import projected

__all__ = ["nats_server", "nc", "projected", "servers"]

# a law is none of speed: on a busy machine an example may take any time
settings.register_profile("modelog", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("modelog")
