"""One line about a failed call: for the operator, without secrets and safe on a terminal."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from http import HTTPStatus

from services.calls.answers import Said
from services.calls.classify import leaves
from services.keys import Secret, redact

LONGEST = 200


def one_line(text: str, secrets: Sequence[Secret]) -> str:
    """Return *text* without secrets, control characters and line breaks, cut to 200 characters."""
    shown = redact(text, secrets)
    shown = "".join(char if char.isprintable() else " " for char in shown)
    shown = " ".join(shown.split())
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def of_answer(status: int, said: Said) -> str:
    """Return what an answer that is no success says: its status, and its own first words."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    head = f"HTTP {status} {phrase}".rstrip()
    if said.edge:
        return f"{head}: a page, not an answer of the API"
    return f"{head}: {said.text}" if said.text else head


def of_failure(
    class_: str, error: BaseException, *, host: str, timeout: float, connect_timeout: float
) -> str:
    """Return what happened where an exchange with *host* ended in *error* of class *class_*."""
    match class_:
        case "timeout_connect":
            return f"no connection to {host} within {connect_timeout:g} s"
        case "timeout_read":
            return f"{host} fell silent before the answer was whole"
        case "timeout_total":
            return f"no whole answer from {host} within {timeout:g} s"
        case "dns_nx":
            return f"no such host: {host}"
        case "dns":
            return f"the name {host} could not be looked up: {_reason(error)}"
        case "tls":
            return f"no trusted TLS with {host}: {_reason(error)}"
        case "invalid_response" | "config":
            return str(error) or type(error).__name__
        case _:
            return f"{host}: {_reason(error)}"


def _reason(error: BaseException) -> str:
    found = list(leaves(error))
    for leaf in found:
        if isinstance(leaf, ssl.SSLCertVerificationError):
            return leaf.verify_message
    reasons = dict.fromkeys(_text(leaf) for leaf in found)
    return "; ".join(reasons)


def _text(leaf: BaseException) -> str:
    if isinstance(leaf, OSError) and not isinstance(leaf, ssl.SSLError) and (leaf.errno or 0) > 0:
        return os.strerror(leaf.errno or 0)  # asyncio puts an address in place of the reason
    if isinstance(leaf, OSError) and leaf.strerror:
        return leaf.strerror
    return str(leaf) or type(leaf).__name__
