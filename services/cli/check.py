"""Check providers now, through the health monitor that runs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from events.requests import Check
from services.cli.asking import asked
from services.cli.failures import WRONG, Refusal
from services.cli.options import AsJson, ConfigFile, DataDir, settings
from services.cli.output import write_array
from services.cli.tables import Column, Row, write_table
from services.config import Config
from services.health_settings import checking

MARGIN = 15.0
WHO = "health-monitor"
STYLES = {"OK": "green", "PARTIAL": "yellow", "THROTTLED": "yellow", "UNKNOWN": "dim"}


def _latency(row: Row) -> str:
    latency = row.get("latency_ms")
    return "" if latency is None else f"{latency} ms"


def _what(row: Row) -> str:
    """Return what people want to know of a cycle: its class, and which checks had a fault."""
    faults = [
        f"{one['name']}: {one.get('message') or one['class']}"
        for one in row.get("checks", ())
        if one["verdict"] != "OK"
    ]
    state = row.get("state", {}).get("status", "inactive")
    return "; ".join([f"{row['class']}, {state}", *faults])


COLUMNS = (
    Column("PROVIDER", lambda row: row["provider"], style="cyan"),
    Column("VERDICT", lambda row: row["verdict"], style=lambda verdict: STYLES.get(verdict, "red")),
    Column("LATENCY", _latency, right=True),
    Column("WHAT", _what, folded=True),
)


def check(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The name of a provider.")
    ] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Check providers now.

    Their lists, and every check that is configured. Waits for the verdict; exit code 1 where one is
    FAIL or BLOCKED.
    """
    if (name is None) is not all_:
        raise Refusal("name a provider, or give --all", WRONG)
    found, request = settings(config, data), Check(provider=name, wait=True)
    reply = asyncio.run(asked(found, "check", request, patience=_patience(found), who=WHO))
    outcomes: list[dict[str, Any]] = reply.get("outcomes") or []
    if as_json:
        write_array(outcomes)
    else:
        write_table(outcomes, COLUMNS)
    asked_for = {run["provider"] for run in reply.get("runs", ())}
    silent = sorted(asked_for - {one["provider"] for one in outcomes})
    failed = [one["provider"] for one in outcomes if one["verdict"] in {"FAIL", "BLOCKED"}]
    if failed:
        raise Refusal(
            f"{len(failed)} of {len(asked_for)} failed: {', '.join(failed)};"
            f" see `modelog health {failed[0]}`"
        )
    if silent:
        raise Refusal(
            f"not checked, as it has no key or is off: {', '.join(silent)};"
            f" see `modelog providers show {silent[0]}`"
        )


def _patience(config: Config) -> float:
    """Return the seconds after which no verdict can be expected any more."""
    health = checking(config.health)
    rounds = 1 + len(config.providers) // health.max_concurrency
    return min(health.cycle_deadline * rounds, 3600.0) + MARGIN
