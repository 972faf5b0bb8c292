"""Ask providers for their models now, through the refresher that runs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import typer

from events import decode
from events.audit import RefreshFailed, RefreshOutcome, RefreshQuarantined, RefreshSucceeded
from events.requests import Refresh
from events.subjects import COMMAND
from services.cli.failures import ABSENT, FAILED, UNREACHABLE, WRONG, Code, Refusal
from services.cli.log import address, connection
from services.cli.options import AsJson, ConfigFile, DataDir, settings
from services.cli.output import write_array
from services.cli.providers import style
from services.cli.sentences import result
from services.cli.tables import Column, write_table
from services.config import Config
from services.jetstream.api import exchange

CODES: dict[str, Code] = {"invalid": WRONG, "not_found": ABSENT, "unavailable": UNREACHABLE}
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
    outcomes = asyncio.run(
        _asked(settings(config, data), Refresh(provider=name, force=force, wait=True))
    )
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


async def _asked(config: Config, request: Refresh) -> list[dict[str, Any]]:
    """Send *request* and return the outcomes; raises Refusal and NoServer."""
    async with connection(config, address(config), role="operator") as nc:
        payload = msgspec.json.encode(request)
        answer = await exchange(nc, f"{COMMAND}refresh", payload, timeout=_patience(config))
    if answer is None:
        told = "no refresher answers; start one with `modelog up` or `modelog run refresher`"
        raise Refusal(told, UNREACHABLE)
    reply: dict[str, Any] = msgspec.json.decode(answer.data)
    if error := reply.get("error"):
        raise Refusal(error["message"], CODES.get(error["code"], FAILED))
    return list(reply.get("outcomes") or [])


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
