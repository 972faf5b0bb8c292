"""Ask providers for their models now, through the refresher that runs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import typer

from events import decode
from events.audit import RefreshFailed, RefreshOutcome, RefreshQuarantined, RefreshSucceeded
from events.requests import Refresh
from services.cli.asking import asked
from services.cli.failures import WRONG, Refusal
from services.cli.options import AsJson, ConfigFile, DataDir, settings
from services.cli.output import write_array
from services.cli.providers import style
from services.cli.sentences import result
from services.cli.tables import Column, write_table
from services.config import Config

MARGIN = 10.0

COLUMNS = (
    Column("PROVIDER", lambda row: row["provider"], style="cyan"),
    Column("OUTCOME", lambda row: row["type"].partition(".")[2], style=style),
    Column("SECONDS", lambda row: f"{row.get('duration_ms', 0) / 1000:.2f}", right=True),
    Column("WHAT", lambda row: row["what"], folded=True),
)


def refresh(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The name of a provider.")
    ] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also where nothing seems to have changed.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Ask providers for their models now.

    Waits for the outcome; exit code 1 where a refresh failed.
    """
    if (name is None) is not all_:
        raise Refusal("name a provider, or give --all", WRONG)
    found, request = settings(config, data), Refresh(provider=name, force=force, wait=True)
    reply = asyncio.run(asked(found, "refresh", request, patience=_patience(found)))
    outcomes: list[dict[str, Any]] = reply.get("outcomes") or []
    if as_json:
        write_array(outcomes)
    else:
        write_table([{**one, "what": result(_read(one))} for one in outcomes], COLUMNS)
    failed = [one["provider"] for one in outcomes if one["type"] != "refresh.succeeded"]
    if failed:
        raise Refusal(
            f"{len(failed)} of {len(outcomes)} failed: {', '.join(failed)};"
            f" see `modelog providers show {failed[0]}`"
        )


def _patience(config: Config) -> float:
    """Return the seconds after which no outcome can be expected any more."""
    policy = config.refresh
    run = policy.attempts * (policy.timeout + policy.max_delay)
    rounds = 1 + len(config.providers) // policy.max_concurrency
    return min(run * rounds, 3600.0) + MARGIN


def _read(outcome: dict[str, Any]) -> RefreshOutcome:
    event = decode(msgspec.json.encode(outcome))
    if not isinstance(event, RefreshSucceeded | RefreshFailed | RefreshQuarantined):
        raise Refusal(f"the refresher answered with {outcome.get('type')!r}, which is no outcome")
    return event
