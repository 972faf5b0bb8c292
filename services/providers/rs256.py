"""RSA signatures with SHA-256, for the one assertion that a Google service account signs.

No library of ours does it: this reads the key and does the sum. Not for use where an attacker can
measure the time that a signature takes; here it is one an hour, on the owner's own host.
Source: RFC 8017, section 8.2; RFC 5208; RFC 7515.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

_PEM = re.compile(r"-----BEGIN (RSA )?PRIVATE KEY-----(.+?)-----END", re.DOTALL)
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
"""The DER prefix of a SHA-256 digest."""
INTEGER, OCTETS, SEQUENCE = 0x02, 0x04, 0x30


class BadKey(ValueError):
    """A text that is no RSA private key in PEM."""


def assertion(claims: Mapping[str, Any], private_key: str) -> str:
    """Return *claims* as a signed JWT; raise BadKey where *private_key* is none."""
    header = msgspec.json.encode({"alg": "RS256", "typ": "JWT"})
    signing = b".".join([_base64(header), _base64(msgspec.json.encode(claims))])
    return b".".join([signing, _base64(sign(signing, private_key))]).decode()


def sign(message: bytes, private_key: str) -> bytes:
    """Return the PKCS #1 v1.5 signature of *message*; raise BadKey as `assertion` does."""
    modulus, exponent = _key(private_key)
    length = (modulus.bit_length() + 7) // 8
    digest = _SHA256 + hashlib.sha256(message).digest()
    padding = length - len(digest) - 3
    if padding < 8:  # noqa: PLR2004 - RFC 8017
        raise BadKey("the RSA key is too short")
    block = b"\x00\x01" + b"\xff" * padding + b"\x00" + digest
    return pow(int.from_bytes(block), exponent, modulus).to_bytes(length)


def _key(pem: str) -> tuple[int, int]:
    """Return the modulus and the private exponent."""
    found = _PEM.search(pem)
    if found is None:
        raise BadKey("no RSA private key in PEM")
    try:
        der = base64.b64decode(found[2], validate=False)
        body, _ = _element(der, SEQUENCE)
        if not found[1]:  # PKCS #8: version, algorithm, and the key itself in octets
            _, rest = _element(body, INTEGER)
            _, rest = _element(rest, SEQUENCE)
            body, _ = _element(_element(rest, OCTETS)[0], SEQUENCE)
        numbers = []
        for _ in range(4):  # version, modulus, public and private exponent
            number, body = _element(body, INTEGER)
            numbers.append(int.from_bytes(number))
    except (binascii.Error, IndexError) as error:
        raise BadKey("the RSA private key cannot be read") from error
    return numbers[1], numbers[3]


def _element(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """Split the first element, which must be a *tag*, from what follows it."""
    if der[0] != tag:
        raise BadKey("the RSA private key is no RSA private key")
    start, size = 2, der[1]
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[2:start])
    if start + size > len(der):
        raise BadKey("the RSA private key is cut off")
    return der[start : start + size], der[start + size :]


def _base64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
