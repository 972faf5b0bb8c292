"""The command line: what `modelog` can be asked, and how the answer is found fast.

Only the module of the command that was named is imported; of the others the table knows enough for
``--help``.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple

import typer

from services.cli.failures import guarded


class Command(NamedTuple):
    """Where a command is, below this package, and the first line of what it says of itself."""

    home: str
    function: str
    line: str


GROUPS = {
    "models": "What is offered: list, search, compare, look back.",
    "providers": "Who offers it: the registry, and asking again.",
    "schedules": "When each provider is asked.",
    "alerts": "What people are told of: list, look, acknowledge, silence.",
}

COMMANDS = {
    "up": Command("processes", "up", "Start everything on this machine, and keep it running."),
    "demo": Command("demo", "demo", "Play months of recorded changes; no network, no key."),
    "run": Command("processes", "run", "Run one process."),
    "init": Command("init", "init", "Create the streams, or check that they are ours."),
    "models list": Command("models", "list_", "List models."),
    "models show": Command("models", "show", "Show one model, of every provider that serves it."),
    "models search": Command("models", "search", "Search ids, names, families and descriptions."),
    "models history": Command("models", "history", "List every version of a model."),
    "models diff": Command("models", "diff", "Compare the catalogue at two moments."),
    "models validate": Command("models", "validate", "Ask whether a model has capabilities."),
    "providers list": Command("providers", "list_", "List providers."),
    "providers show": Command("providers", "show", "Show one provider and its last refreshes."),
    "providers add": Command("registry", "add", "Register a provider."),
    "providers update": Command("registry", "update", "Change a provider's settings."),
    "providers remove": Command("registry", "remove", "Unregister a provider."),
    "providers enable": Command("registry", "enable", "Ask a disabled provider again."),
    "providers disable": Command("registry", "disable", "Ask a provider no more for now."),
    "schedules list": Command("schedules", "list_", "List when each provider is asked."),
    "providers refresh": Command("refresh", "refresh", "Ask providers for their models now."),
    "providers check": Command("check", "check", "Check providers now."),
    "health": Command("health", "health", "Show how the providers are, or all of one."),
    "alerts list": Command("alerts", "list_", "List alerts."),
    "alerts show": Command("alerts", "show", "Show one alert, open or resolved."),
    "alerts ack": Command("alerts", "ack", "Tell that somebody has seen to an alert."),
    "alerts silence": Command("alerts", "silence", "Tell nobody of an alert for a while."),
    "watch": Command("watch", "watch", "Print events as they are stored."),
    "replay": Command("replay", "replay", "Build a catalogue from the log, as it was at a moment."),
    "rebuild": Command("rebuild", "rebuild", "Build the catalogue anew, beside the one in use."),
    "backup": Command("backup", "backup", "Copy the log into a file."),
    "restore": Command("backup", "restore", "Put a log back into an empty directory or server."),
    "verify": Command("verify", "verify", "Read the log whole, and compare the catalogue with it."),
    "query": Command("database", "query", "Ask the catalogue in SQL; nothing can be changed."),
    "export": Command("export", "export", "Print the catalogue in the form other tools read."),
    "schema": Command("database", "schema", "Print the JSON Schema of every event, and AsyncAPI."),
    "status": Command("status", "status", "Show everything on one screen."),
    "doctor": Command("doctor", "doctor", "Say what is wrong on this machine; how to mend it."),
    "version": Command("version", "version", "Show the versions of modelog and of its parts."),
}  # fmt: skip
"""The whole surface."""

ANYWHERE = ("--config", "--data")
"""Options that every command takes, before or after its name."""


def main() -> None:
    """Run the command of the command line, and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; a bug alone raises."""
    args = arranged(arguments)
    everything = "_MODELOG_COMPLETE" in os.environ
    wanted: set[str | None] = set(COMMANDS) if everything else {command_of(args)}

    def called() -> object:
        return application(wanted)(args, prog_name="modelog", standalone_mode=False)

    return guarded(called)


def arranged(arguments: Sequence[str]) -> list[str]:
    """Return *arguments* as Typer takes them: ``--config`` and ``--data`` behind the command.

    ``status --config`` without a file asks for the effective configuration. No command is a
    question for help.
    """
    if list(arguments) in (["--version"], ["-V"]):
        return ["version"]
    words, moved, rest = _sorted(arguments)
    command = command_of(words)
    if command is None:
        groups = [word for word in words if word in GROUPS]
        return words if set(words) - set(groups) else [*groups[:1], "--help"]
    return [*words, *moved, *rest]


def _sorted(arguments: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Split into the words, what every command takes, and all from a ``--`` on."""
    words: list[str] = []
    moved: list[str] = []
    waiting = list(arguments)
    while waiting and waiting[0] != "--":
        word = waiting.pop(0)
        if word == "--config" and "status" in words and _is_option(waiting):
            moved.append("--effective")
        elif word in ANYWHERE:
            moved += [word, *waiting[:1]]
            waiting = waiting[1:]
        elif word.startswith(tuple(f"{option}=" for option in ANYWHERE)):
            moved.append(word)
        else:
            words.append(word)
    return words, moved, waiting


def _is_option(waiting: list[str]) -> bool:
    return not waiting or waiting[0].startswith("-")


def command_of(words: Sequence[str]) -> str | None:
    """Return the key of `COMMANDS` that *words* begin with, None where there is none."""
    named = [word for word in words if not word.startswith("-")]
    for length in (1, 2):
        if (name := " ".join(named[:length])) in COMMANDS:
            return name
    return None


def application(wanted: set[str | None]) -> typer.Typer:
    """Return the Typer application, in which the commands of *wanted* are real."""
    app = _group("modelog", "A live, replayable catalogue of AI models.")
    groups = {name: _group(name, line) for name, line in GROUPS.items()}
    for name, command in COMMANDS.items():
        group, _, word = name.rpartition(" ")
        function = _load(command) if name in wanted else _absent
        line = None if name in wanted else command.line
        (groups[group] if group else app).command(word, help=line)(function)
    for name, group_app in groups.items():
        app.add_typer(group_app, name=name)
    return app


def _group(name: str, line: str) -> typer.Typer:
    app = typer.Typer(
        name=name,
        help=line,
        epilog="Every command takes --config FILE and --data DIR, before or after its name.",
        add_completion=name == "modelog",
        pretty_exceptions_enable=False,  # they print local variables, and with them secrets
        rich_markup_mode=None,  # the plain help, which docs/cli.md shows, is the better one
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_nothing)
    return app


def _nothing() -> None:
    """Do nothing: a group is there for its commands."""


def _absent() -> None:
    """Stand for a command that was not named."""


def _load(command: Command) -> Callable[..., None]:
    function: Callable[..., None] = getattr(
        import_module(f"{__name__}.{command.home}"), command.function
    )
    return function
