"""Faults of how an answer is sent: whatever it says, it comes late, broken or not at all."""

from __future__ import annotations

import ssl
from typing import Any

from services.demo.exchange import Answer, Asked, Delivery, Fault, Handshake


def ok(_: Asked, answer: Answer) -> Answer:
    """Answer rightly: a turn of a script without a fault."""
    return answer


def refuse() -> Handshake:
    """End a connection with RST as it comes: what can be counted, where `Site.refuse` cannot."""
    return Handshake(refuse=True)


def certificate(tls: ssl.SSLContext) -> Handshake:
    """Speak TLS with another certificate: one that has expired, say, or is another host's."""
    return Handshake(tls=tls)


def delivered(**how: Any) -> Fault:  # noqa: ANN401 - the fields of Delivery
    """Send the right answer in a wrong way."""

    def fault(_: Asked, answer: Answer) -> Answer:
        return answer._replace(delivery=Delivery(**how))

    return fault


def hang() -> Fault:
    """Take the request and never answer."""
    return delivered(silent=True, hang=True)


def hang_after_head(sent: int = 0) -> Fault:
    """Send the head and *sent* bytes of the body, then nothing more."""
    return delivered(cut=sent, hang=True)


def reset() -> Fault:
    """Answer with RST."""
    return delivered(silent=True, reset=True)


def hang_up() -> Fault:
    """Close the connection without a byte."""
    return delivered(silent=True)


def garbage(noise: bytes = b"220 mail.example ESMTP ready\r\n") -> Fault:
    """Answer with bytes that are no HTTP, and close the connection."""
    return delivered(noise=noise)


def delay(seconds: float) -> Fault:
    """Answer rightly, *seconds* later."""
    return delivered(delay=seconds)


def drip(size: int = 1, pause: float = 0.05) -> Fault:
    """Send the right body *size* bytes at a time, with a pause after each."""
    return delivered(drip=(size, pause))


def truncate(share: float = 0.5) -> Fault:
    """Close the connection after that share of the body."""

    def fault(_: Asked, answer: Answer) -> Answer:
        cut = int(len(answer.body) * share)
        return answer._replace(packed=False, delivery=Delivery(cut=cut))

    return fault


def wrong_length(by: int = 100) -> Fault:
    """Claim *by* bytes more (or fewer, where negative) than the body has."""

    def fault(_: Asked, answer: Answer) -> Answer:
        claimed = max(0, len(answer.body) + by)
        return answer._replace(packed=False, delivery=Delivery(length=claimed))

    return fault
