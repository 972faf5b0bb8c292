"""Write the reference from the code: events, commands, settings, tables and providers.

``.venv/bin/python docs/generate.py`` writes; with ``--check`` it names the files that are not what
it would write, and exits with 1.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from docs.words import (
    CATALOGUE,
    COMMAND_LINE,
    DEFAULTS,
    EVENTS,
    HEALTH_YET,
    MEANINGS,
    QUERIES,
    ROWS,
    SETTINGS,
)
from events.audit import Absent, AbsentGroup, Failure, Held
from events.codec import types as event_types
from events.health import CheckResult, Evidence, Health, Listed, Sample, Streak
from events.queries import QUERIES as QUESTIONS
from events.queries import Page
from events.record import Change, Lifecycle, ModelRecord
from events.requests import COMMANDS, Accepted, Changed, Error, Refused, Run
from events.schema import address
from events.subjects import COMMAND, QUERY
from projections.database import open_writer
from projections.health_rows import HealthSummary, Latency, ProviderHealth, Uptime
from projections.rows import Provider
from services.cli import COMMANDS as CLI
from services.cli import application
from services.durations import format_duration
from services.health_settings import HEALTH, checking
from services.leaves import LARGEST, Duration, Read
from services.notice_settings import NOTIFY, Notify
from services.provider_settings import PROVIDER
from services.providers.table import BUILTIN, Builtin
from services.sections import ENRICHMENT, NATS, REFRESH, ROOT
from services.settings import Enrichment, Nats, Refresh

DOCS = Path(__file__).parent
GOLDEN = DOCS.parent / "tests" / "golden"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
MADE = "<!-- Made by docs/generate.py; change the code, then run `make docs`. -->"
SECTIONS: dict[str, tuple[str, Mapping[str, Read], object]] = {
    "At the top": ("", ROOT, None),
    "`[nats]`": ("nats.", NATS, Nats()),
    "`[refresh]`": ("refresh.", REFRESH, Refresh()),
    "`[enrichment]`": ("enrichment.", ENRICHMENT, Enrichment()),
    "`[notify]`": ("notify.", NOTIFY, Notify()),
    "`[[providers]]`": ("providers.", PROVIDER, None),
    "`[health]`": ("health.", HEALTH, checking({})),
}
"""The configuration: what each section is called in a path, how it is read, its defaults."""
VIEWS: dict[str, type[msgspec.Struct]] = {
    "providers": Provider,
    "provider_health": ProviderHealth,
    "health_summary": HealthSummary,
    "provider_uptime": Uptime,
    "provider_latency": Latency,
}
"""The rows of the views."""
WIDTH = 88
"""Columns of the help in `cli.md`: fixed, so that every terminal makes the same file."""

PARTS = (
    *(ModelRecord, Lifecycle, Change, Failure, Held, Absent, AbsentGroup),
    *(Evidence, CheckResult, Listed, Health, Streak, Sample),
)
REPLIES = (Accepted, Run, Changed, Page, Refused, Error)
WORDS: dict[object, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null",
    list: "list", dict: "object", Any: "any",
}  # fmt: skip


class Column(NamedTuple):
    """A column of a table or view: whether it may be null, and is of the key."""

    name: str
    type: str
    null: bool
    key: bool


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
    )


def told(kind: object) -> str:
    """Return a docstring as Markdown."""
    return inspect.cleandoc(kind.__doc__ or "").replace("``", "`")


def type_of(kind: object) -> str:
    """Return the type of a field in the words of JSON."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return type_of(inner[0])
    if origin is Literal:
        return " or ".join(f'`"{one}"`' if isinstance(one, str) else f"`{one}`" for one in inner)
    if origin in {Union, types.UnionType}:
        return " or ".join(type_of(one) for one in inner if one is not msgspec.UnsetType)
    if origin in {list, tuple}:
        return f"list of {type_of(inner[0])}"
    if origin is dict:
        return "object" if inner[1] is Any else f"object of {type_of(inner[1])}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return WORDS[kind]


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """Return the default of a field as JSON."""
    if field.required:
        return "required"
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory()
    return "absent" if value is msgspec.UNSET else f"`{msgspec.json.encode(value).decode()}`"


def fields(kind: type[msgspec.Struct]) -> str:
    """Return the table of the fields of *kind*."""
    rows = [
        (f"`{one.encode_name}`", type_of(one.type), default_of(one))
        for one in msgspec.structs.fields(kind)
    ]
    return table(("field", "type", "default"), rows)


