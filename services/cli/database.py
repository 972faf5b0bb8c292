"""The catalogue as a database, and the contracts as documents."""

from __future__ import annotations

import csv
import io
import sys
from importlib.metadata import version
from typing import Annotated, Any

import msgspec
import typer

from events.schema import asyncapi, json_schemas
from projections.rows import NESTED
from services.cli.catalogue import catalogue
from services.cli.options import AsJson, ConfigFile, DataDir
from services.cli.output import clean, is_terminal, note, write, write_array, write_object
from services.cli.tables import Column, Row, write_table


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A statement, or - for stdin.")],
    *,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Ask the catalogue in SQL; nothing can be changed.

    The tables are described in docs/catalogue.md; `select * from sqlite_schema` lists them.
    """
    statement = sys.stdin.read() if sql == "-" else sql
    with catalogue(config, data) as opened:
        columns, rows = opened.query(statement)
    if as_json:
        write_array(
            {name: _nested(name, cell) for name, cell in zip(columns, row, strict=True)}
            for row in rows
        )
    elif as_csv:
        sink = io.StringIO()
        lines = [columns, *map(_texts, rows)]
        if is_terminal():
            lines = [[clean(cell) for cell in line] for line in lines]
        csv.writer(sink, lineterminator="\n").writerows(lines)
        write(sink.getvalue())
    else:
        _write(columns, rows)


def _write(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    def column(place: int, name: str) -> Column:
        numeric = all(isinstance(row[place], int | float | None) for row in rows)
        return Column(name, lambda row: row[str(place)], right=numeric, elastic=not numeric)

    shown: list[Row] = [
        {str(place): cell for place, cell in enumerate(_texts(row))} for row in rows
    ]
    write_table(shown, [column(place, name) for place, name in enumerate(columns)])
    if not rows:
        note("no rows")


def _texts(row: tuple[Any, ...]) -> list[Any]:
    return [cell.hex() if isinstance(cell, bytes) else cell for cell in row]


def _nested(name: str, cell: object) -> object:
    if isinstance(cell, bytes):
        return cell.hex()
    if name in NESTED and isinstance(cell, str):
        try:
            return msgspec.json.decode(cell)
        except msgspec.DecodeError:
            return cell
    return cell


def schema(
    *,
    as_json: AsJson = False,  # noqa: ARG001 - it is JSON as it is
    config: ConfigFile = None,  # noqa: ARG001 - every command takes it
    data: DataDir = None,  # noqa: ARG001
) -> None:
    """Print the JSON Schema of every event, and AsyncAPI.

    One object: `events` holds the schemas by tag, `asyncapi` the document of all subjects.
    """
    write_object({"events": json_schemas(), "asyncapi": asyncapi(version("modelog"))})
