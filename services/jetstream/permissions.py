"""The accounts and permissions of every role, as a file that nats-server includes.

The file holds public keys alone. The private one of each role is a file of its own beside it, for
whoever plays that role and nobody else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from events.subjects import FACTS
from services.jetstream.identity import BadCredentials, new_seed, public_key
from services.jetstream.roles import ACCOUNT_INFO, BRIEF, MANY, ROLES, Role

SUFFIX = ".nk"
SLOWEST = "1h"
"""How long the answer to a command may take: a refresh is waited for."""
INDENT = "  "


class BadKey(Exception):
    """A file that ought to hold the private key of a role does not."""


class PermissionsExist(Exception):
    """The file is there already: what it permits may be in use."""


def write_permissions(file: Path) -> dict[str, Path]:
    """Write the permissions to *file*, and return the file of each role's private key.

    A key that is there stays, so that a new *file* goes with the old ones. Raises PermissionsExist,
    BadKey, and OSError.
    """
    if file.exists() or file.is_symlink():
        raise PermissionsExist(
            f"{file} exists; move it away to have it written anew (the keys in {_folder(file)} "
            "stay valid), or name another file"
        )
    folder = _folder(file)
    folder.mkdir(mode=0o700, exist_ok=True)
    paths = {role.name: folder / f"{role.name}{SUFFIX}" for role in ROLES}
    public = {name: _public(path) for name, path in paths.items()}
    with file.open("x") as target:
        target.write(permissions(public, file.name))
    return paths


def _folder(file: Path) -> Path:
    """Return where the private keys are that go with *file*."""
    return file.with_name(f"{file.stem}-keys")


def _public(path: Path) -> str:
    """Return the public half of the key in *path*, which is made where it is not there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        seed = path.read_text(errors="replace").strip()
    else:
        seed = new_seed()
        with os.fdopen(descriptor, "w") as target:
            target.write(f"{seed}\n")
    try:
        return public_key(seed)
    except BadCredentials as error:
        raise BadKey(f"{path} holds no key of a user; delete it to have one made") from error


def permissions(public: Mapping[str, str], name: str = "FILE") -> str:
    """Return the text of the file *name*, given the *public* key of each role."""
    outside = [role for role in ROLES if not role.inside]
    lines = [*_head(name), "accounts {", *_indented([*_log(public)])]
    for role in outside:
        lines += _indented(["", *_account(role, public[role.name])])
    return "\n".join([*lines, "}", ""])


def _head(name: str) -> list[str]:
    return [
        "# Who may do what on the log of modelog: one account holds it, and each role has its own.",
        f"# Written by `modelog init --permissions`. In the server's configuration: include {name}",
        "# With accounts of your own, move what is within the braces into your block `accounts`.",
        "# Who is no user here, and of no account of yours, is refused.",
        "",
    ]


def _log(public: Mapping[str, str]) -> list[str]:
    """Return the account of the log: who works in it, and what it lets the others use."""
    lines = [f"{FACTS} {{", f"{INDENT}jetstream: enabled", f"{INDENT}users: ["]
    for role in (role for role in ROLES if role.inside):
        user = _indented(_user(role, public[role.name]), 2)
        if role.name == BRIEF:
            lines += [
                f"{INDENT * 2}# Take the # away for as long as `modelog restore` runs; reload the",
                f"{INDENT * 2}# server before and after.",
                *(f"{INDENT * 2}# {line.removeprefix(INDENT * 2)}" for line in user),
            ]
        else:
            lines += user
    lines += [f"{INDENT}]", f"{INDENT}exports: ["]
    lines += _indented(_exports(), 2)
    return [*lines, f"{INDENT}]", "}"]


def _exports() -> list[str]:
    """Return what the account of the log exports, each to the roles that use it alone."""
    asked: dict[str, list[str]] = {}
    heard: dict[str, list[str]] = {}
    for role in (role for role in ROLES if not role.inside):
        for subject in _imported(role):
            asked.setdefault(subject, []).append(role.account)
        for subject in role.hears:
            heard.setdefault(subject, []).append(role.account)
    return [
        *(_export("service", subject, to, _many(subject)) for subject, to in asked.items()),
        *(_export("stream", subject, to) for subject, to in heard.items()),
    ]


def _imported(role: Role) -> tuple[str, ...]:
    """Return the subjects of the log's account that *role* imports.

    JetStream's own answer to accounts without a stream gives way to an import of its first
    question: without it every other question would be answered twice, first by an error.
    """
    return (*dict.fromkeys((ACCOUNT_INFO, *role.asks)),)


def _many(subject: str) -> str:
    return ", response: stream" if subject.startswith(MANY) else ""


def _export(kind: str, subject: str, to: Iterable[str], more: str = "") -> str:
    return f"{{ {kind}: {_quoted(subject)}{more}, accounts: [{', '.join(to)}] }}"


def _account(role: Role, public: str) -> list[str]:
    """Return the account of one role."""
    return [
        f"{role.account} {{",
        f"{INDENT}users: [",
        *_indented(_user(role, public), 2),
        f"{INDENT}]",
        f"{INDENT}imports: [",
        *_indented(_imports(role), 2),
        f"{INDENT}]",
        *_indented(_offered(role)),
        "}",
    ]


def _imports(role: Role) -> list[str]:
    own = [("service", subject, FACTS) for subject in _imported(role)]
    own += [("stream", subject, FACTS) for subject in role.hears]
    own += [("service", subject, _answering(subject).account) for subject in role.requests]
    return [
        f"{{ {kind}: {{ account: {account}, subject: {_quoted(subject)} }} }}"
        for kind, subject, account in own
    ]


def _answering(subject: str) -> Role:
    return next(role for role in ROLES if subject in role.answers)


def _offered(role: Role) -> list[str]:
    """Return what *role* answers, as exports to those that may ask it."""
    if not role.answers:
        return []
    lines = [
        _export(
            "service",
            subject,
            (one.account for one in ROLES if subject in one.requests),
            _many(subject) or f", threshold: {_quoted(SLOWEST)}",
        )
        for subject in role.answers
    ]
    return ["exports: [", *_indented(lines), "]"]


def _user(role: Role, public: str) -> list[str]:
    lines = [
        f"# {role.name}",
        f"{{ nkey: {public}, permissions: {{",
        *_indented(["publish: [", *_indented(map(_quoted, role.publish)), "]"]),
        *_indented(["subscribe: [", *_indented(map(_quoted, role.subscribe)), "]"]),
    ]
    if role.answers:
        lines.append(f"{INDENT}allow_responses: {{ max: 1, expires: {_quoted(SLOWEST)} }}")
    return [*lines, "} }"]


def _indented(lines: Iterable[str], times: int = 1) -> list[str]:
    return [f"{INDENT * times}{line}" if line else "" for line in lines]


def _quoted(text: str) -> str:
    return json.dumps(text)