def golden(tag: str) -> dict[str, Any]:
    """Return the newest golden line of *tag*: its subject, headers and payload."""
    line = (GOLDEN / f"{tag}.jsonl").read_text("utf-8").splitlines()[-1]
    sample: dict[str, Any] = msgspec.json.decode(line)
    return sample


def json_block(value: object) -> str:
    """Return *value* as an indented block of JSON."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return f"```json\n{text}\n```"


def events(_: str) -> str:
    """Return the reference of the events and of the requests."""
    sample = golden("capability.gained")
    parts = [
        "# Events",
        MADE,
        EVENTS.format(count=len(event_types())),
        json_block({"subject": sample["subject"], "headers": sample["headers"]}),
    ]
    for tag, kind in event_types().items():
        parts += [f"## {tag}", told(kind), f"Subject: `{address(tag)}`", fields(kind)]
        parts.append(json_block(golden(tag)["payload"]))
    parts += ["## Parts of events", *structs(PARTS), "## Requests"]
    parts.append(
        "JSON, request and reply. A request that is refused is answered with an error; none hangs."
    )
    for name, request in COMMANDS.items():
        parts += [f"### {name}", told(request), f"Subject: `{COMMAND}{name}`", fields(request)]
    parts.append("## Queries")
    for name, query in QUESTIONS.items():
        parts += [f"### query {name}", told(query), f"Subject: `{QUERY}{name}`", fields(query)]
    parts += ["## Replies", *structs(REPLIES)]
    return "\n\n".join(parts)


def structs(kinds: Iterable[type[msgspec.Struct]]) -> list[str]:
    """Return a section for each of *kinds*."""
    return [part for one in kinds for part in (f"### {one.__name__}", told(one), fields(one))]


def cli(_: str) -> str:
    """Return the reference of the command line: the help of every command."""
    parts = [
        "# The command line",
        MADE,
        COMMAND_LINE,
        f"```text\n{help_of(None)}\n```",
    ]
    for name in CLI:
        parts += [f"## modelog {name}", f"```text\n{help_of(name)}\n```"]
    return "\n\n".join(parts)


def help_of(name: str | None) -> str:
    """Return what ``--help`` says of the command *name*, or of modelog itself."""
    words = name.split() if name else []
    with contextlib.redirect_stdout(io.StringIO()) as out:
        application({name})(
            [*words, "--help"], prog_name="modelog", standalone_mode=False, terminal_width=WIDTH
        )
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


def settings(_: str) -> str:
    """Return the reference of the configuration."""
    parts = ["# Settings", MADE, SETTINGS]
    for title, (name, reads, usual) in SECTIONS.items():
        rows = [
            (
                f"`{key}`",
                MEANINGS[name + key],
                allowed(read),
                default(name + key, read, getattr(usual, key, None)),
            )
            for key, read in reads.items()
        ]
        parts += [f"## {title}", *([HEALTH_YET] if name == "health." else [])]
        parts.append(table(("key", "what it is", "allowed", "default"), rows))
    return "\n\n".join(parts)


def allowed(read: Read) -> str:
    """Return what *read* allows: by its docstring, or by the bounds that it was made with."""
    if isinstance(read, Duration):
        off = ', or `"0"`' if read.zero else ""
        return f'duration, at least `"{format_duration(read.least)}"`{off}'
    bounds = inspect.getclosurevars(read).nonlocals
    least, most = bounds.get("least"), bounds.get("most")
    limit = f"at least {least}" if most == LARGEST else f"{least} to {most}"
    match read.__qualname__.partition(".")[0]:
        case "whole":
            return f"whole number, {limit}"
        case "number":
            return f"number, {limit}, not {least} itself" if bounds["above"] else f"number, {limit}"
        case "words":
            return "list of " + ", ".join(f'`"{word}"`' for word in bounds["allowed"])
        case "address":
            return "URL with " + ", ".join(f"`{scheme}://`" for scheme in bounds["schemes"])
        case "anything":
            return str(bounds["called"])
        case maker:
            return said(read.__globals__[maker])


def said(reads: Callable[..., object]) -> str:
    """Return what the docstring of *reads* says that it allows."""
    line = told(reads).splitlines()[0].removeprefix("Allow ").removesuffix(".")
    return re.split("[:;] that ", line)[0]


def default(path: str, read: Read, value: object) -> str:
    """Return the default of the setting at *path* as TOML would have it."""
    if path in DEFAULTS:
        return DEFAULTS[path]
    if value is None:
        return "none"
    if isinstance(read, Duration) and isinstance(value, float):
        return f'`"{format_duration(value)}"`'
    return f"`{msgspec.json.encode(value).decode()}`"


def catalogue(_: str) -> str:
    """Return the reference of the catalogue, from one that was just made."""
    parts = [
        "# The catalogue",
        MADE,
        CATALOGUE,
        "## Questions",
        *(f"{question}\n\n```sql\n{query}\n```" for question, query in QUERIES.items()),
    ]
    made = tables()
    if set(made) != set(ROWS):
        raise SystemExit(f"docs/generate.py: ROWS has not exactly {', '.join(sorted(made))}")
    for name, meaning in ROWS.items():
        rows = [
            (f"`{one.name}`", one.type, "yes" if one.null else "", "yes" if one.key else "")
            for one in made[name]
        ]
        parts += [f"## {name}", f"One row is {meaning}."]
        parts.append(table(("column", "type", "null", "key"), rows))
    return "\n\n".join(parts)


def tables() -> dict[str, list[Column]]:
    """Return the columns of every table and view of a catalogue that is made and deleted."""
    with TemporaryDirectory() as folder:
        generation = open_writer(Path(folder) / "catalogue.db")
        try:
            generation.finish()
            listed = generation.db.execute(
                "SELECT name, type FROM pragma_table_list WHERE schema = 'main'"
                " AND type <> 'shadow' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
            ask = 'SELECT name, type, NOT "notnull", pk FROM pragma_table_info(?)'
            return {
                name: [
                    Column(one, declared or "TEXT", bool(null) and kind == "table", bool(key))
                    if kind != "view"
                    else seen(VIEWS[name], one)
                    for one, declared, null, key in generation.db.execute(ask, (name,))
                ]
                for name, kind in listed
            }
        finally:
            generation.close()


def seen(row: type[msgspec.Struct], column: str) -> Column:
    """Return a column of a view, of which SQLite tells little, by its row."""
    kinds = {one.name: one.type for one in msgspec.structs.fields(row)}
    inner = {kinds[column], *get_args(kinds[column])}
    kind = "INTEGER" if inner & {int, bool} else "REAL" if float in inner else "TEXT"
    return Column(column, kind, type(None) in inner, key=False)


def providers(before: str) -> str:
    """Return `providers.md` as it is, with the table of the built-in ones renewed."""
    head = ("name", "dialect", "base URL", "key", "options", "models.dev", "auto")
    block = table(head, [_provider(row) for row in BUILTIN.values()])
    start, _, rest = before.partition(BEGIN)
    _, _, end = rest.partition(END)
    return f"{start}{BEGIN}\n{block}\n{END}{end}".rstrip("\n")


def _provider(row: Builtin) -> tuple[str, ...]:
    keys = " or ".join(f"`{key}`" for key in row.keys)
    more = ", ".join(f"`{one.name}` (`{one.variable}`)" for one in row.credentials)
    keys += (f"{'; or ' if keys else ''}{more}" if more else "") or ("" if keys else "none")
    options = [
        f"`{one.name}`{_variables(one.variables)}{'' if one.needed else ', optional'}"
        for one in row.options
    ]
    return (
        row.name,
        row.dialect,
        f"`{row.base_url}`" + _variables((row.base_url_variable,) if row.base_url_variable else ()),
        f"{keys}{' (optional)' if row.keys and row.key_optional else ''}",
        "; ".join(options),
        ", ".join(row.models_dev),
        row.auto,
    )


def _variables(names: Sequence[str]) -> str:
    return f" ({' or '.join(f'`{name}`' for name in names)})" if names else ""


PAGES: dict[str, Callable[[str], str]] = {
    "events.md": events,
    "cli.md": cli,
    "settings.md": settings,
    "catalogue.md": catalogue,
    "providers.md": providers,
}
"""Every page, by what makes it from what it was."""


def page(name: str, before: str) -> str:
    """Return what the page *name* is to be, which was *before*."""
    return re.sub(r"[ \t]+$", "", PAGES[name](before), flags=re.MULTILINE) + "\n"


def main(words: Sequence[str], folder: Path = DOCS) -> int:
    """Write the pages of *folder*; with ``--check`` only tell which of them are stale."""
    stale = False
    for name in PAGES:
        path = folder / name
        before = path.read_text("utf-8") if path.exists() else ""
        after = page(name, before)
        if after == before:
            continue
        if "--check" in words:
            stale = True
            sys.stderr.write(f"{path} is stale; run `make docs`\n")
        else:
            path.write_text(after, "utf-8")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
