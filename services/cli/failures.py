"""An exception becomes one line and an exit code; the codes are a closed list."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, Literal

from typer.exceptions import Abort, TyperException

from services.cli.output import clean

DONE: Final = 0
FAILED: Final = 1
WRONG: Final = 2
ABSENT: Final = 3
UNREACHABLE: Final = 4
INTERRUPTED: Final = 130

Code = Literal[0, 1, 2, 3, 4, 130]


class Refusal(Exception):
    """A command that ends without its answer: the message names the thing and the way out."""

    def __init__(self, message: str, code: Code = FAILED) -> None:
        """Keep *code*, with which the process ends."""
        super().__init__(message)
        self.code: Code = code


CODES: dict[str, Code] = {
    "services.clock.BadClock": WRONG,
    "services.config.ConfigError": WRONG,
    "services.keys.KeyUnavailable": FAILED,
    "services.directory.DirectoryHeld": FAILED,
    "services.jetstream.connect.NoServer": UNREACHABLE,
    "services.jetstream.identity.BadCredentials": WRONG,
    "services.jetstream.permissions.BadKey": FAILED,
    "services.jetstream.permissions.PermissionsExist": FAILED,
    "services.jetstream.api.ApiError": FAILED,
    "services.jetstream.api.NoAnswer": UNREACHABLE,
    "services.jetstream.api.NoStream": UNREACHABLE,
    "services.jetstream.server.NoServerBinary": UNREACHABLE,
    "services.jetstream.server.ServerFailed": UNREACHABLE,
    "services.jetstream.drift.StreamDiffers": FAILED,
    "services.jetstream.setup.HalfRestored": FAILED,
    "services.jetstream.setup.TooFewServers": FAILED,
    "services.jetstream.setup.ServerTooOld": FAILED,
    "services.jetstream.setup.SyncNotAlways": FAILED,
    "services.jetstream.messages.GapInLog": FAILED,
    "services.jetstream.history.HistoryChanged": FAILED,
    "services.jetstream.archive.BadArchive": FAILED,
    "services.jetstream.archive.Exists": FAILED,
    "services.jetstream.cutting.ForeignSegments": FAILED,
    "services.jetstream.restore.NotRestored": FAILED,
    "services.jetstream.strand.OutOfOrder": FAILED,
    "services.jetstream.settle.LogFull": FAILED,
    "services.jetstream.history.NotAppended": FAILED,
    "events.codec.BrokenEvent": FAILED,
    "services.notifier.run.NotInstalled": FAILED,
    "services.notifier.store.Another": FAILED,
    "services.projector.boundaries.TornBatch": FAILED,
    "services.projector.projecting.CannotWrite": FAILED,
    "services.projector.rebuild.HistoryDiffers": FAILED,
    "projections.faults.CannotFold": FAILED,
    "projections.database.NoCatalogue": UNREACHABLE,
    "projections.database.NotACatalogue": UNREACHABLE,
    "projections.catalogue.NotReadable": WRONG,
    "sqlite3.DatabaseError": UNREACHABLE,
}
"""The exceptions of others, by their full name: nothing is imported to know them."""


def guarded(call: Callable[[], object]) -> int:
    """Call *call* and return the exit code; what it raises is told in one line on stderr.

    A bug alone is raised again, with its traceback.
    """
    try:
        returned = call()
    except KeyboardInterrupt:
        return INTERRUPTED
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
        case BaseExceptionGroup(exceptions=(single,)):
            return code_of(single)
        case Refusal():
            return error.code
        case TyperException():
            return WRONG
        case Abort():
            return INTERRUPTED
        case OSError():
            return FAILED
        case _:
            pass
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((CODES[name] for name in names if name in CODES), None)


def line_of(error: BaseException) -> str:
    """Return what *error* says to a person."""
    match error:
        case BaseExceptionGroup(exceptions=(single,)):
            return line_of(single)
        case TyperException():
            context = getattr(error, "ctx", None)
            name = context.command_path if context else "modelog"
            told = _wrong(error) or error.format_message().rstrip(".")
            text = f"{told}{' See' if told.endswith('?') else '; see'} `{name} --help`"
        case OSError(strerror=str(reason)) if error.filename is not None:
            text = f"{error.filename}: {reason}"
        case _:
            text = str(error)
    return "\n".join(clean(line) for line in text.splitlines())


def _wrong(error: TyperException) -> str | None:
    """Return which value of which option is not as it should be; None where that is not it."""
    told: Callable[[], list[dict[str, str]]] | None = getattr(error.__cause__, "errors", None)
    option: str | None = next(iter(getattr(getattr(error, "param", None), "opts", ())), None)
    if told is None or option is None:
        return None
    wrong = told()[0]
    return f'{option}: "{wrong["input"]}" {wrong["msg"].partition(",")[0].removeprefix("Input ")}'
