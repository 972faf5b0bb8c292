"""Providers: who offers it."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from services import config as configuration
from services.cli.catalogue import catalogue, check_provider
from services.cli.failures import WRONG, Refusal
from services.cli.options import AsJson, ConfigFile, DataDir, Limit, words
from services.cli.output import write, write_array, write_object
from services.cli.sentences import moment
from services.cli.tables import Column, Row, write_record, write_table
from services.providers.table import BUILTIN

STATUSES = ("inactive", "active", "degraded", "error")
STYLES = {
    "succeeded": "green",
    "failed": "red",
    "quarantined": "yellow",
    "active": "green",
    "degraded": "yellow",
    "error": "red",
    "disabled": "dim",
}
_CAPABILITIES = """
SELECT capability, count(*) FROM model_capabilities WHERE provider = ?
GROUP BY capability ORDER BY count(*) DESC, capability
"""
RECENT = 5
"""Refreshes that `show` tells of."""


def style(text: str) -> str:
    """Return the Rich style of a status or an outcome."""
    return STYLES.get(text, "")


def _status(row: Row) -> str:
    return str(row["status"] or "unknown") if row["enabled"] else "disabled"


def _seconds(duration_ms: int | None) -> str:
    return "" if duration_ms is None else f"{duration_ms / 1000:.2f}"


def _error(row: Row) -> str:
    return ": ".join(filter(None, [row["error_class"], row["error_message"]]))


LIST = (
    Column("NAME", lambda row: row["name"], folded=True, style="cyan"),
    Column("DIALECT", lambda row: row["dialect"], elastic=True),
    Column("STATUS", _status, style=style),
    Column("MODELS", lambda row: row["model_count"], right=True),
    Column("REFRESHED", lambda row: moment(row["refreshed_at"]), style="dim"),
    Column("OUTCOME", lambda row: row["refresh_outcome"], style=style),
    Column("BASE URL", lambda row: row["base_url"], elastic=True, wide=True, style="dim"),
)
AVAILABLE = (
    Column("NAME", lambda row: row["name"], style="cyan"),
    Column("DIALECT", lambda row: row["dialect"]),
    Column("KEY", lambda row: " ".join(row["keys"]) or "none", folded=True),
    Column("SET", lambda row: "yes" if row["key_set"] else "", style="green"),
    Column("BASE URL", lambda row: row["base_url"], elastic=True, wide=True, style="dim"),
)
REFRESHES = (
    Column("STARTED", lambda row: moment(row["started_at"]), style="dim"),
    Column("OUTCOME", lambda row: row["outcome"], style=style),
    Column("MODELS", lambda row: row["models"], right=True),
    Column("SECONDS", lambda row: _seconds(row["duration_ms"]), right=True),
    Column("ERROR", _error, folded=True),
)


def list_(
    *,
    available: Annotated[
        bool, typer.Option("--available", help="All that modelog knows, registered or not.")
    ] = False,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", metavar="STATE", help=f"{', '.join(STATUSES)}; repeats."),
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """List providers.

    Those that are registered, in the order of their names.
    """
    columns: tuple[Column, ...]
    wanted = words(status or (), STATUSES, "status")
    if available and wanted:
        raise Refusal(
            "--status is of registered providers; leave out --status or --available", WRONG
        )
    if available:
        rows, columns = _builtin(), AVAILABLE
    else:
        with catalogue(config, data) as opened:
            rows = [msgspec.to_builtins(one) for one in opened.providers()]
        rows, columns = [row for row in rows if not wanted or row["status"] in wanted], LIST
    if as_json:
        write_array(rows[:limit])
    else:
        write_table(rows[:limit], columns, empty="no provider is registered like that")


def _builtin() -> list[dict[str, object]]:
    environment = configuration.environment()
    return [
        {
            "name": one.name,
            "dialect": one.dialect,
            "base_url": one.base_url,
            "keys": list(one.keys),
            "key_set": any(environment.get(key) for key in one.keys),
            "auto": one.auto,
            "local": one.local,
        }
        for _, one in sorted(BUILTIN.items())
    ]


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of a provider.")],
    *,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Show one provider and its last refreshes.

    With how many of its models have each capability, and how it has answered.
    """
    with catalogue(config, data) as opened:
        check_provider(opened, name)
        row = msgspec.to_builtins(opened.provider(name))
        runs = [msgspec.to_builtins(run) for run in opened.refreshes(name, limit=RECENT)]
        row["capabilities"] = dict(opened.query(_CAPABILITIES, (name,)).rows)
        row["health"] = next(map(msgspec.to_builtins, opened.provider_health(name)), None)
    if as_json:
        write_object({**row, "refreshes": runs})
        return
    write_record(_fields(row))
    if runs:
        write("\n")
        write_table(runs, REFRESHES)


def _health(figures: Row | None) -> str:
    """Return a provider's figures in a line; empty where there are none yet."""
    if figures is None:
        return ""
    uptime, latency, alerts = (
        figures[name] for name in ("uptime_24h", "latency_p50_ms", "open_alerts")
    )
    told = [
        None if uptime is None else f"{uptime:.2%} up in 24 hours",
        None if latency is None else f"p50 {latency:,.0f} ms",
        f"{alerts} open alert{'' if alerts == 1 else 's'}" if alerts else None,
    ]
    return ", ".join(filter(None, told))


def _fields(row: Row) -> list[tuple[str, object]]:
    since = f" since {moment(row['status_since'])}" if row["status_since"] else ""
    cause = f" ({row['status_cause']})" if row["status_cause"] else ""
    return [
        ("name", row["name"]),
        ("dialect", row["dialect"]),
        ("base url", row["base_url"]),
        ("status", f"{_status(row)}{since}{cause}"),
        ("health", _health(row["health"])),
        ("models", str(row["model_count"])),
        ("can", ", ".join(f"{name} {count:,}" for name, count in row["capabilities"].items())),
        (
            "refreshed",
            " ".join(filter(None, [moment(row["refreshed_at"]), row["refresh_outcome"]])),
        ),
        ("priority", row["priority"] or None),
        ("registered", f"{moment(row['registered_at'])}, by {row['origin']}"),
    ]
