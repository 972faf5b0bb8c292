"""Alerts: whom to tell, and what somebody did about it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from events.alerts import SEVERITIES
from events.base import Instant, later
from events.requests import Acknowledge, Silence
from projections import Catalogue
from projections.database import NoCatalogue
from services import clock
from services.cli.alerting import WORST, columns, fields_of, shortened
from services.cli.asking import asked
from services.cli.catalogue import catalogue, check_provider
from services.cli.failures import ABSENT, WRONG, Refusal
from services.cli.options import (
    AsJson,
    ConfigFile,
    DataDir,
    Limit,
    Provider,
    at,
    settings,
    word,
    words,
)
from services.cli.output import write, write_array, write_object
from services.cli.sentences import moment
from services.cli.tables import write_record, write_table
from services.durations import NoDuration, parse_duration
from services.projector.alerts import KINDS, STATES, alerts

WHO = "health-monitor"
ALL = "all"
"""What alerts of the whole fleet are about, instead of a provider."""
SILENCED = "1h"
WHOLE = 36
"""Characters of a whole id."""
NEAREST = 5

Id = Annotated[
    str, typer.Argument(metavar="ID", help="The id of an alert, or how no other one begins.")
]


def list_(
    *,
    state: Annotated[
        str, typer.Option("--state", metavar="STATE", help=f"{', '.join(STATES)}.")
    ] = "open",
    provider: Provider = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help=f"{', '.join(KINDS)}; repeats."),
    ] = None,
    severity: Annotated[
        list[str] | None,
        typer.Option("--severity", metavar="LEVEL", help=f"{', '.join(SEVERITIES)}; repeats."),
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """List alerts.

    Those that are open, if not told otherwise. A table begins with the worst, and of these with the
    newest; JSON is by provider and id.
    """
    chosen = word(state, STATES, "state") or "open"
    kinds = words(kind or (), KINDS, "kind of alert")
    severities = words(severity or (), SEVERITIES, "severity")
    with catalogue(config, data) as opened:
        if provider not in {None, ALL}:
            check_provider(opened, str(provider))
        found = alerts(opened, chosen, provider, kinds, severities)
        names = {} if as_json else shortened(_ids(opened))
    if as_json:
        write_array(found[:limit])
        return
    found.sort(key=lambda one: one.since, reverse=True)
    found.sort(key=lambda one: (one.state, WORST.index(one.severity)))
    rows = [msgspec.to_builtins(one) for one in found[:limit]]
    told = "no alert" if chosen == ALL else f"no {chosen} alert"
    write_table(rows, columns(names, clock.system().now()), empty=f"there is {told} like that")


def show(
    id: Id, *, as_json: AsJson = False, config: ConfigFile = None, data: DataDir = None
) -> None:
    """Show one alert, open or resolved."""
    with catalogue(config, data) as opened:
        row = msgspec.to_builtins(opened.alert(_meant(opened, id)))
    if as_json:
        write_object(row)
    else:
        write_record(fields_of(row, clock.system().now()))


def ack(
    id: Id, *, as_json: AsJson = False, config: ConfigFile = None, data: DataDir = None
) -> None:
    """Tell that somebody has seen to an alert.

    There are no more reminders of it; it resolves as before.
    """
    whole = _whole(config, data, id)
    reply = asyncio.run(
        asked(settings(config, data), "alert.acknowledge", Acknowledge(alert_id=whole), who=WHO)
    )
    if as_json:
        write_object(reply)
    else:
        write(f"acknowledged {whole}, at sequence {reply['seq']}\n")


def silence(
    id: Id,
    *,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Up to a time to come.")
    ] = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help=f"For so long; default {SILENCED}.")
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="End the silence now.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Tell nobody of an alert for a while.

    It goes on, and resolves as before.
    """
    if sum((until is not None, for_ is not None, end)) > 1:
        raise Refusal("one of --until, --for and --end is enough", WRONG)
    ends = None if end else _ends(until, for_ or SILENCED)
    whole = _whole(config, data, id)
    request = Silence(alert_id=whole, until=ends)
    reply = asyncio.run(asked(settings(config, data), "alert.silence", request, who=WHO))
    if as_json:
        write_object(reply)
        return
    told = f"silenced {whole} until {moment(ends)}" if ends else f"ended the silence of {whole}"
    write(f"{told}, at sequence {reply['seq']}\n")


def _ends(until: str | None, lasting: str) -> Instant:
    """Return the instant at which a silence ends, which must be to come."""
    now = clock.system().now()
    if until is None:
        try:
            ends: int | Instant = later(now, timedelta(seconds=parse_duration(lasting)))
        except NoDuration as error:
            raise Refusal(f"--for: {error}", WRONG) from error
        except OverflowError as error:
            raise Refusal(f'--for: "{lasting}" is too long; write 2h or 7d', WRONG) from error
    else:
        ends = at(until, "--until")
    if isinstance(ends, int) or ends <= now:
        wrong = f"--for {lasting}" if until is None else f"--until {until}"
        raise Refusal(f"{wrong}: no time to come; write 2027-01-31T12:00:00Z, or --for 2h", WRONG)
    return ends


def _whole(config: Path | None, data: Path | None, id: str) -> str:
    """Return the whole id; one that the catalogue does not have (yet) may be whole already."""
    try:
        with catalogue(config, data) as opened:
            return _meant(opened, id)
    except (NoCatalogue, Refusal):
        if len(id) == WHOLE:
            return id
        raise


def _meant(opened: Catalogue, id: str) -> str:
    """Return the one id that begins with *id*."""
    found = [one for one in _ids(opened) if one.startswith(id)] if id else []
    if id in found:
        return id
    if not found:
        raise Refusal(f'there is no alert "{id}"; see `modelog alerts list --state all`', ABSENT)
    if len(found) > 1:
        some = ", ".join(found[:NEAREST]) + (", ..." if found[NEAREST:] else "")
        raise Refusal(f'"{id}" begins {len(found)} ids; write more of it: {some}', WRONG)
    return found[0]


def _ids(opened: Catalogue) -> list[str]:
    return [
        str(found)
        for (found,) in opened.query("SELECT alert_id FROM alerts ORDER BY alert_id").rows
    ]
