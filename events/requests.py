"""What may be asked of the processes, and what they answer: JSON, request and reply."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ErrorCode = Literal[
    "invalid", "not_found", "conflict", "too_large", "unavailable", "timeout", "internal"
]


class Refresh(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Refresh one provider, or all of them where *provider* is null.

    *force* ignores schedule and validators; with *wait* the reply comes with the outcomes.
    """

    provider: str | None = None
    force: bool = False
    wait: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a command started, or joined where it was on its way already."""

    provider: str
    run_id: str
    joined: bool = False


class Accepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command that is carried out; *outcomes* are the outcome events, where it asked to wait."""

    accepted: Literal[True]
    correlation_id: str
    runs: list[Run] = []
    outcomes: list[dict[str, Any]] | None = None


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused; *code* is one of a closed list."""

    code: ErrorCode
    message: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to a request that failed."""

    error: Error


COMMANDS: dict[str, type[msgspec.Struct]] = {"refresh": Refresh}
"""Every command by the rest of its subject."""
LARGEST = 262_144
"""Bytes of a request; a larger one is refused."""
