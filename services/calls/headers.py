"""What HTTP allows in a header, asked before it is sent: a key with a line break, mostly.

Source: RFC 9110, section 5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from services.keys import Secret

_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?\Z")
_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+\Z")


def sendable(value: str) -> bool:
    """Tell whether *value* can be the value of a header."""
    return _VALUE.match(value) is not None


def fault(headers: Mapping[str, str], secrets: Sequence[Secret]) -> tuple[str, str] | None:
    """Return the class and the message of the first of *headers* that cannot be sent, if any."""
    for name, value in headers.items():
        if _NAME.match(name) and sendable(value):
            continue
        ours = any(secret.reveal() and secret.reveal() in value for secret in secrets)
        message = f"header {name!r} holds a character that HTTP does not allow"
        return ("credential" if ours else "config"), message
    return None
