"""Secrets are named, never written down: what a reference to one may look like.

A value that may be a secret is shown in no message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from services.leaves import BadValue, key, shown

ALLOWED = "{ env = NAME }, { file = PATH } or { command = [PROGRAM, …] }"
LITERAL = f"*** is a literal; a secret is a reference: {ALLOWED}"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
HEADER = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+\Z")
SENDABLE = re.compile(r"[!-~](?:[\t -~]*[!-~])?\Z")
SECRET = re.compile(r"auth|cookie|key|token|secret|passw|credential|signature", re.IGNORECASE)
"""Names of headers whose values open something."""
SCHEME = re.compile(r"(?:bearer|basic|digest|token)\s", re.IGNORECASE)


def reference(value: Any) -> dict[str, Any]:  # noqa: ANN401 - TOML
    """Allow references to a secret; a literal one is refused and never shown."""
    if not isinstance(value, Mapping):
        raise BadValue(LITERAL)
    match dict(value):
        case {"env": str(name), **rest} if not rest and VARIABLE.match(name):
            return {"env": name}
        case {"file": str(path), **rest} if not rest and path.strip() and "\0" not in path:
            return {"file": path}
        case {"command": [str(program), *_] as command, **rest} if (
            not rest and program and all(_word(word) for word in command)
        ):
            return {"command": list(command)}
        case _:
            raise BadValue(f"no reference to a secret; write {ALLOWED}")


def references(value: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - TOML
    """Allow a table of references to secrets."""
    if not isinstance(value, Mapping):
        raise BadValue("*** is no table; write { NAME = { env = … } }, a reference for each")
    return _each(value, lambda _, one: reference(one))


def headers(value: Any) -> dict[str, Any]:  # noqa: ANN401 - TOML
    """Allow a table of header values, each a text or a reference; a literal secret is refused."""
    if not isinstance(value, Mapping):
        raise BadValue('*** is no table; write { NAME = "text" } or { NAME = { env = … } }')
    return _each(value, _header)


def _header(name: str, value: Any) -> Any:  # noqa: ANN401 - TOML
    if not HEADER.match(name):
        raise BadValue(f"{shown(name)} is no name of a header; letters, digits and - are")
    if not isinstance(value, str):
        return reference(value)
    if SECRET.search(name) or SCHEME.match(value):
        raise BadValue(LITERAL)
    if not SENDABLE.match(value):
        raise BadValue(f"{shown(value)} is no value of a header; one line of ASCII is")
    return value


def _each(table: Mapping[str, Any], read: Callable[[str, Any], Any]) -> dict[str, Any]:
    found, wrong = {}, []
    for name, one in table.items():
        try:
            found[name] = read(name, one)
        except BadValue as error:
            wrong.append((f".{key(name)}", str(error)))
    if wrong:
        raise BadValue(told=wrong)
    return found


def _word(word: object) -> bool:
    return isinstance(word, str) and "\0" not in word
