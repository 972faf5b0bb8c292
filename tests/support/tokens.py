"""Operators, accounts and users as JWTs, signed here as the tools of NATS sign them."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any

import nkeys  # type: ignore[import-untyped]  # it ships no types

_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
_LIMITS = dict.fromkeys(
    (
        *("subs", "data", "payload", "imports", "exports", "conn", "leaf"),
        *("mem_storage", "disk_storage", "streams", "consumer"),
    ),
    -1,
)


class Key:
    """A key pair, and what it signs."""

    def __init__(self, kind: int) -> None:
        self.seed = nkeys.encode_seed(secrets.token_bytes(32), kind).decode()
        self._pair = nkeys.from_seed(bytearray(self.seed, "ascii"))
        self.public = bytes(self._pair.public_key).decode()  # bytes, whatever it says itself

    def token(self, subject: str, kind: str, **claims: Any) -> str:  # noqa: ANN401 - JSON
        """Sign that *subject* is of this kind."""
        told = {
            "jti": secrets.token_hex(16),
            "iat": 1_767_225_600,
            "iss": self.public,
            "sub": subject,
            "name": kind,
            "nats": {"type": kind, "version": 2, **claims},
        }
        text = f"{_packed(json.dumps(_HEADER).encode())}.{_packed(json.dumps(told).encode())}"
        return f"{text}.{_packed(self._pair.sign(text.encode()))}"


class Operator:
    """An operator with an account for modelog, and one for the system."""

    def __init__(self) -> None:
        self._operator = Key(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = Key(nkeys.PREFIX_BYTE_ACCOUNT)
        self._system = Key(nkeys.PREFIX_BYTE_ACCOUNT)

    def configuration(self) -> str:
        """Return what makes a server trust this operator."""
        system = self._system.public
        trusted = self._operator.token(self._operator.public, "operator", system_account=system)
        accounts = {
            self._account.public: self._operator.token(
                self._account.public, "account", limits={**_LIMITS, "wildcards": True}
            ),
            system: self._operator.token(
                system,
                "account",
                limits={**_LIMITS, "wildcards": True}
                | dict.fromkeys(["mem_storage", "disk_storage", "streams", "consumer"], 0),
            ),
        }
        preloaded = "\n".join(f"  {name}: {token}" for name, token in accounts.items())
        return (
            f"operator: {trusted}\nsystem_account: {system}\nresolver: MEMORY\n"
            f"resolver_preload {{\n{preloaded}\n}}"
        )

    def credentials(self, **permissions: list[str]) -> str:
        """Return the text of a `.creds` file of a new user; *permissions* by `pub` and `sub`."""
        user = Key(nkeys.PREFIX_BYTE_USER)
        allowed = {name: {"allow": subjects} for name, subjects in permissions.items()}
        token = self._account.token(
            user.public, "user", **{"subs": -1, "data": -1, "payload": -1, **allowed}
        )
        return (
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )


def _packed(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
