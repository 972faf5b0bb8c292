"""What the cycles of all providers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from services.calls.call import Client
from services.calls.limits import Limits
from services.calls.tokens import Tokens
from services.clock import Clock
from services.waits import Waits

Heard = Callable[[str, bool], None]
"""Told of each first attempt: the host, and whether a status line came back."""


class Desk(NamedTuple):
    """The way out to all providers, and the bounds on it."""

    client: Client
    limits: Limits
    clock: Clock
    waits: Waits
    tokens: Tokens
    heard: Heard
