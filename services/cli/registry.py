"""Change who is asked: register, update, remove, enable and disable providers."""

from __future__ import annotations

import asyncio
import shlex
from typing import Annotated, Any

import typer

from services.cli.asking import asked
from services.cli.failures import WRONG, Refusal
from services.cli.options import AsJson, ConfigFile, DataDir, settings
from services.cli.output import write, write_object
from services.config import Config

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the provider.")]
Dialect = Annotated[
    str | None, typer.Option("--dialect", help="The shape of its API; default: the built-in one's.")
]
BaseUrl = Annotated[str | None, typer.Option("--base-url", metavar="URL", help="Where its API is.")]
KeyEnv = Annotated[
    str | None, typer.Option("--key-env", metavar="NAME", help="The variable that holds its key.")
]
KeyFile = Annotated[
    str | None, typer.Option("--key-file", metavar="FILE", help="The file that holds its key.")
]
KeyCommand = Annotated[
    str | None, typer.Option("--key-command", metavar="LINE", help="A command that prints its key.")
]
Options = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option; repeats.")
]
Interval = Annotated[
    str | None, typer.Option("--interval", metavar="SPAN", help="How often it is asked: 10m.")
]
Priority = Annotated[
    int | None, typer.Option("--priority", help="Higher goes first when several are due.")
]


def add(
    name: Name,
    *,
    dialect: Dialect = None,
    base_url: BaseUrl = None,
    key_env: KeyEnv = None,
    key_file: KeyFile = None,
    key_command: KeyCommand = None,
    option: Options = None,
    interval: Interval = None,
    priority: Priority = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Not asked yet.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Register a provider.

    It is asked from now on. A built-in one needs only its name; another one `--dialect openai` and
    `--base-url`. It survives restarts, and the configuration file goes before it.
    """
    table = _table(dialect, base_url, (key_env, key_file, key_command), option, interval, priority)
    if disabled:
        table["enabled"] = False
    _change(settings(config, data), "register", name, table, f"registered {name}", as_json)


def update(
    name: Name,
    *,
    dialect: Dialect = None,
    base_url: BaseUrl = None,
    key_env: KeyEnv = None,
    key_file: KeyFile = None,
    key_command: KeyCommand = None,
    option: Options = None,
    interval: Interval = None,
    priority: Priority = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Change a provider's settings.

    Of one that was registered by command; what is not given stays as it is.
    """
    table = _table(dialect, base_url, (key_env, key_file, key_command), option, interval, priority)
    if not table:
        raise Refusal("nothing to change; give at least one option", WRONG)
    _change(settings(config, data), "update", name, table, f"updated {name}", as_json)


def remove(
    name: Name, *, as_json: AsJson = False, config: ConfigFile = None, data: DataDir = None
) -> None:
    """Unregister a provider.

    It is asked no more, and its models are removed from the catalogue; their history stays.
    """
    _change(settings(config, data), "unregister", name, {}, f"removed {name}", as_json)


def enable(
    name: Name, *, as_json: AsJson = False, config: ConfigFile = None, data: DataDir = None
) -> None:
    """Ask a disabled provider again."""
    table = {"enabled": True}
    _change(settings(config, data), "update", name, table, f"enabled {name}", as_json)


def disable(
    name: Name, *, as_json: AsJson = False, config: ConfigFile = None, data: DataDir = None
) -> None:
    """Ask a provider no more for now.

    It keeps its models.
    """
    table = {"enabled": False}
    _change(settings(config, data), "update", name, table, f"disabled {name}", as_json)


def _table(
    dialect: str | None,
    base_url: str | None,
    key: tuple[str | None, str | None, str | None],
    options: list[str] | None,
    interval: str | None,
    priority: int | None,
) -> dict[str, Any]:
    """Return what was given as a `[[providers]]` table without its name."""
    table: dict[str, Any] = {"dialect": dialect, "base_url": base_url, "priority": priority}
    table["api_key"] = _reference(*key)
    table["options"] = dict(_pair(text) for text in options or ()) or None
    table["refresh"] = {"interval": interval} if interval else None
    return {name: value for name, value in table.items() if value is not None}


def _reference(env: str | None, file: str | None, command: str | None) -> dict[str, Any] | None:
    given = {"env": env, "file": file, "command": shlex.split(command) if command else None}
    references = {name: value for name, value in given.items() if value}
    if len(references) > 1:
        raise Refusal("one of --key-env, --key-file and --key-command is enough", WRONG)
    return references or None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Refusal(f'--option "{text}": write KEY=VALUE, such as region=us-east-1', WRONG)
    return name, value


def _change(
    config: Config, command: str, name: str, table: dict[str, Any], told: str, as_json: bool
) -> None:
    reply = asyncio.run(asked(config, f"provider.{command}", {"name": name, **table}))
    if as_json:
        write_object(reply)
        return
    write(f"{told}, at sequence {reply['seq']}\n")
