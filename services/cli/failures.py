"""An exception becomes one line and an exit code; the codes are a closed list."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Literal

from typer.exceptions import Abort, TyperException

from services.cli.output import clean

DONE = 0
FAILED = 1
WRONG = 2
ABSENT = 3
UNREACHABLE = 4
INTERRUPTED = 130

Code = Literal[0, 1, 2, 3, 4, 130]


class Refusal(Exception):
    """A command that ends without its answer: the message names the thing and the way out."""

    def __init__(self, message: str, code: Code = FAILED) -> None:
        """Keep *code*, with which the process ends."""
        super().__init__(message)
        self.code: Code = code


CODES: dict[str, Code] = {}
"""The exceptions of others, by their full name: nothing is imported to know them."""


def guarded(call: Callable[[], object]) -> int:
    """Call *call* and return the exit code; what it raises is told in one line on stderr.

    A bug alone is raised again, with its traceback.
    """
    try:
        returned = call()
    except Exception as error:
        code = code_of(error)
        if code is None:
            raise
        sys.stderr.write(f"{line_of(error)}\n")
        return code
    return returned if isinstance(returned, int) else DONE


def code_of(error: BaseException) -> Code | None:
    """Return the exit code that *error* means, None for a bug."""
    match error:
        case Refusal():
            return error.code
        case TyperException():
            return WRONG
        case Abort():
            return INTERRUPTED
        case OSError():
            return FAILED
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((CODES[name] for name in names if name in CODES), None)


def line_of(error: BaseException) -> str:
    """Return what *error* says to a person."""
    match error:
        case TyperException():
            context = getattr(error, "ctx", None)
            name = context.command_path if context else "modelog"
            text = f"{error.format_message().rstrip('.')}; see `{name} --help`"
        case OSError(strerror=str(reason), filename=str(name)):
            text = f"{name}: {reason}"
        case _:
            text = str(error)
    return "\n".join(clean(line) for line in text.splitlines())
