"""Who a connection says it is: a `.creds` file, its text, or the seed of an NKey.

It is looked at before it is used: nats-py reads a file without a token for ever, and what it raises
on a damaged one says nothing. Nothing here shows a secret, nor a text that may be one.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

import nkeys  # type: ignore[import-untyped]  # it ships no types
from nats.aio.client import RawCredentials

_SEED = re.compile(r"SU[A-Z2-7]{56}\Z")
_TOKEN = re.compile(r"-----BEGIN NATS USER JWT-----\s+(\S+\.\S+\.\S+)\s")
_SEED_OF_TOKEN = re.compile(r"-----BEGIN USER NKEY SEED-----\s+(\S+)\s")
_REMEDY = "correct `credentials` in [nats]"


class BadCredentials(Exception):
    """What is configured as credentials for NATS is none."""

    def __init__(self, what: str) -> None:
        super().__init__(f"credentials for NATS: {what}; {_REMEDY}")


def identity(credentials: str | None) -> dict[str, Any]:
    """Return the options of nats-py for *credentials*, the text or the path; none where it is None.

    Raises BadCredentials.
    """
    if credentials is None:
        return {}
    if "-----BEGIN" in credentials:
        token, seed = _parted(credentials)
        return {"user_credentials": RawCredentials(_joined(token, seed))}
    if _SEED.match(credentials):
        return {"nkeys_seed_str": _sound(credentials)}
    text = _read(credentials)
    if _SEED.match(text.strip()):
        return {"nkeys_seed_str": _sound(text.strip())}
    _parted(text)
    return {"user_credentials": credentials}  # read anew at every connection


def _parted(text: str) -> tuple[str, str]:
    token, seed = _TOKEN.search(text), _SEED_OF_TOKEN.search(text)
    if token is None or seed is None:
        raise BadCredentials(
            "a `.creds` file holds a user's JWT and NKey seed; here one is missing"
        )
    return token[1], _sound(seed[1])


def _joined(token: str, seed: str) -> str:
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def _sound(seed: str) -> str:
    public_key(seed)
    return seed


def new_seed() -> str:
    """Return the private half of a new NKey of a user."""
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode()


def public_key(seed: str) -> str:
    """Return the public half of a user's NKey; raises BadCredentials."""
    try:
        found: str = bytes(nkeys.from_seed(bytearray(seed, "ascii")).public_key).decode()
    except (nkeys.NkeysError, ValueError) as error:
        raise BadCredentials("the NKey seed is damaged") from error
    if not found.startswith("U"):
        raise BadCredentials("the NKey seed is not a user's")
    return found


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadCredentials(
            "neither the text of a `.creds` file or an NKey seed, nor the path of one that can be"
            " read"
        ) from error
